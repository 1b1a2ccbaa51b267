"""What an order log says at start: the orders to go on with, whether earlier runs left any, and
what each may have cost.

An order whose log ends with SIGNED or UNKNOWN may be live: it is looked up, never signed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from engine.wire.codes import Side
from signer.amounts import ONE, Amounts
from signer.log_format import Entry, EntryKind, Placed
from signer.orders import OrderState, SentOrder
from signer.policy import stake_of

_STATES = {
    EntryKind.SIGNED: OrderState.UNKNOWN,
    EntryKind.UNKNOWN: OrderState.UNKNOWN,
    EntryKind.ACKED: OrderState.LIVE,
    EntryKind.REJECTED: OrderState.ENDED,
    EntryKind.DONE: OrderState.ENDED,
}


class Recovered(NamedTuple):
    """orders: of this run. has_strangers: whether an order of an earlier run may be live.

    stakes: of every order of any run that may have been filled, with when it was signed.
    """

    orders: list[SentOrder]
    has_strangers: bool
    stakes: list[tuple[int, int]]


def recover(entries: Iterable[Placed], run_id: int) -> Recovered:
    """Return what is left to do of the orders in a log, oldest first."""
    signed: dict[bytes, Entry] = {}
    last: dict[bytes, Entry] = {}
    for placed in entries:
        entry = placed.entry
        if entry.kind == EntryKind.SIGNED:
            signed[entry.order_hash] = entry
        last[entry.order_hash] = entry
    orders = []
    stakes = []
    has_strangers = False
    for order_hash, entry in signed.items():
        end = last[order_hash]
        order = _order_of(entry, _STATES[EntryKind(end.kind)])
        spent = _spent(order, end)
        if spent:
            stakes.append((spent, entry.time_ns))
        if entry.run_id == run_id:
            orders.append(order)
        elif order.state is not OrderState.ENDED:
            has_strangers = True
    return Recovered(orders, has_strangers, stakes)


def _spent(order: SentOrder, end: Entry) -> int:
    """Return what an order may have cost, by the last entry about it."""
    if end.kind == EntryKind.REJECTED:
        return 0
    if end.kind == EntryKind.DONE and end.matched >= 0:
        return order.stake * min(end.matched, order.size) // order.size
    return order.stake


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
        body=entry.body if state is OrderState.UNKNOWN else b"",
        size=shares,
        stake=stake_of(side, Amounts(maker, taker)),
        signed_ns=entry.time_ns,
    )
