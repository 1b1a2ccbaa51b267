"""Several orders in one request: each leg has its own fate."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.codes import OrderStatus, Reason
from signer.batches import Batch, classify_batch
from signer.http import Answer, AnswerHandler, Outcome
from signer.orders import SentOrder
from signer.responses import Fate, Verdict

HASHES = [bytes([number]) * 32 for number in range(1, 5)]
LIVE = Verdict(Fate.ACCEPTED, Reason.OK, OrderStatus.LIVE)
UNREADABLE = Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)


def leg(number: int, **changes: Any) -> dict[str, Any]:
    """The answer to an accepted leg."""
    accepted = {"success": True, "errorMsg": "", "orderID": "0x" + HASHES[number].hex()}
    return {**accepted, "status": "live", "makingAmount": "", "takingAmount": "", **changes}


def answered(content: Any, status: int = 200) -> Answer:
    """An answer with a JSON body, or with these bytes."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Answer(Outcome.ANSWERED, status, body, 1, 2)


def test_each_leg_has_its_own_fate() -> None:
    """Accepted, refused by its text, rate-limited while it reads "delayed", and nothing said."""
    limited = leg(2, status="delayed", orderID="", errorMsg="Rate limit exceeded for tokenId: 1")
    legs = [leg(0), leg(1, orderID="", errorMsg="not enough balance / allowance"), limited]
    legs.append({"success": True, "errorMsg": "", "orderID": "", "status": ""})
    assert classify_batch(answered(legs), HASHES) == [
        LIVE,
        Verdict(Fate.REFUSED, Reason.VENUE_BALANCE),
        Verdict(Fate.REFUSED, Reason.VENUE_RATE),
        UNREADABLE,
    ]


def test_a_leg_belongs_to_the_order_whose_id_it_has() -> None:
    """A list in another order is read all the same."""
    legs = [leg(3), leg(2, status="delayed"), leg(1), leg(0)]
    verdicts = classify_batch(answered(legs), HASHES)
    assert [verdict.fate for verdict in verdicts] == [Fate.ACCEPTED] * 4
    assert verdicts[2].status == OrderStatus.DELAYED


def test_a_list_of_another_length_says_nothing_of_legs_without_ids() -> None:
    """Three answers for four orders: whose reason is whose?"""
    legs = [leg(0), {"success": False, "errorMsg": "invalid signature"}, leg(3)]
    assert classify_batch(answered(legs), HASHES) == [LIVE, UNREADABLE, UNREADABLE, LIVE]


def test_a_list_in_another_order_says_nothing_of_legs_without_ids() -> None:
    """One id stands at the place of another order: a reason without an id is of any of them."""
    legs = [leg(1), {"success": False, "errorMsg": "invalid signature"}, leg(2), leg(3)]
    assert classify_batch(answered(legs), HASHES) == [UNREADABLE, LIVE, LIVE, LIVE]


def test_an_id_that_comes_twice_is_not_believed() -> None:
    """Accepted in one leg and refused in the other: the order is looked up."""
    legs = [leg(0), leg(0, errorMsg="invalid signature"), leg(2), leg(3)]
    assert classify_batch(answered(legs), HASHES) == [UNREADABLE, UNREADABLE, LIVE, LIVE]


@pytest.mark.parametrize("content", [{"foo": 1}, {}, {"success": False}, {"message": "no"}])
def test_a_leg_without_id_and_known_reason_is_unknown(content: dict[str, Any]) -> None:
    """As for a single order: it may rest."""
    legs = [leg(0), content, leg(2), leg(3)]
    assert classify_batch(answered(legs), HASHES) == [LIVE, UNREADABLE, LIVE, LIVE]


def test_an_id_that_is_nobodys_hash_is_a_mismatch() -> None:
    """The venue has an order we did not sign: that is never a success."""
    legs = [leg(0, orderID="0x" + "ab" * 32), leg(1), leg(2), leg(3)]
    first = classify_batch(answered(legs), HASHES)[0]
    assert first == Verdict(Fate.UNKNOWN, Reason.HALT_HASH_MISMATCH)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (answered({"error": "Too many orders in payload: 16, max allowed: 15"}, 400),
         Verdict(Fate.REFUSED, Reason.VENUE_REJECTED)),
        (answered(b"<html>", 429), Verdict(Fate.REFUSED, Reason.VENUE_RATE)),
        (answered({"error": "service not ready"}, 425),
         Verdict(Fate.REFUSED, Reason.VENUE_RESTARTING)),
        (answered(b"", 502), Verdict(Fate.UNKNOWN, Reason.VENUE_ERROR)),
        (Answer(Outcome.TIMEOUT, 0, b"", 1, 2), Verdict(Fate.UNKNOWN, Reason.TIMEOUT)),
        (Answer(Outcome.NOT_SENT, 0, b"", 0, 2), Verdict(Fate.REFUSED, Reason.NO_CONNECTION)),
        (answered({"success": True}), UNREADABLE),
        (answered(b"[{"), UNREADABLE),
        (answered([]), UNREADABLE),
        (answered([1, None, "x", []]), UNREADABLE),
    ],
)  # fmt: skip
def test_what_befalls_the_request_befalls_every_leg(answer: Answer, verdict: Verdict) -> None:
    """A request refused as a whole refuses all; one that is not understood refuses none."""
    assert classify_batch(answer, HASHES) == [verdict] * 4


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["orderID", "errorMsg", "error", "status", "success", "makingAmount"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json)
def test_no_answer_is_mistaken_for_a_success(content: Any) -> None:
    """Whatever the JSON: a verdict for each order, and never accepted without its own id."""
    try:
        answer = answered(content)
    except TypeError:  # an integer too large for the encoder
        return
    verdicts = classify_batch(answer, HASHES)
    assert len(verdicts) == len(HASHES)
    assert all(verdict.fate in (Fate.REFUSED, Fate.UNKNOWN) for verdict in verdicts)


class Rail:
    """Notes what it is to send."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.handlers: list[AnswerHandler] = []

    def send_order(self, body: bytes, handler: AnswerHandler) -> None:
        """One order."""
        self.sent.append([body])
        self.handlers.append(handler)

    def send_orders(self, bodies: list[bytes], handler: AnswerHandler) -> None:
        """Several."""
        self.sent.append(bodies)
        self.handlers.append(handler)


def test_a_batch_sends_what_it_gathered_once() -> None:
    """One order goes alone, several go together, and an empty batch sends nothing."""
    rail = Rail()
    seen: list[tuple[int, int]] = []
    batch = Batch(rail, lambda order, verdict, _: seen.append((order.order_id, verdict.fate)))  # type: ignore[arg-type]
    orders = [
        SentOrder(number, 0, order_hash, 1, 2, body=b'{"n":%d}' % number)
        for number, order_hash in enumerate(HASHES)
    ]
    batch.add(orders[0])
    batch.send()
    for order in orders[1:]:
        batch.add(order)
    assert len(batch) == 3
    batch.send()
    batch.send()
    assert rail.sent == [[b'{"n":0}'], [b'{"n":1}', b'{"n":2}', b'{"n":3}']]
    rail.handlers[0](answered(leg(0)))
    rail.handlers[1](answered([leg(1), leg(2, orderID="", errorMsg="invalid signature"), leg(3)]))
    assert seen == [(0, Fate.ACCEPTED), (1, Fate.ACCEPTED), (2, Fate.REFUSED), (3, Fate.ACCEPTED)]
