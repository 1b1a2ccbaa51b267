"""A decided order as records: the DECISION that tells of it and the NEW_ORDER that sends it."""

from __future__ import annotations

from engine.core.orders import ids
from engine.core.outbox import Outbox
from engine.core.risk.gates import Candidate
from engine.core.strategies.base import Event
from engine.core.world.orders import Order
from engine.core.world.world import World
from engine.wire.codes import Reason


def order_of(candidate: Candidate, order_id: int) -> Order:
    """Return the order a candidate becomes."""
    return Order(
        order_id,
        candidate.strategy,
        candidate.instrument.index,
        candidate.side,
        candidate.price,
        candidate.size,
        candidate.tif,
        candidate.leg,
    )


def write_decision(
    outbox: Outbox,
    world: World,
    candidate: Candidate,
    event: Event,
    reason: Reason,
    order_id: int,
) -> None:
    """Hot path. Tell what became of a candidate. order_id: 0 = it became no order."""
    touch = candidate.touch
    outbox.decision(
        candidate.instrument.index,
        event.trace,
        order_id=order_id,
        price=candidate.price,
        size=candidate.size,
        edge=candidate.edge,
        bid=touch.bid,
        ask=touch.ask,
        book_age_ns=world.now_ns - touch.local_ns,
        reason=reason,
        strategy=candidate.strategy,
        side=candidate.side,
        leg=candidate.leg,
    )


def write_order(outbox: Outbox, candidate: Candidate, event: Event, order_id: int) -> None:
    """Hot path. Send a candidate that has passed every gate."""
    outbox.new_order(
        candidate.instrument.index,
        event.trace,
        order_id=order_id,
        price=candidate.price,
        size=candidate.size,
        budget=candidate.spends,
        salt=ids.salt(order_id),
        trigger_ns=event.trigger_ns,
        tick=candidate.instrument.tick,
        side=candidate.side,
        tif=candidate.tif,
        post_only=candidate.post_only,
        strategy=candidate.strategy,
        leg=candidate.leg,
    )
