"""Replay: how fast a tape is lived through again. Research waits for this, not trading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from engine.core.engine import Engine
from engine.core.params import EngineParams, RiskLimits, StrategyParams
from engine.math.units import MICROS
from engine.tape.format import TapeHeader
from engine.tape.reader import TapeReader
from engine.tape.replay import Verdict, replay
from engine.tape.writer import TapeWriter
from engine.wire.codes import FeeCurve, Flag, Kind, Side
from engine.wire.records import new, words

SECOND = 1_000_000_000
OPEN_NS = 1_800_000_000 * SECOND
MARKETS = 8
BATCHES = 4_000
FRAMES = 6  # books changed in a batch
PARAMS = EngineParams(
    run_seed=1,
    instruments_max=2 * MARKETS + 1,
    risk=RiskLimits(
        order_notional_max=100 * MICROS,
        market_notional_max=100 * MICROS,
        total_notional_max=1_000 * MICROS,
        book_age_ns_max=60 * SECOND,
        orders_per_second_max=100,
        orders_open_max=50,
        cash_min=0,
        private_sign_age_ns_max=1 << 62,
        read_back_age_ns_max=1 << 62,
    ),
    strategies=(
        StrategyParams(
            "dutch_book",
            "engine.core.strategies.dutch_book:DutchBook",
            {"edge_usd_min": 0, "size_shares_max": 100 * MICROS, "cooldown_ms": SECOND},
        ),
    ),
)


def listings() -> np.ndarray:
    """The instruments of all markets."""
    made = new(Kind.INSTRUMENT, 2 * MARKETS)
    index = np.arange(2 * MARKETS)
    made["instrument"] = index + 1
    made["outcome"] = index % 2
    made["complement"] = index + 2 - 2 * (index % 2)
    made["fee_curve"], made["fee_rate_ppm"], made["fee_exponent"] = FeeCurve.V2, 70_000, 1
    made["tick"], made["min_size_cents"] = 10_000, 500
    made["open_s"], made["close_s"] = OPEN_NS // SECOND, OPEN_NS // SECOND + 900
    return words(made)


def frames(number: int, random: np.random.Generator, now_ns: int) -> np.ndarray:
    """Whole books of a few instruments, a level a side."""
    made = new(Kind.LEVELS, FRAMES)
    made["instrument"] = 1 + (number * FRAMES + np.arange(FRAMES)) % (2 * MARKETS)
    made["flags"] = Flag.RESET | Flag.LAST
    bid = random.integers(40, 50, FRAMES) * 10_000
    made["levels"]["price"][:, 0], made["levels"]["price"][:, 1] = bid, bid + 20_000
    made["levels"]["side"][:, 1] = Side.SELL
    made["levels"]["size"][:, :2] = 100 * MICROS
    made["venue_ns"] = made["local_ns"] = now_ns
    return words(made)


def core_tape(path: Path) -> Path:
    """A tape of the real core over some 32,000 records, as its process would write it."""
    engine, random = Engine(PARAMS), np.random.default_rng(1)
    writer = TapeWriter(path, TapeHeader(1, OPEN_NS, 0, PARAMS.to_json()))
    timers = words(new(Kind.TIMER, 2))
    timers[0, 0] |= Flag.BATCH << 24
    timers[1, 0] |= Flag.PUBLISHED << 24
    sequence = 0
    for number in range(BATCHES):
        now_ns = OPEN_NS + number * 1_000_000
        inputs = frames(number, random, now_ns) if number else listings()
        said = engine.step(inputs, sequence + 1, now_ns)
        timers[:, 3] = now_ns
        timers[0, 4] = len(inputs)
        batch = np.concatenate((timers[:1], inputs, said, timers[1:]))
        writer.append(batch, sequence)
        sequence += len(batch)
    writer.close()
    return path


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tape, made once."""
    return core_tape(tmp_path_factory.mktemp("replay") / "t.ht")


def test_replay(benchmark: BenchmarkFixture, tape: Path) -> None:
    """Records through the whole core and compared; the house wants 200,000 a second on one core."""

    def once() -> Verdict:
        with TapeReader(tape) as reader:
            return replay(reader, Engine(PARAMS))

    verdict = benchmark(once)
    assert verdict.is_clean
    benchmark.extra_info["units"] = verdict.records
