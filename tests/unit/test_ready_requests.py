"""Whole requests written ahead: the same bytes as on demand, or they are not used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st
from test_ladder import KEY, order_of

from engine.wire.codes import Tif
from signer.auth import ApiCredentials, L2Signer, l2_message, verify_l2
from signer.commands import Arm, NewOrder
from signer.contracts import exchange_domain
from signer.http import Answer, AnswerHandler, Endpoint, Outcome
from signer.ladder import Ladder, Rungs
from signer.policy import amounts_of
from signer.rails.clob import ClobRail
from signer.templates import NO_REQUESTS, Rung, SignedOrder
from signer.wallets import Wallet
from signer.wishes import NEAR_MAX

S = 1_000_000_000
TICK = 10_000
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
AGE_S = 60
ARMED = order_of(tif=Tif.FOK, budget=4_800_000)


class Line:
    """A pool of connections that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, text: bytes, _handler: AnswerHandler) -> None:
        """Keep a request."""
        self.sent.append(text)


class Desk:
    """A ladder and the rail it sends by, on a clock that the test moves."""

    def __init__(self, presigned: int = 8, levels: int = 0) -> None:
        self.clock = HandClock()
        endpoint = Endpoint.of("http://localhost/clob")
        l2 = L2Signer(ApiCredentials("owner", SECRET, "phrase"), KEY.address)
        self.rail = ClobRail(endpoint, l2, self.clock.now_ns, connections=1, timeout_ns=S)
        self.line = Line()
        self.rail._orders = self.line
        self.written: list[int] = []
        self.order_request = self.counting(self.rail.order_request)
        self.rail.order_request = self.order_request
        rungs = Rungs(0, presigned, levels, AGE_S * S)
        self.ladder = Ladder(Wallet.of(KEY, 0, KEY.address), "owner", rungs, self.rail)
        self.templates = self.ladder.templates(exchange_domain(2, 137, False), 1 << 255)

    def counting(self, write: Callable[[bytes, int], bytes]) -> Callable[[bytes, int], bytes]:
        """Note the second of every request that is written."""

        def order_request(body: bytes, venue_s: int) -> bytes:
            self.written.append(venue_s)
            return write(body, venue_s)

        return order_request

    def arm(self, order: NewOrder = ARMED, strategy: int = 1) -> None:
        """Arm an order."""
        armed = Arm(order, strategy, is_engaged=True)
        self.ladder.arm(armed, self.templates[order.side], amounts_of(order, TICK))

    def disarm(self, order: NewOrder = ARMED, strategy: int = 1) -> None:
        """Disarm an order."""
        self.ladder.disarm(Arm(order, strategy, is_engaged=False))

    def idle(self, rounds: int = 60) -> int:
        """Idle for some rounds; return in how many there was something to do."""
        return sum(self.ladder.idle(self.clock.at_ns) for _ in range(rounds))

    def sign(self, order: NewOrder = ARMED) -> SignedOrder:
        """Ask for an order."""
        template, amounts = self.templates[order.side], amounts_of(order, TICK)
        return self.ladder.sign(order, template, TICK, amounts, self.clock.at_ns)

    def send(self, signed: SignedOrder) -> bytes:
        """Send an order; return its request."""
        self.rail.send_order(signed.body, lambda _answer: None, signed.requests)
        return self.line.sent[-1]

    @property
    def venue_s(self) -> int:
        """The venue's present."""
        return self.rail.clock.venue_s(self.clock.at_ns)


@pytest.fixture
def desk() -> Desk:
    """A desk that has armed one order and idled."""
    desk = Desk()
    desk.arm()
    desk.idle()
    return desk


