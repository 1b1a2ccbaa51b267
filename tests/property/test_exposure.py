"""The sums the gates ask for are kept as orders and lots change; here they are made anew."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from core_driver import DOWN, DUTCH, LIMITS, SPREAD, UP, params
from hypothesis import given
from hypothesis import strategies as st

from engine.core.orders import lifecycle
from engine.core.orders.candidates import Candidates
from engine.core.orders.submission import reserve
from engine.core.risk.gates import shares
from engine.core.world.facts import BEST_BUY, BEST_SELL, NO_SELL, OWN, OWN_COLUMNS, OWN_SELLS
from engine.core.world.instruments import Instrument
from engine.core.world.lots import Lot
from engine.core.world.orders import Order
from engine.core.world.world import World
from engine.math.units import MICROS, notional_micros_ceil
from engine.wire.codes import FeeCurve, OrderStatus, Reason, Settlement, Side, Tif

INDICES = (UP, DOWN, UP + 2, DOWN + 2)
SIZES = st.integers(1, 500).map(lambda n: n * 10_000)

ORDERS = st.tuples(
    st.sampled_from([1, 2]),
    st.sampled_from(INDICES),
    st.sampled_from(list(Side)),
    st.integers(1, 99).map(lambda cents: cents * 10_000),
    SIZES,
    st.sampled_from([Tif.GTC, Tif.FAK]),
)
HAPPENINGS = ["ack", "reject", "unknown", "done", "alive", *["fill"] * 3, "fail", "late fail"]
# (which order, what happens to it, a size)
REPORTS = st.tuples(st.integers(0, 7), st.sampled_from(HAPPENINGS), SIZES)
Booked = list[tuple[bytes, Lot]]  # in the order they were booked


def two_markets() -> World:
    """Return a world of two strategies that knows two markets."""
    world = World(params(SPREAD, DUTCH, limits=LIMITS))
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


def book(world: World, order: Order, size: int, key: bytes, booked: Booked) -> None:
    """Book one fill of an order, as `Reports` does."""
    notional = order.price * size // 1_000_000
    made = order.strategy, order.instrument, order.side, order.price, size, notional, 0
    lot = Lot(*made, Settlement.MATCHED)
    lifecycle.on_fill(world.orders, order, world.lots.apply((key, b"", 0), lot))
    booked.append((key, lot))


def fail(world: World, order: Order, key: bytes, booked: Booked) -> None:
    """Let a fill fail that was booked, whatever has been booked since."""
    lot = next(lot for known, lot in booked if known == key)
    failed = replace(lot, settlement=Settlement.FAILED)
    lifecycle.on_fill(world.orders, order, world.lots.apply((key, b"", 0), failed))
    booked[:] = [each for each in booked if each[0] != key]


def report(
    world: World, orders: list[Order], order: Order, what: str, size: int, n: int, booked: Booked
) -> None:
    """Do to an order what a report of this kind does."""
    key = n.to_bytes(2, "big")
    match what:
        case "ack":
            lifecycle.on_ack(world.orders, order, OrderStatus.MATCHED, size, size)
        case "reject":
            lifecycle.on_reject(world.orders, order, Reason.VENUE_RATE)
        case "unknown":
            lifecycle.on_unknown(order)
        case "done":
            lifecycle.on_done(world.orders, order, size, Reason.CANCELED)
        case "alive":
            lifecycle.on_alive(world.orders, order)
        case "fill":
            book(world, order, size, key, booked)
        case "fail":
            book(world, order, size, key, booked)
            fail(world, order, key, booked)
        case "late fail" if booked:
            key, lot = booked[size % len(booked)]
            owner = next(
                o
                for o in orders
                if (o.strategy, o.instrument, o.side, o.price)
                == (lot.strategy, lot.instrument, lot.side, lot.price)
            )
            fail(world, owner, key, booked)


def stake(booked: Booked, instrument: int) -> tuple[Fraction, int]:
    """Return what is held of an instrument has cost, and how many: each strategy sells its own."""
    cost, size = Fraction(0), 0
    for strategy in (1, 2):
        own_cost, own_size = Fraction(0), 0
        for _, lot in booked:
            if (lot.strategy, lot.instrument) != (strategy, instrument):
                continue
            if lot.side == Side.BUY:
                own_cost += lot.notional
                own_size += lot.size
            else:
                kept = max(0, own_size - lot.size)
                own_cost = own_cost * kept / own_size if own_size > 0 else own_cost
                own_size -= lot.size
        cost += own_cost
        size += max(0, own_size)
    return cost, size


def could_be_lost(world: World, booked: Booked, number: int) -> Fraction:
    """Return a market's exposure by its definition: lots less full sets, and all working buys."""
    market = world.instruments.markets[number]
    working = Fraction(0)
    for order in world.orders.all_working():
        if order.side == Side.BUY and order.instrument in (market.up.index, market.down.index):
            working += notional_micros_ceil(order.price, order.remaining)
    (cost_up, up), (cost_down, down) = (
        stake(booked, index) for index in (market.up.index, market.down.index)
    )
    return max(Fraction(0), cost_up + cost_down - min(up, down)) + working


