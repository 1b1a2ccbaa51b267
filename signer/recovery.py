"""What an order log says at start: the orders to go on with, and whether earlier runs left any.

An order whose log ends with SIGNED or UNKNOWN may be live: it is looked up, never signed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from engine.wire.codes import Side
from signer.amounts import ONE
from signer.log_format import Entry, EntryKind, Placed
from signer.orders import OrderState, SentOrder

_STATES = {
    EntryKind.SIGNED: OrderState.UNKNOWN,
    EntryKind.UNKNOWN: OrderState.UNKNOWN,
    EntryKind.ACKED: OrderState.LIVE,
    EntryKind.REJECTED: OrderState.ENDED,
    EntryKind.DONE: OrderState.ENDED,
}


class Recovered(NamedTuple):
    """orders: of this run. has_strangers: whether an order of an earlier run may be live."""

    orders: list[SentOrder]
    has_strangers: bool


def recover(entries: Iterable[Placed], run_id: int) -> Recovered:
    """Return what is left to do of the orders in a log, oldest first."""
    signed: dict[bytes, Entry] = {}
    last: dict[bytes, int] = {}
    for placed in entries:
        entry = placed.entry
        if entry.kind == EntryKind.SIGNED:
            signed[entry.order_hash] = entry
        last[entry.order_hash] = entry.kind
    orders = []
    has_strangers = False
    for order_hash, entry in signed.items():
        order = _order_of(entry, _STATES[EntryKind(last[order_hash])])
        if entry.run_id == run_id:
            orders.append(order)
        elif order.state is not OrderState.ENDED:
            has_strangers = True
    return Recovered(orders, has_strangers)


def _order_of(entry: Entry, state: OrderState) -> SentOrder:
    content = orjson.loads(entry.body)
    fields = content["order"]
    side = Side[fields["side"]]
    is_at_once = content["orderType"] in ("FOK", "FAK")
    maker, taker = int(fields["makerAmount"]), int(fields["takerAmount"])
    usd, shares = (maker, taker) if side is Side.BUY else (taker, maker)
    if is_at_once and state is OrderState.LIVE:
        state = OrderState.ENDED  # it was accepted, so it was over at once
    return SentOrder(
        entry.order_id,
        entry.attempt,
        entry.order_hash,
        entry.instrument,
        0,
        side=side,
        price=usd * ONE // shares,
        is_at_once=is_at_once,
        state=state,
    )
