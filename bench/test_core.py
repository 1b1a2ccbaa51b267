"""The core on its own: what a market-data row costs before anyone may decide on it.

A regression here is added to every tick-to-trade, and it bounds how fast a tape replays.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import plain_sweep
import pytest
from arming import sniper
from core_driver import DOWN, DUTCH, NOW_NS, SPREAD, UP, Driver, book, levels, params, report
from percentiles import note_percentiles
from pytest_benchmark.fixture import BenchmarkFixture
from sortedcontainers import SortedDict

from engine.core import kernel
from engine.core.rehearsal import Rehearsal
from engine.core.strategies.dutch_book import LEVELS_WALKED, sweep_books
from engine.core.world.books import Books
from engine.core.world.orders import OrderState
from engine.math.sweep import Outcome
from engine.math.units import MICROS, micros_from_text, text_from_micros
from engine.wire.codes import Kind, Reason, Side
from engine.wire.records import words

CHANGES = 4096
ROUNDS = 400
Change = tuple[int, int, Side]

frames = pytest.mark.parametrize("size", [1, 5], ids=["1 change a frame", "5 changes a frame"])


def changes(seed: int) -> list[Change]:
    """Return changes within 20 ticks of 0.50, a third of them removals."""
    chance = random.Random(seed)
    out = []
    for _ in range(CHANGES):
        side = chance.choice(list(Side))
        cell = chance.randint(30, 49) if side == Side.BUY else chance.randint(51, 70)
        size = 0 if chance.random() < 0.35 else chance.randint(1, 50_000) * 10_000
        out.append((cell * 10_000, size, side))
    return out


def snapshot() -> tuple[dict[str, str], dict[str, str]]:
    """Return the bids and asks both start from: every cent has an order."""
    return {f"0.{k:02}": "1" for k in range(1, 50)}, {f"0.{k}": "1" for k in range(51, 100)}


def rows_of(stream: list[Change], size: int) -> np.ndarray:
    """Return the stream as LEVELS rows, `size` changes each, every row a frame that ends."""
    texts = [(text_from_micros(price), text_from_micros(n), side) for price, n, side in stream]
    parts = [texts[k : k + size] for k in range(0, len(texts), size)]
    return np.concatenate([words(levels(UP, part, 0, 0)) for part in parts])


@frames
def test_book_apply_kernel(benchmark: BenchmarkFixture, size: int) -> None:
    """Ours, a change: records to book, touch and certificate, all that came in one jitted call.

    Slower means every decision waits longer, and a burst backs up. The records are as the feed
    writes them, so the call does more than the SortedDict is asked for: it checks every level, and
    stamps and certifies the book after each frame.
    """
    benchmark.group = f"book apply, {size} changes a frame"
    rows = rows_of(changes(1), size)
    books = Books(4)
    dirty = np.zeros(4, np.int64)
    arrays = books.sizes, books.bits, books.tops, dirty
    first = words(book(UP, *snapshot()))
    kernel.apply_market_data(first, 0, len(first), 1, *arrays)

    def run() -> int:
        applied: int = kernel.apply_market_data(rows, 0, len(rows), 1, *arrays)
        return applied

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=5, warmup_rounds=2) == len(rows)
    note_percentiles(benchmark, units=CHANGES)


@frames
def test_book_apply_sorted_dict(benchmark: BenchmarkFixture, size: int) -> None:
    """What a stock bot does, a change: a SortedDict a side, best prices read after each frame.

    The measure, not ours. Its changes are Python's integers before the clock starts; ours are
    records. Both books start full and take the same stream.
    """
    benchmark.group = f"book apply, {size} changes a frame"
    stream = changes(1)
    parts = [stream[k : k + size] for k in range(0, CHANGES, size)]
    bids, asks = (SortedDict({micros_from_text(p): 1 for p in side}) for side in snapshot())
    sides: dict[Side, Any] = {Side.BUY: bids, Side.SELL: asks}

    def run() -> tuple[int, int]:
        touch = 0, 0
        for part in parts:
            for price, n, side in part:
                if n:
                    sides[side][price] = n
                else:
                    sides[side].pop(price, None)
            touch = bids.peekitem(-1)[0], asks.peekitem(0)[0]
        return touch

    bid, ask = benchmark.pedantic(run, rounds=ROUNDS, iterations=1, warmup_rounds=2)
    assert bid < ask
    note_percentiles(benchmark, units=CHANGES)


def cheap_set() -> Books:
    """Return two books of ten asks, of which two each are worth buying together."""
    books, dirty = Books(4), np.zeros(4, np.int64)
    asks = {f"0.{cent}": "30" for cent in range(47, 57)}
    for index in (UP, DOWN):
        rows = words(book(index, {"0.40": "9"}, asks))
        kernel.apply_market_data(rows, 0, len(rows), 1, books.sizes, books.bits, books.tops, dirty)
    return books


@pytest.mark.benchmark(group="Dutch book sweep")
def test_dutch_book_sweep_kernel(benchmark: BenchmarkFixture) -> None:
    """Ours: from the books' arrays to size, profit and the cost of both legs, one jitted call.

    It lies between the tick that makes a set cheap and its two orders: what it loses, whoever else
    saw the same asks gains.
    """
    books = cheap_set()
    asks, found = np.zeros((2, LEVELS_WALKED, 2), np.int64), np.zeros((3, 3), np.int64)

    def run() -> list[list[int]]:
        sweep_books(books.sizes, books.bits, UP, DOWN, 70_000, 0, -1, 5 * MICROS, asks, found)
        return found.tolist()

    (outcome, size, _), *_ = benchmark.pedantic(run, rounds=ROUNDS, iterations=50, warmup_rounds=2)
    assert (outcome, size) == (Outcome.OK, 60 * MICROS)
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="Dutch book sweep")
def test_dutch_book_sweep_plain(benchmark: BenchmarkFixture) -> None:
    """The same in Python: levels as lists, every fee of integers without bound. The measure."""
    books = cheap_set()

    def run() -> Outcome:
        asks = [books.levels(index, 1, LEVELS_WALKED) for index in (UP, DOWN)]
        return plain_sweep.buy_set(
            asks, rate_ppm=70_000, edge_min=0, size_max=-1, min_size=5 * MICROS
        ).outcome

    outcome = benchmark.pedantic(run, rounds=ROUNDS, iterations=10, warmup_rounds=2)
    assert outcome == Outcome.OK
    note_percentiles(benchmark, units=1)


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
def test_core_step_that_orders(benchmark: BenchmarkFixture) -> None:
    """One tick that becomes two orders, a Dutch book: decision, gates, orders, records.

    It lies between a frame and its order, every microsecond of it. The last tick's orders end in
    the same step; this is also the dry run that keeps it warm.
    """
    rehearsal = Rehearsal(params(DUTCH))
    benchmark.pedantic(rehearsal.run, rounds=400, iterations=5, warmup_rounds=20)
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="core step")
def test_core_step_without_a_trigger(benchmark: BenchmarkFixture) -> None:
    """One tick nobody waits for: the cost of merely believing it."""
    run = moving(Driver(DUTCH))
    benchmark.pedantic(run, rounds=400, iterations=5, warmup_rounds=20)
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="tick to order in the core")
@pytest.mark.parametrize("is_armed", [1, 0], ids=["armed", "unarmed"])
def test_core_step_that_takes(benchmark: BenchmarkFixture, is_armed: int) -> None:
    """One tick that brings the ask to a limit, until its order is in the outbox.

    Unarmed, a strategy is asked, and every gate after it; armed, both were asked before. What this
    loses is lost between the tick and the order of whoever armed it. Killing the last order and
    moving the ask away again is not timed.
    """
    driver = Driver(sniper(is_armed=is_armed))
    driver.open_market()
    there, away = (words(book(UP, {"0.43": "9"}, {f"0.{ask}": "9"})) for ask in (45, 50))

    def step(rows: np.ndarray) -> np.ndarray:
        driver.now_ns += 20_000_000  # slow enough for the order rate
        rows[:, 3] = driver.now_ns
        out = driver.engine.step(rows, driver.sequence + 1, driver.now_ns)
        driver.sequence += 2 + len(rows) + len(out)
        return out

    def prepare() -> tuple[tuple[np.ndarray], dict[str, object]]:
        driver.engine.settle()
        for order in list(driver.engine.world.orders.all_working()):
            if order.state == OrderState.PENDING:
                order_id = order.order_id
                step(words(report(Kind.REJECT, order_id, reason=Reason.VENUE_KILLED)))
        step(away)
        return (there,), {}

    benchmark.pedantic(step, setup=prepare, rounds=4_000, warmup_rounds=100)
    driver.engine.settle()
    assert driver.engine.gauges()["orders_opened"] >= 1
    note_percentiles(benchmark, units=1)
