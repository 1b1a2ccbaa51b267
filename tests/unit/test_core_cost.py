"""What deciding costs on the hot path, counted and not timed: the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

from core_driver import DUTCH, params
from peers.lines import counted

from engine.core.params import StrategyParams
from engine.core.rehearsal import Rehearsal
from engine.wire.codes import Kind

TAKER = StrategyParams("taker", "engine.bench.strategy:OneOrderATick")


def ticks(*strategies: StrategyParams) -> Callable[[], object]:
    """Return a tick that makes these strategies order, warm."""
    rehearsal = Rehearsal(params(*strategies))
    ordered = (rehearsal.run()[:, 0] & 0xFFFF) == Kind.NEW_ORDER
    assert ordered.any(), "nobody ordered"
    return rehearsal.run


def test_an_order_of_one_leg_costs_few_bytecodes() -> None:
    """Books, trigger, decision, fifteen gates, order and both records, the last order's end too."""
    cost = counted(ticks(TAKER))
    assert cost["bytecodes"] <= 2_800
    assert cost["calls"] <= 170


def test_a_dutch_book_costs_few_bytecodes() -> None:
    """The same for two legs, and the walk through both books."""
    cost = counted(ticks(DUTCH))
    assert cost["bytecodes"] <= 6_300
    assert cost["calls"] <= 380