@given(st.lists(ORDERS, min_size=1, max_size=8), st.lists(REPORTS, max_size=30))
def test_kept_sums_equal_the_sums_over_all_orders_and_lots(
    opened: list[tuple[int, int, Side, int, int, Tif]], reports: list[tuple[int, str, int]]
) -> None:
    """After every report, what gates hold an order against is what a count from scratch says.

    Strategies sell what they never had, fills fail long after what they bought was sold: exposure
    is never less than what could be lost, but for the micro that rounding a sale may cost.
    """
    world = two_markets()
    orders: list[Order] = []
    booked: Booked = []
    for order_id, (strategy, index, side, price, size, tif) in enumerate(opened, 1):
        orders.append(Order(order_id, strategy, index, side, price, size, tif, 0))
        let_leave(world, orders[-1])
    for number, (which, what, size) in enumerate(reports):
        report(world, orders, orders[which % len(orders)], what, size, number, booked)
        working = list(world.orders.all_working())
        facts = world.facts.instruments
        for index in INDICES:
            selling = [o for o in working if (o.instrument, o.side) == (index, Side.SELL)]
            assert world.orders.working_sell_size(index) == sum(o.remaining for o in selling)
            for strategy in (1, 2):
                own = sum(o.remaining for o in selling if o.strategy == strategy)
                assert facts[index, OWN_SELLS + OWN_COLUMNS * strategy] == own
                size = world.position(strategy, index).size
                assert facts[index, OWN + OWN_COLUMNS * strategy] == size
            held = [position.size for position in world.lots.holders(index).values()]
            assert world.lots.size(index) == sum(held)
        buying = [o for o in working if o.side == Side.BUY]
        spent = sum(notional_micros_ceil(o.price, o.remaining) for o in buying)
        assert world.reserved_cash() == spent
        for index in INDICES:
            prices = [(o.side, o.price) for o in working if o.instrument == index]
            bids, asks = ([p for s, p in prices if s == side] for side in Side)
            assert facts[index, [BEST_BUY, BEST_SELL]].tolist() == [
                max(bids, default=0),
                min(asks, default=NO_SELL),
            ]
        assert world.orders.working_count == len(working)
        exposures = [world.market_exposure(m) for m in world.instruments.markets]
        assert world.total_exposure() == sum(exposures)
        for market, exposure in enumerate(exposures):
            assert abs(exposure - could_be_lost(world, booked, market)) <= len(booked)


def test_a_sale_of_what_another_strategy_holds_is_refused_and_lowers_no_exposure() -> None:
    """What one strategy holds is not another's to sell, and a sale that happened all the same
    leaves what the first one may lose as it was."""
    world = two_markets()
    bought = Order(1, 1, UP, Side.BUY, 500_000, 100 * MICROS, Tif.FAK, 0)
    let_leave(world, bought)
    booked: Booked = []
    book(world, bought, 100 * MICROS, b"a", booked)
    assert world.total_exposure() == 50 * MICROS
    for strategy, refused in ((1, 0), (2, Reason.INSUFFICIENT_SHARES)):
        wish = Candidates(1)
        wish.put(0, world, strategy, UP, Side.SELL, 400_000, 10 * MICROS, Tif.FAK, 0)
        facts = world.facts
        said = shares.py_func(wish.rows, 0, None, facts.instruments, facts.account, 0)
        assert said == refused
    sold = Order(2, 2, UP, Side.SELL, 400_000, 90 * MICROS, Tif.FAK, 0)
    let_leave(world, sold)
    book(world, sold, 90 * MICROS, b"b", booked)
    assert world.total_exposure() == 50 * MICROS
