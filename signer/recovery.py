"""What an order log says at start: the orders to go on with, what the core is told of them, and
what each may have cost.

An order whose log ends with SIGNED or UNKNOWN may be live: it is looked up, never signed again. One
of an earlier run is doomed as well: cancelled, and looked up until there is evidence of its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from engine.wire.codes import Reason, Side, Tif
from signer.amounts import ONE, Amounts
from signer.log_format import Entry, EntryKind, Placed
from signer.orders import OrderState, SentOrder
from signer.policy import stake_of

# How long after its end an order still matters to the core. A fill settles within hours, a market
# with two disputes resolves within days; what is read back of the account reaches no further.
TOLD_NS_MAX = 30 * 86_400 * 1_000_000_000
_AT_ONCE = frozenset((Tif.FOK, Tif.FAK))
_STATES = {
    EntryKind.SIGNED: OrderState.UNKNOWN,
    EntryKind.UNKNOWN: OrderState.UNKNOWN,
    EntryKind.ACKED: OrderState.LIVE,
    EntryKind.REJECTED: OrderState.ENDED,
    EntryKind.DONE: OrderState.ENDED,
}


class Told(NamedTuple):
    """What RECOVERED says of an order. strategy_key: of its strategy's name, 0 = not said."""

    order_id: int
    order_hash: bytes
    price: int
    size: int
    strategy_key: int
    side: int
    tif: int
    is_open: bool


class Recovered(NamedTuple):
    """orders: of this run, and those of earlier runs that still matter.

    told: those that still matter, of all runs.
    stakes: of every order of any run that may have been filled, with when it was signed.
    """

    orders: list[SentOrder]
    told: list[Told]
    stakes: list[tuple[int, int]]


def recover(entries: Iterable[Placed], run_id: int, now_ns: int) -> Recovered:
    """Return what is left to do of the orders in a log, oldest first. now_ns: the time of day."""
    signed: dict[bytes, Entry] = {}
    last: dict[bytes, Entry] = {}
    doubted: set[bytes] = set()
    for placed in entries:
        entry = placed.entry
        if entry.kind == EntryKind.SIGNED:
            signed[entry.order_hash] = entry
        elif entry.kind == EntryKind.UNKNOWN:
            doubted.add(entry.order_hash)
        last[entry.order_hash] = entry
    found = Recovered([], [], [])
    for order_hash, entry in signed.items():
        end = last[order_hash]
        is_ours = entry.run_id == run_id
        order, tif = _order_of(entry, end, is_ours=is_ours)
        spent = _spent(order, end)
        order.released = order.stake - spent
        if spent:
            found.stakes.append((spent, entry.time_ns))
        matters = _matters(order, end, order_hash in doubted, now_ns)
        if matters:
            found.told.append(_told(order, entry, tif))
        if matters or is_ours:
            found.orders.append(order)
    return found


def _matters(order: SentOrder, end: Entry, was_doubted: bool, now_ns: int) -> bool:
    """Whether an order may be live, or may still be filled as far as the core can learn."""
    if order.state is not OrderState.ENDED:
        return True
    # A refusal of an order that was in doubt once is a conclusion, and may turn out to be wrong.
    is_refused = end.kind == EntryKind.REJECTED and not was_doubted
    return not is_refused and now_ns - end.time_ns <= TOLD_NS_MAX


def _spent(order: SentOrder, end: Entry) -> int:
    """Return what an order may have cost, by the last entry about it."""
    if end.kind == EntryKind.REJECTED:
        return 0
    if end.kind == EntryKind.DONE and end.matched >= 0:
        return order.stake * min(end.matched, order.size) // order.size
    return order.stake


def _told(order: SentOrder, signed: Entry, tif: int) -> Told:
    return Told(
        order.order_id,
        order.order_hash,
        order.price,
        order.size,
        signed.strategy_key,
        order.side,
        tif,
        order.state is not OrderState.ENDED,
    )


def _order_of(entry: Entry, end: Entry, *, is_ours: bool) -> tuple[SentOrder, int]:
    """Return an order as its last entry leaves it, and its type."""
    content = orjson.loads(entry.body)
    fields = content["order"]
    side = Side[fields["side"]]
    tif = Tif[content["orderType"]]
    maker, taker = int(fields["makerAmount"]), int(fields["takerAmount"])
    usd, shares = (maker, taker) if side is Side.BUY else (taker, maker)
    state = _STATES[EntryKind(end.kind)]
    is_at_once = tif in _AT_ONCE
    if end.kind == EntryKind.ACKED and end.matched >= (0 if is_at_once else shares):
        state = OrderState.ENDED  # it was matched when it was accepted, as far as it could be
    was_revived = end.kind == EntryKind.UNKNOWN and end.reason == Reason.REVIVED
    is_doomed = state is not OrderState.ENDED and (was_revived or not is_ours)
    may_be_sent = state is OrderState.UNKNOWN and not is_doomed
    order = SentOrder(
        entry.order_id,
        entry.attempt,
        entry.order_hash,
        entry.instrument if is_ours else 0,
        0,
        side=side,
        price=usd * ONE // shares,
        is_at_once=is_at_once,
        state=state,
        body=entry.body if may_be_sent else b"",
        size=shares,
        stake=stake_of(side, Amounts(maker, taker)),
        signed_ns=entry.time_ns,
    )
    if is_doomed:
        order.state = OrderState.LIVE  # its end alone is told: whether it ever lived is not known
        order.doom()
    return order, int(tif)
