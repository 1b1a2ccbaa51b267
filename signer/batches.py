"""Several orders in one request: `POST /orders`, with an outcome for each leg.

The answer is a list in the order of the request. A leg is accepted or refused only by words of its
own; one with neither id nor reason is UNKNOWN, and so is every leg of a list that cannot be matched
to the request. When the venue refuses the request as a whole, it refuses every leg.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from engine.wire.codes import Reason
from signer.http import Answer, Outcome
from signer.orders import SentOrder
from signer.rails.port import Rail
from signer.responses import Fate, Verdict, classify_order, classify_order_content

ORDERS_MAX = 15  # the venue takes no more in one request
_UNREADABLE = Verdict(Fate.UNKNOWN, Reason.UNREADABLE_ANSWER)


class Batch:
    """Orders signed and logged in one round of the signer, not sent yet."""

    __slots__ = ("_on_verdict", "_orders", "_rail")

    def __init__(
        self, rail: Rail, on_verdict: Callable[[SentOrder, Verdict, Answer], None]
    ) -> None:
        self._rail = rail
        self._on_verdict = on_verdict
        self._orders: list[SentOrder] = []

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: SentOrder) -> None:
        """Take an order whose body is to be sent. Hot path."""
        self._orders.append(order)

    def send(self) -> None:
        """Send what was gathered; a single order goes the way of single orders."""
        orders, self._orders = self._orders, []
        if len(orders) == 1:
            (order,) = orders
            self._rail.send_order(
                order.body,
                lambda answer: self._on_verdict(
                    order, classify_order(answer, order.order_hash), answer
                ),
            )
        elif orders:
            self._rail.send_orders(
                [order.body for order in orders], lambda answer: self._on_answer(orders, answer)
            )

    def _on_answer(self, orders: list[SentOrder], answer: Answer) -> None:
        verdicts = classify_batch(answer, [order.order_hash for order in orders])
        for order, verdict in zip(orders, verdicts, strict=True):
            self._on_verdict(order, verdict, answer)


def classify_batch(answer: Answer, hashes: Sequence[bytes]) -> list[Verdict]:
    """Return what the answer to `POST /orders` means for each order, in the order they were sent.

    A leg with an id belongs to the order of that hash wherever it stands; one without an id is
    matched by its place, if the list is as long as the request and in its order.
    """
    if answer.outcome != Outcome.ANSWERED or answer.status != 200:
        return [classify_order(answer, order_hash) for order_hash in hashes]
    try:
        legs = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        legs = None
    if not isinstance(legs, list):
        return [_UNREADABLE] * len(hashes)
    ids = ["0x" + order_hash.hex() for order_hash in hashes]
    told = [_id_of(leg) for leg in legs]
    placed: list[Any] = legs
    if len(legs) != len(ids) or any(
        leg_id in ids and leg_id != own for leg_id, own in zip(told, ids, strict=True)
    ):
        placed = [None] * len(ids)  # no place can be trusted
    named = {leg_id: leg for leg_id, leg in zip(told, legs, strict=True) if leg_id}
    return [
        _classify_leg(named.get(own, leg), order_hash) if told.count(own) < 2 else _UNREADABLE
        for own, leg, order_hash in zip(ids, placed, hashes, strict=True)
    ]


def _classify_leg(leg: Any, order_hash: bytes) -> Verdict:
    return classify_order_content(leg, order_hash) if isinstance(leg, dict) else _UNREADABLE


def _id_of(leg: Any) -> str:
    """Return the id in a leg, lower case; "" if there is none."""
    order_id = leg.get("orderID") if isinstance(leg, dict) else None
    return order_id.lower() if isinstance(order_id, str) else ""
