"""Every order ends at what the venue made of it, whatever the order in which that is told."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from core_driver import LIMITS, UP, fill, params, report
from core_driver import instrument as instrument_record
from hypothesis import given
from hypothesis import strategies as st

from engine.core.orders.candidates import Candidates
from engine.core.orders.submission import reserve
from engine.core.params import StrategyParams
from engine.core.reports import Reports
from engine.core.world.instruments import instrument_from_record
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.math.units import MICROS
from engine.wire.codes import Kind, Liquidity, OrderStatus, Reason, Settlement, Side, Tif
from engine.wire.records import new, typed, words

HASH = bytes(range(32))
ORDER_ID, PRICE, SIZE = 7, 500_000, 20 * MICROS
OWNER = StrategyParams("owner", "engine.core.strategies.spread:Spread")
KEPT, LOST = b"k" * 16, b"l" * 16  # the trades: one settles, one fails


def working() -> tuple[Reports, World, Order]:
    """Return a world in which one order to buy 20 at 0.50 has left."""
    world = World(params(OWNER, limits=LIMITS))
    for index in (UP, UP + 1):
        world.accept(
            instrument_from_record(typed(words(instrument_record(index)), Kind.INSTRUMENT)[0])
        )
    order = Order(ORDER_ID, 1, UP, Side.BUY, PRICE, SIZE, Tif.GTC, 0)
    wish = Candidates(1)
    wish.put(0, world, 1, UP, Side.BUY, PRICE, SIZE, Tif.GTC, 0, post_only=True)
    reserve.py_func(wish.rows, 0, world.facts.instruments, world.facts.account)
    world.orders.open(order)
    return Reports(world), world, order


def state(status: OrderStatus, matched: int) -> np.ndarray:
    """Return what the private feed tells of the order."""
    record = new(Kind.ORDER_STATE)
    record["instrument"], record["order_hash"] = UP, np.void(HASH)
    record["price"], record["size"], record["matched"] = PRICE, SIZE, matched
    record["status"] = status
    return record


def traded(trade: bytes, size: str, settlement: Settlement, leg: int = 0) -> np.ndarray:
    """Return what is told of one fill of the order."""
    about = {"trade_id": trade, "settlement": settlement, "leg": leg}
    return fill(HASH, "0.5", size, liquidity=Liquidity.MAKER, **about)


EVENTS = {
    "signed": report(Kind.SIGNED, ORDER_ID, order_hash=HASH),
    "ack": report(Kind.ACK, ORDER_ID, status=OrderStatus.LIVE),
    "kept matched": traded(KEPT, "12", Settlement.MATCHED),
    "kept mined": traded(KEPT, "12", Settlement.MINED),
    "kept confirmed": traded(KEPT, "12", Settlement.CONFIRMED),
    "lost matched": traded(LOST, "8", Settlement.MATCHED),
    "lost retrying": traded(LOST, "8", Settlement.RETRYING),
    "lost failed": traded(LOST, "8", Settlement.FAILED),
    "partly filled": state(OrderStatus.LIVE, 12 * MICROS),
    "matched": state(OrderStatus.MATCHED, 20 * MICROS),
    "done": report(Kind.DONE, ORDER_ID, matched=20 * MICROS, reason=Reason.FILLED),
    "done, no figure": report(Kind.DONE, ORDER_ID, matched=-1, reason=Reason.CANCELED),
}
MUST = ["signed", "kept confirmed", "lost failed", "matched"]
MORE = sorted(EVENTS.keys() - set(MUST))


def tell(names: list[str]) -> tuple[World, Order]:
    """Apply events in this order."""
    reports, world, order = working()
    for name in names:
        for changed in reports.apply(words(EVENTS[name])[0]):
            assert changed is order
    assert reports.contradictions == 0, names
    return world, order


def assert_over(world: World, order: Order, names: list[str]) -> None:
    """The order is over at 12 of 20, 8 failed: nothing is reserved, 12 are held and paid for."""
    assert order.state == OrderState.DONE, names
    assert (order.filled, order.failed) == (12 * MICROS, 8 * MICROS), names
    assert (world.reserved_cash(), world.orders.working_count) == (0, 0), names
    assert (world.lots.size(UP), world.cash.flow) == (12 * MICROS, -6 * MICROS), names
    assert world.total_exposure() == 6 * MICROS, names


def test_every_order_of_the_least_that_must_be_told_ends_it() -> None:
    """All 720: name, ACK, both trades' last words (and one first word), the order's own."""
    told = [*MUST, "ack", "lost matched"]
    for names in permutations(told):
        assert_over(*tell(list(names)), list(names))


@given(st.data())
def test_repeats_and_states_between_change_nothing(data: st.DataObject) -> None:
    """Any of the other events, any number of times, anywhere: the end is the same."""
    more = data.draw(st.lists(st.sampled_from(MORE + MUST), max_size=12))
    names = data.draw(st.permutations(MUST + more))
    assert_over(*tell(names), names)


def test_one_trade_of_two_legs_of_one_order_is_two_fills() -> None:
    """The key is trade, order and repeat: told together, apart, or twice, 20 are held."""
    first, second = (
        traded(KEPT, size, Settlement.MATCHED, leg) for leg, size in enumerate(["12", "8"])
    )
    for told in ([first, second], [second, first], [first, first, second], [second, first, second]):
        reports, world, order = working()
        for record in (EVENTS["signed"], *told):
            list(reports.apply(words(record)[0]))
        assert world.lots.size(UP) == 20 * MICROS
        assert order.state == OrderState.DONE
