"""The core on its own: what a market-data row costs before anyone may decide on it.

A regression here is added to every tick-to-trade, and it bounds how fast a tape replays.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from core_driver import DOWN, DUTCH, NOW_NS, SPREAD, UP, Driver, book, levels
from percentiles import note_percentiles
from pytest_benchmark.fixture import BenchmarkFixture
from sortedcontainers import SortedDict

from engine.core import kernel
from engine.core.world.books import Books
from engine.math.units import text_from_micros
from engine.wire.codes import Side
from engine.wire.records import words

FRAMES = 1024
ROUNDS = 400
Change = tuple[int, int, Side]


def changes(seed: int) -> list[Change]:
    """Return one change a frame around 0.50, a third of them removals."""
    chance = random.Random(seed)
    out = []
    for _ in range(FRAMES):
        side = chance.choice(list(Side))
        cell = chance.randint(30, 49) if side == Side.BUY else chance.randint(51, 70)
        size = 0 if chance.random() < 0.35 else chance.randint(1, 50_000) * 10_000
        out.append((cell * 10_000, size, side))
    return out


def rows_of(stream: list[Change]) -> np.ndarray:
    """Return the stream as LEVELS rows, a snapshot first."""
    frames = [book(UP, {"0.30": "1"}, {"0.70": "1"})]
    for price, size, side in stream:
        frames.append(levels(UP, [(text_from_micros(price), text_from_micros(size), side)], 0, 0))
    return np.concatenate([words(f) for f in frames])


@pytest.mark.benchmark(group="book apply, 1,024 changes")
def test_book_apply_kernel(benchmark: BenchmarkFixture) -> None:
    """The whole batch in one jitted call: slower means every decision waits longer."""
    rows = rows_of(changes(1))
    books = Books(4)
    dirty = np.zeros(4, np.int64)

    def run() -> int:
        applied: int = kernel.apply_market_data(
            rows, 0, len(rows), 1, books.sizes, books.bits, books.tops, dirty
        )
        return applied

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=5, warmup_rounds=2) == len(rows)
    note_percentiles(benchmark, units=FRAMES)


@pytest.mark.benchmark(group="book apply, 1,024 changes")
def test_book_apply_sorted_dict(benchmark: BenchmarkFixture) -> None:
    """What a stock bot would do, as the measure: a SortedDict a side, one update at a time."""
    stream = changes(1)
    sides: dict[Side, Any] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}

    def run() -> tuple[int, int]:
        for price, size, side in stream:
            levels_ = sides[side]
            if size:
                levels_[price] = size
            else:
                levels_.pop(price, None)
        return sides[Side.BUY].peekitem(-1)[0], sides[Side.SELL].peekitem(0)[0]

    bid, ask = benchmark.pedantic(run, rounds=ROUNDS, iterations=1, warmup_rounds=2)
    assert bid < ask
    note_percentiles(benchmark, units=FRAMES)


def moving(driver: Driver) -> Callable[[], int]:
    """Return a step that moves the touch of both books back and forth by one tick."""
    driver.open_market()
    frames = [
        (book(UP, {"0.48": "100"}, {"0.50": "100"}), book(DOWN, {"0.50": "100"}, {"0.52": "100"})),
        (book(UP, {"0.47": "100"}, {"0.49": "100"}), book(DOWN, {"0.51": "100"}, {"0.53": "100"})),
    ]
    batches = [np.concatenate([words(r) for r in pair]) for pair in frames]
    at = [0, NOW_NS]

    def run() -> int:
        at[0] += 1
        at[1] += 1_000_000
        batch = batches[at[0] & 1]
        batch[:, 3] = at[1]
        return len(driver.engine.step(batch, driver.sequence + 1, at[1]))

    return run


@pytest.mark.benchmark(group="core step")
def test_core_step_with_both_strategies_asked(benchmark: BenchmarkFixture) -> None:
    """One tick that moves both touches: kernel, triggers, both strategies, planner."""
    run = moving(Driver(SPREAD, DUTCH))
    benchmark.pedantic(run, rounds=400, iterations=5, warmup_rounds=20)
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="core step")
def test_core_step_without_a_trigger(benchmark: BenchmarkFixture) -> None:
    """One tick nobody waits for: the cost of merely believing it."""
    run = moving(Driver(DUTCH))
    benchmark.pedantic(run, rounds=400, iterations=5, warmup_rounds=20)
    note_percentiles(benchmark, units=1)
