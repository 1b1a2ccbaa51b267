"""What proves that an order is dead, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson
import pytest

from engine.wire.codes import Reason
from signer.cancels import Cancels
from signer.http import Answer, AnswerHandler, Outcome
from signer.look_ups import KNOWN_MISSING_NS, LookUps
from signer.orders import Orders, OrderState, SentOrder
from signer.ratelimit import RateLimits, RateSettings
from signer.responses import Fate, Verdict
from signer.sweep import PACE_NS, REST_NS, Sweep

S = 1_000_000_000
LIFETIME_NS = 5 * S
HASH = bytes(range(32))
ORDER_ID = "0x" + HASH.hex()


def answered(status: int, content: object) -> Answer:
    """An answer with a JSON body."""
    return Answer(Outcome.ANSWERED, status, orjson.dumps(content), 1, 2)


MISSING = answered(404, {"error": "Order not found"})
BROKEN = answered(500, {"error": "Internal server error"})
LIVE = answered(200, {"id": ORDER_ID, "status": "LIVE", "size_matched": "0"})
DENIED = answered(200, {"canceled": [], "not_canceled": {ORDER_ID: "Order not found"}})
UNNAMED = answered(200, {"canceled": [], "not_canceled": {}})
CANCELED = answered(200, {"canceled": [ORDER_ID], "not_canceled": {}})


class Desk:
    """Look-ups and cancels of one order, and a venue that answers each at once as it is told to."""

    def __init__(self, look_up: Answer, cancel: Answer, *, state: OrderState) -> None:
        self.now_ns = 100 * S
        self.look_up_answer, self.cancel_answer = look_up, cancel
        self.evidence: list[tuple[int, Verdict]] = []
        self.look_ups: list[int] = []
        self.cancels: list[int] = []
        self.resent = 0
        self.may_send_again = False
        self._answers: list[Callable[[], None]] = []
        self.order = SentOrder(1, 0, HASH, 1, 2, state=state)
        orders, limits = Orders(), RateLimits(RateSettings())
        orders.add(self.order)
        clock = lambda: self.now_ns  # noqa: E731
        self.seeker = LookUps(
            self,  # type: ignore[arg-type]
            limits,
            clock,
            LIFETIME_NS,
            self._on_evidence,
            self._send_again,
            lambda order: self._canceller.cancel(order),
        )
        self._canceller = Cancels(
            self,  # type: ignore[arg-type]
            limits,
            orders,
            self.seeker,
            clock,
            self._on_evidence,
        )
        self.sent_again = self.seeker.on_sent_again

    def begin(self) -> None:
        """Begin to look the order up."""
        self.seeker.begin(self.order)

    def cancel(self) -> None:
        """Cancel it."""
        self._canceller.cancel(self.order)

    def run(self, seconds: float) -> None:
        """Let so much time pass, in steps of 50 ms."""
        end_ns = self.now_ns + int(seconds * S)
        while self.now_ns < end_ns and not self.evidence:
            self._canceller.work(self.now_ns)
            self.seeker.work(self.now_ns)
            answers, self._answers = self._answers, []
            for answer in answers:
                answer()
            self.now_ns += 50_000_000

    def look_up(self, _order_hash: bytes, handler: AnswerHandler) -> None:
        """Answer a look-up."""
        self.look_ups.append(self.now_ns)
        self._answers.append(partial(handler, self.look_up_answer))

    def cancel_order(self, _order_hash: bytes, handler: AnswerHandler) -> None:
        """Answer a cancel."""
        self.cancels.append(self.now_ns)
        self._answers.append(partial(handler, self.cancel_answer))

    def _send_again(self, _order: SentOrder) -> bool:
        self.resent += self.may_send_again
        return self.may_send_again

    def _on_evidence(self, order: SentOrder, verdict: Verdict) -> None:
        if verdict.fate == Fate.ACCEPTED:
            if order.cancel_is_wanted:
                self._canceller.repeat(order)
            return
        self.evidence.append((self.now_ns, verdict))


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.LIVE])
@pytest.mark.parametrize(
    ("look_up", "cancel"),
    [(BROKEN, BROKEN), (BROKEN, DENIED), (MISSING, BROKEN), (MISSING, UNNAMED)],
    ids=["mute", "no look-ups", "no cancels", "cancels that name nothing"],
)
def test_no_order_ends_by_time(look_up: Answer, cancel: Answer, state: OrderState) -> None:
    """Five minutes and dozens of questions without evidence leave it as it was."""
    desk = Desk(look_up, cancel, state=state)
    desk.begin()
    desk.run(300)
    assert desk.evidence == []
    assert len(desk.look_ups) > 50


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.LIVE])
def test_what_nothing_finds_is_dead_within_ten_seconds(state: OrderState) -> None:
    """Missing, a lifetime, a cancel by hash that finds nothing, missing once more."""
    desk = Desk(MISSING, DENIED, state=state)
    began_ns = desk.now_ns
    desk.begin()
    desk.run(10)
    ((ended_ns, verdict),) = desk.evidence
    assert verdict == Verdict(Fate.REFUSED, Reason.VENUE_NOT_FOUND)
    assert desk.cancels[-1] >= began_ns + max(LIFETIME_NS, KNOWN_MISSING_NS)
    assert desk.look_ups[-1] > desk.cancels[-1]
    assert ended_ns > desk.look_ups[-1] - 1


def test_a_cancel_that_found_nothing_too_early_is_asked_again() -> None:
    """Before a lifetime is over the order may still be on its way: that cancel proves nothing."""
    desk = Desk(MISSING, DENIED, state=OrderState.UNKNOWN)
    desk.order.cancel_is_wanted = True
    desk.begin()
    desk.order.denied_ns = desk.now_ns + 1
    desk.run(10)
    assert len(desk.cancels) == 1
    assert desk.cancels[0] >= desk.look_ups[0] + LIFETIME_NS


def test_an_order_that_arrives_late_is_cancelled_by_hash() -> None:
    """Missing at first, then there: the cancel that was to prove its absence ends it."""
    desk = Desk(MISSING, CANCELED, state=OrderState.UNKNOWN)
    desk.begin()
    desk.run(10)
    ((_, verdict),) = desk.evidence
    assert verdict == Verdict(Fate.ENDED, Reason.CANCELED)


@pytest.mark.parametrize(
    "reason", [Reason.VENUE_RATE, Reason.VENUE_AUTH, Reason.VENUE_RESTARTING, Reason.NO_CONNECTION]
)
def test_a_refusal_at_the_door_proves_nothing_of_the_first_copy(reason: Reason) -> None:
    """The venue did not look at the bytes that were sent again: a cancel must find nothing too."""
    desk = Desk(MISSING, DENIED, state=OrderState.UNKNOWN)
    desk.may_send_again = True
    desk.begin()
    desk.run(0.1)
    assert desk.resent == 1
    desk.may_send_again = False
    desk.sent_again(desk.order, Verdict(Fate.REFUSED, reason))
    desk.run(10)
    assert len(desk.evidence) == 1
    assert len(desk.cancels) == 1


def test_a_refusal_of_the_same_bytes_needs_no_cancel() -> None:
    """The venue looked at them, and would have said that it has them already."""
    desk = Desk(MISSING, BROKEN, state=OrderState.UNKNOWN)
    desk.may_send_again = True
    desk.begin()
    desk.run(0.1)
    desk.sent_again(desk.order, Verdict(Fate.REFUSED, Reason.VENUE_BALANCE))
    desk.run(10)
    ((ended_ns, verdict),) = desk.evidence
    assert verdict == Verdict(Fate.REFUSED, Reason.VENUE_BALANCE)
    assert ended_ns >= 100 * S + LIFETIME_NS
    assert desk.cancels == []
    assert desk.resent == 1


@pytest.mark.parametrize("reason", [Reason.VENUE_REJECTED, Reason.UNREADABLE_ANSWER])
def test_bytes_that_teach_nothing_are_not_sent_a_third_time(reason: Reason) -> None:
    """The answer would be the same: a cancel decides."""
    desk = Desk(MISSING, DENIED, state=OrderState.UNKNOWN)
    desk.may_send_again = True
    desk.begin()
    desk.run(0.1)
    desk.sent_again(desk.order, Verdict(Fate.UNKNOWN, reason))
    desk.run(10)
    assert desk.resent == 1
    assert len(desk.evidence) == 1


def test_cancels_of_one_order_do_not_multiply() -> None:
    """Found alive by each look, named by no cancel: one cancel at a time, four a second."""
    desk = Desk(LIVE, UNNAMED, state=OrderState.LIVE)
    desk.cancel()
    desk.run(10)
    assert desk.evidence == []
    assert 10 < len(desk.cancels) <= 45


def test_what_rests_is_looked_at_now_and_then() -> None:
    """Not before it has rested for long, one at a time, and no more once it has ended."""
    desk = Desk(LIVE, BROKEN, state=OrderState.LIVE)
    sweep = Sweep(desk.seeker)
    other = SentOrder(2, 0, bytes(32), 1, 2, state=OrderState.LIVE)
    for order in (desk.order, other):
        sweep.note(order, desk.now_ns)
    assert sweep.work(desk.now_ns + REST_NS - 1) == 0
    assert sweep.work(desk.now_ns + REST_NS) == 1
    assert (desk.order.is_looked_up, other.is_looked_up) == (True, False)
    assert sweep.work(desk.now_ns + REST_NS + PACE_NS - 1) == 0
    other.state = OrderState.ENDED
    assert sweep.work(desk.now_ns + REST_NS + PACE_NS) == 1
    assert not other.is_looked_up
    assert sweep.work(desk.now_ns + 2 * REST_NS - 1) == 0
    assert sweep.work(desk.now_ns + 2 * REST_NS + PACE_NS) == 1
