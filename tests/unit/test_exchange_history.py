"""What the exchange remembers of orders that have ended: the last of them, whatever it has seen."""

from __future__ import annotations

import gc
import tracemalloc

from central_support import MICROS, Floor

from engine.exchange.rules import VenueRules
from engine.wire.codes import Side, Tif

KEPT = 20
RULES = VenueRules(taker_delay_ms=0, history_max=KEPT)


def busy(floor: Floor, rounds: int) -> list[str]:
    """Cancel one order and fill two in each round; return the ids of the cancelled ones."""
    cancelled = []
    for _ in range(rounds):
        cancelled.append(floor.send(0, Side.BUY, 40, 5))
        floor.venue.cancel(floor.traders[0], cancelled[-1:])
        floor.send(0, Side.BUY, 50, 5)
        floor.send(1, Side.BUY, 50, 2.5, Tif.FAK, outcome=1)
        floor.answers.clear()
    return cancelled


def rich_floor() -> Floor:
    """A floor with a short memory, where two traders can afford a thousand rounds."""
    floor = Floor(RULES)
    for trader in floor.traders:
        trader.add(0, 100_000 * MICROS)
    return floor


def test_the_oldest_ended_orders_are_forgotten_and_open_ones_never():
    """The last ended orders and fills can be asked for; an order that rests outlives them all."""
    floor = rich_floor()
    resting = floor.send(0, Side.BUY, 30, 5)
    cancelled = busy(floor, 50)
    desk, trades = floor.venue.desk, floor.venue.trades
    assert desk.orders[resting].is_open
    assert len(desk.orders) == KEPT + 1
    assert cancelled[-1] in desk.orders
    assert cancelled[0] not in desk.orders
    assert floor.venue.cancel(floor.traders[0], cancelled[:1]) == {
        cancelled[0]: "Order not found or already canceled"
    }
    assert len(trades) == KEPT
    assert list(trades.values())[-1].order.order_hash in desk.orders


def test_a_long_day_takes_no_more_memory_than_a_short_one():
    """Of 3,000 further orders nothing stays: no order, no trade, no timer, no note of them."""
    floor = rich_floor()
    busy(floor, 100)
    floor.schedule.advance(floor.schedule.now_ms + 60_000)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    busy(floor, 1_000)
    floor.schedule.advance(floor.schedule.now_ms + 60_000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 3_000 * 16
