"""The sums the gates ask for are kept as orders and lots change; here they are made anew."""

from __future__ import annotations

from core_driver import DOWN, LIMITS, UP, params
from hypothesis import given
from hypothesis import strategies as st

from engine.core.orders import lifecycle
from engine.core.orders.candidates import Candidates
from engine.core.orders.submission import reserve
from engine.core.world.facts import BEST_BUY, BEST_SELL, NO_SELL
from engine.core.world.instruments import Instrument
from engine.core.world.lots import Lot
from engine.core.world.orders import Order
from engine.core.world.world import World
from engine.math.units import notional_micros_ceil
from engine.wire.codes import FeeCurve, OrderStatus, Reason, Settlement, Side, Tif

INDICES = (UP, DOWN, UP + 2, DOWN + 2)
SIZES = st.integers(1, 500).map(lambda n: n * 10_000)

ORDERS = st.tuples(
    st.sampled_from(INDICES),
    st.sampled_from(list(Side)),
    st.integers(1, 99).map(lambda cents: cents * 10_000),
    SIZES,
    st.sampled_from([Tif.GTC, Tif.FAK]),
)
# (which order, what happens to it, a size)
REPORTS = st.tuples(
    st.integers(0, 7), st.sampled_from(["ack", "reject", "unknown", "done", "fill", "fail"]), SIZES
)


def two_markets() -> World:
    """Return a world that knows two markets."""
    world = World(params(limits=LIMITS))
    for index in INDICES:
        outcome = (index - UP) % 2
        complement = index + 1 - 2 * outcome
        world.accept(
            Instrument(
                index, complement, outcome, FeeCurve.V2, 70_000, 1, 10_000, 5_000_000, 0, 1 << 62
            )
        )
    return world


def let_leave(world: World, order: Order) -> None:
    """Reserve an order as the kernel does that lets it leave, and open it."""
    wish = Candidates(1)
    terms = order.instrument, order.side, order.price, order.size, order.tif, order.leg
    wish.put(0, world, order.strategy, *terms)
    reserve.py_func(wish.rows, 0, world.facts.instruments, world.facts.account)
    world.orders.open(order)


def report(world: World, order: Order, what: str, size: int, number: int) -> None:
    """Do to an order what a report of this kind does."""
    orders = world.orders
    match what:
        case "ack":
            lifecycle.on_ack(orders, order, OrderStatus.MATCHED, size, size)
        case "reject":
            lifecycle.on_reject(orders, order, Reason.VENUE_RATE)
        case "unknown":
            lifecycle.on_unknown(order)
        case "done":
            lifecycle.on_done(orders, order, size, Reason.CANCELED)
        case "fill" | "fail":
            key = (number.to_bytes(2, "big"), b"", 0)
            notional = order.price * size // 1_000_000
            for settlement in [Settlement.MATCHED, Settlement.FAILED][: 1 + (what == "fail")]:
                lot = Lot(
                    1, order.instrument, order.side, order.price, size, notional, 0, settlement
                )
                lifecycle.on_fill(orders, order, world.lots.apply(key, lot))


def expected_exposure(world: World, number: int) -> int:
    """Return a market's exposure by its definition: lots less full sets, and all working buys."""
    market = world.instruments.markets[number]
    cost, held, working = 0, [], 0
    for index in (market.up.index, market.down.index):
        positions = list(world.lots.holders(index))
        cost += sum(p.cost for p in positions)
        held.append(sum(p.size for p in positions))
        for order in world.orders.working(index):
            if order.side == Side.BUY:
                working += notional_micros_ceil(order.price, order.remaining)
    return max(0, cost - min(held)) + working


@given(st.lists(ORDERS, min_size=1, max_size=8), st.lists(REPORTS, max_size=24))
def test_kept_sums_equal_the_sums_over_all_orders_and_lots(
    opened: list[tuple[int, Side, int, int, Tif]], reports: list[tuple[int, str, int]]
) -> None:
    """After every report, what gates hold an order against is what a count from scratch says."""
    world = two_markets()
    orders = []
    for order_id, (index, side, price, size, tif) in enumerate(opened, 1):
        orders.append(Order(order_id, 1, index, side, price, size, tif, 0))
        let_leave(world, orders[-1])
    for number, (which, what, size) in enumerate(reports):
        report(world, orders[which % len(orders)], what, size, number)
        working = list(world.orders.all_working())
        for index in INDICES:
            selling = [o.remaining for o in working if (o.instrument, o.side) == (index, Side.SELL)]
            assert world.orders.working_sell_size(index) == sum(selling)
            held = [position.size for position in world.lots.holders(index)]
            assert world.lots.size(index) == sum(held)
        buying = [o for o in working if o.side == Side.BUY]
        spent = sum(notional_micros_ceil(o.price, o.remaining) for o in buying)
        assert world.reserved_cash() == spent
        for index in INDICES:
            own = [(o.side, o.price) for o in working if o.instrument == index]
            bids, asks = ([p for s, p in own if s == side] for side in Side)
            assert world.facts.instruments[index, [BEST_BUY, BEST_SELL]].tolist() == [
                max(bids, default=0),
                min(asks, default=NO_SELL),
            ]
        assert world.orders.working_count == len(working)
        exposures = [expected_exposure(world, market) for market in (0, 1)]
        assert [world.market_exposure(m) for m in world.instruments.markets] == exposures
        assert world.total_exposure() == sum(exposures)
