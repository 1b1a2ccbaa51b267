"""Tick to trade: frame on a socket in, signed order on a socket out, by the real processes.

Everything a trade waits for is in here: what is slower in this bench makes every order later, and
an order that is later than another's gets nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from engine.bench import market
from engine.bench.plan import Plan, Signing
from engine.bench.result import Played, Result
from engine.bench.run import measure
from engine.bench.stages import STAGES
from engine.cli.bench import left_out
from engine.host.errors import RefuseError

TINY = {"rate": 100, "ticks": 12, "rounds": 1, "warmup_ticks": 4}
REAL = {"rate": 1_000, "ticks": 10_000, "rounds": 5, "warmup_ticks": 200}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("profile", "signing"),
    [*(("fused", signing) for signing in Signing), ("shared", Signing.FULL)],
)
def test_tick_to_trade(
    benchmark: BenchmarkFixture, tmp_path: Path, profile: str, signing: Signing
) -> None:
    """Every tick is answered by the order that names it, signed on the rung that was asked for, and
    each stage of it is on the tape."""
    plan = Plan(profile, **(TINY if benchmark.disabled else REAL), signing=signing)
    result = benchmark.pedantic(
        lambda: measure(plan, tmp_path, lambda _text: None), rounds=1, iterations=1
    )
    assert isinstance(result, Result)
    assert result.ticks == plan.ticks
    assert result.engine.n == plan.ticks - result.unanswered > 0
    assert result.floor.n == plan.ticks - result.floor_unanswered > 0
    orders = plan.ticks - result.coalesced
    assert {name: stage.n for name, stage in result.stages.items()} == dict.fromkeys(STAGES, orders)
    assert result.in_process.n == orders
    assert max(result.signed, key=lambda rung: result.signed[rung]) == signing
    benchmark.extra_info.update(result.to_json())


@pytest.mark.timeout(600)
def test_armed_and_unarmed_orders_in_one_run(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Half of the orders are armed a tick ahead, and both halves are told apart.

    What arming loses, a strategy that saw the tick coming loses: it is decided and signed before.
    """
    ticks = {"ticks": 2 * market.ARMED_TICKS} if benchmark.disabled else {}
    plan = Plan("fused", **(TINY if benchmark.disabled else REAL) | ticks, armed=True)
    result = benchmark.pedantic(
        lambda: measure(plan, tmp_path, lambda _text: None), rounds=1, iterations=1
    )
    assert isinstance(result, Result)
    assert result.ticks == plan.ticks
    armed, unarmed = (result.ways[name] for name in ("armed", "unarmed"))
    assert armed.engine.n + unarmed.engine.n == plan.ticks - result.unanswered
    assert min(armed.engine.n, unarmed.engine.n) > plan.ticks // 3
    sent = [way.stages["sent"].n for way in (armed, unarmed)]
    assert sum(sent) == plan.ticks - result.coalesced
    benchmark.extra_info.update(result.to_json())


def test_the_ticks_of_a_round_are_told_apart() -> None:
    """An order's size names the one tick under way that caused it."""
    ticks = range(3, 3 + market.TICKS)
    assert len({market.size_of(tick) for tick in ticks}) == market.TICKS
    assert all(market.tick_of(market.size_of(t) * 1_000_000) == t % market.TICKS for t in ticks)


def test_a_round_is_never_longer_than_ticks_can_be_told_apart() -> None:
    """A plan that asks for it is refused, with the way out."""
    with pytest.raises(RefuseError, match="take more rounds"):
        _ = Plan("fused", 1_000, 50_000, 2, 100).round_ticks


def test_presigned_orders_are_all_armed() -> None:
    """Asking for some armed ones among them is refused."""
    with pytest.raises(RefuseError, match="all armed"):
        _ = Plan("fused", 1_000, 1_000, 2, 100, armed=True, signing=Signing.PRESIGNED).arming


def played(*arrived_ns: int, counted: slice = slice(0, None)) -> Played:
    """Return a round of ticks intended at 0, 100, 200, …, each sent 10 later."""
    intended_ns = [100 * tick for tick in range(len(arrived_ns))]
    content = {
        "first_tick": 0,
        "intended_ns": intended_ns,
        "sent_ns": [due_ns + 10 for due_ns in intended_ns],
        "arrived_ns": list(arrived_ns),
    }
    return Played.of("engine", content, counted, 0)


def test_latency_counts_from_when_a_tick_should_have_been_sent() -> None:
    """What the venue itself was late with is in the latency, and not in the raw one."""
    assert played(50, 150).latency_ns().tolist() == [50, 50]
    assert played(50, 150).latency_ns(raw=True).tolist() == [40, 40]


def test_a_coalesced_tick_is_answered_by_the_next_order() -> None:
    """Ticks taken in one batch have waited all the same; one after the last order has no answer."""
    found = played(0, 0, 250, 0)
    assert found.latency_ns().tolist() == [250, 150, 50]
    assert (found.coalesced, found.unanswered) == (3, 1)


def test_ticks_without_an_order_are_told_beside_the_figures() -> None:
    """On a machine that cannot follow, what was answered is measured and the rest is counted."""
    ticks = 20
    floor = played(*(100 * tick + 40 for tick in range(ticks)))
    engine = played(*(100 * tick + 70 for tick in range(ticks - 3)), 0, 0, 0)
    plan = Plan("fused", 1_000, ticks, 1, 0)
    nothing = np.empty((0, len(STAGES)), np.int64)
    result = Result.of(plan, [floor, engine], nothing, {"full": ticks}).to_json()
    assert (result["p50_us"], result["floor_p50_us"]) == (0.07, 0.04)
    assert (result["unanswered"], result["floor_unanswered"]) == (3, 0)
    assert left_out(result) == ["ticks without an order, in no figure: 3 of 20"]
    result = Result.of(plan, [engine, floor], nothing, {"full": ticks}).to_json()
    assert left_out(result) == ["ticks without an order of the floor, in no figure: 3 of 20"]


def test_the_last_counted_ticks_may_be_answered_after_the_count() -> None:
    """Warm-up and closing ticks are not counted, and yet their orders answer."""
    found = played(10, 0, 0, 350, 450, counted=slice(1, 3))
    assert found.latency_ns().tolist() == [250, 150]