@given(
    idle_ns=st.integers(0, 4 * S),
    wait_ns=st.integers(0, 4 * S),
    skew_s=st.just(0) | st.integers(-90, 90),
)
def test_what_is_sent_is_what_would_have_been_written(
    idle_ns: int, wait_ns: int, skew_s: int
) -> None:
    """Whenever idle time wrote it, and whatever the clocks did, the request is of its second.

    The venue's clock is found to be another between the idle rounds and the order.
    """
    desk = Desk()
    desk.arm()
    desk.idle()
    desk.clock.at_ns += idle_ns
    desk.idle()
    now_ns = desk.clock.at_ns
    time = b"%d" % (now_ns // S + skew_s)
    desk.rail.clock.on_answer(Answer(Outcome.ANSWERED, 200, time, now_ns, now_ns))
    desk.clock.at_ns += wait_ns
    signed = desk.sign()
    assert signed.rung is Rung.AHEAD
    venue_s, ready = desk.venue_s, dict(signed.requests)
    desk.written.clear()
    text = desk.send(signed)
    assert desk.written == ([] if venue_s in ready else [venue_s])
    assert desk.rail.sent_ready == (venue_s in ready)
    assert text == desk.order_request(signed.body, venue_s)
    check_headers(text, signed.body, venue_s)


def check_headers(text: bytes, body: bytes, venue_s: int) -> None:
    """The venue accepts a request: its second is signed together with its body."""
    (stamp,) = re.findall(rb"POLY_TIMESTAMP: (.*)\r\n", text)
    (signature,) = re.findall(rb"POLY_SIGNATURE: (.*)\r\n", text)
    assert int(stamp) == venue_s
    assert text.endswith(b"\r\n\r\n" + body)
    message = l2_message(venue_s, "POST", "/order", body)
    assert verify_l2(signature.decode(), SECRET, message)


@pytest.mark.parametrize(("later_s", "written"), [(0, 0), (1, 0), (2, 1), (-1, 1), (59, 1)])
def test_a_request_is_used_in_its_second_only(desk: Desk, later_s: int, written: int) -> None:
    """In this second and in the next nothing is written any more; in any other it is, anew."""
    desk.clock.at_ns += later_s * S
    desk.written.clear()
    signed = desk.sign()
    desk.send(signed)
    assert len(desk.written) == written
    check_headers(desk.line.sent[-1], signed.body, desk.venue_s)


def test_a_body_that_is_sent_again_has_a_request_of_its_own(desk: Desk) -> None:
    """Re-sending knows the body only: it is written for the second it happens in."""
    signed = desk.sign()
    desk.send(signed)
    desk.clock.at_ns += 3 * S
    desk.rail.send_order(signed.body, lambda _answer: None)
    first, again = desk.line.sent
    assert first != again
    check_headers(again, signed.body, desk.venue_s)


def test_what_was_taken_is_gone_with_its_requests(desk: Desk) -> None:
    """Two orders of a kind have two bodies, and no request of the first is sent with the second."""
    first = desk.sign()
    desk.arm()
    desk.idle()
    second = desk.sign()
    assert {first.rung, second.rung} == {Rung.AHEAD}
    assert first.order_hash != second.order_hash
    assert not set(first.requests.values()) & set(second.requests.values())
    assert all(text.endswith(second.body) for text in second.requests.values())
    assert desk.sign().requests is NO_REQUESTS


def test_an_order_signed_anew_has_new_requests(desk: Desk) -> None:
    """When half its age is over, the order is another one, and so are its requests."""
    desk.clock.at_ns += AGE_S * S * 6 // 10
    desk.idle()
    signed = desk.sign()
    assert len(signed.requests) == 2
    assert all(text.endswith(signed.body) for text in signed.requests.values())
    desk.written.clear()
    desk.send(signed)
    assert desk.written == []


def test_an_order_too_old_is_not_sent_with_what_was_written_for_it(desk: Desk) -> None:
    """Past its age neither the order nor its requests are found."""
    desk.clock.at_ns += AGE_S * S + 1
    signed = desk.sign()
    assert signed.rung is Rung.FULL
    assert signed.requests is NO_REQUESTS


@pytest.mark.parametrize("end", [Desk.disarm, lambda desk: desk.ladder.invalidate(1)])
def test_disarming_and_new_terms_forget_the_requests(
    desk: Desk, end: Callable[[Desk], Any]
) -> None:
    """What is not armed any more, or has become another contract, has no request left."""
    end(desk)
    assert desk.sign().requests is NO_REQUESTS


def test_idle_time_writes_one_request_at_a_time_and_comes_to_an_end(desk: Desk) -> None:
    """A slice is one signature or one request; when both seconds are there, nothing is done."""
    fresh = Desk()
    fresh.arm()
    assert [fresh.idle(1) for _ in range(8)] == [0, 1, 1, 1, 0, 0, 0, 0]
    assert fresh.written == [fresh.venue_s, fresh.venue_s + 1]
    assert desk.idle() == 0


def test_each_second_costs_one_request_for_each_armed_order() -> None:
    """Over twenty seconds two armed orders are written for each second once."""
    desk = Desk()
    first_s = desk.venue_s
    desk.arm()
    desk.arm(order_of(490_000, tif=Tif.FOK), strategy=2)
    for _ in range(20):
        desk.idle()
        desk.clock.at_ns += S
    assert sorted(desk.written) == sorted([*range(first_s, first_s + 21)] * 2)


def test_only_the_nearest_of_what_is_not_armed_gets_requests() -> None:
    """Many levels are signed ahead; a bounded number of them is worth a request each second."""
    desk = Desk(presigned=80, levels=40)
    desk.sign(order_of(500_000))
    desk.idle(400)
    assert desk.ladder.presigned_left == 80
    assert len(desk.written) == 2 * NEAR_MAX
    assert len(desk.sign(order_of(500_000)).requests) == 2
    assert desk.sign(order_of(530_000 + TICK * (NEAR_MAX // 2))).requests == {}


@pytest.mark.parametrize("presigned", [0, 8])
def test_nothing_is_written_where_nothing_is_held(presigned: int) -> None:
    """Without the rung, or without a wish, idle time has nothing to do."""
    desk = Desk(presigned=presigned)
    assert desk.idle() == 0
    assert desk.written == []
