"""What deciding costs on the hot path, counted and not timed: the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

from arming import sniper
from core_driver import DUTCH, UP, Driver, book, params
from peers.lines import counted

from engine.core.params import StrategyParams
from engine.core.rehearsal import Rehearsal
from engine.wire.codes import Kind
from engine.wire.records import words

LOCAL_NS_WORD = 3
TAKER = StrategyParams("taker", "engine.bench.strategy:OneOrderATick")


def ticks(*strategies: StrategyParams) -> Callable[[], object]:
    """Return a tick that makes these strategies order, warm."""
    rehearsal = Rehearsal(params(*strategies))
    ordered = (rehearsal.run()[:, 0] & 0xFFFF) == Kind.NEW_ORDER
    assert ordered.any(), "nobody ordered"
    return rehearsal.run


def steps_to_the_limit(*, is_armed: int) -> Callable[[], object]:
    """Return a step whose tick comes to a sniper's limit, good for two calls: a world for each."""
    rows = words(book(UP, {"0.43": "100"}, {"0.45": "100"}))
    drivers = [Driver(sniper(is_armed=is_armed)) for _ in range(2)]
    for driver in drivers:
        driver.open_market()
        rows[:, LOCAL_NS_WORD] = driver.now_ns

    def step() -> None:
        driver = drivers.pop()
        out = driver.engine.step(rows, driver.sequence + 1, driver.now_ns)
        assert len(out) == 2, "nobody ordered"

    return step


def test_an_armed_order_costs_next_to_no_python() -> None:
    """Rows, books, limits, gates, id and both records are one jitted call."""
    cost = counted(steps_to_the_limit(is_armed=1))
    assert cost["bytecodes"] <= 360
    assert cost["calls"] <= 30


def test_a_decided_order_costs_few_bytecodes_until_it_leaves() -> None:
    """A strategy is asked; fifteen gates, reservation, id and both records are one jitted call."""
    cost = counted(steps_to_the_limit(is_armed=0))
    assert cost["bytecodes"] <= 1_000
    assert cost["calls"] <= 70


def test_an_order_of_one_leg_costs_few_bytecodes() -> None:
    """Books, trigger, decision, gates and records, and all that is settled later: the last order's
    end, this one's beginning."""
    cost = counted(ticks(TAKER))
    assert cost["bytecodes"] <= 2_250
    assert cost["calls"] <= 150


def test_a_dutch_book_costs_few_bytecodes() -> None:
    """The same for two legs, and the walk through both books."""
    cost = counted(ticks(DUTCH))
    assert cost["bytecodes"] <= 3_800
    assert cost["calls"] <= 260
