"""From a frame's bytes to records: the first thing that happens to every tick.

The scanner stands beside what a careful bot would write with orjson and with typed msgspec; all
three make the same integers. A regression here delays every decision, and in a burst (some 350
messages a second for a handful of tokens, thousands at the open) it is what makes a slow reader.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from feeds_support import (
    DOWN,
    UP,
    best_bid_ask,
    book,
    change,
    compact,
    price_change,
    registry,
    spaced,
    trade,
)
from percentiles import note_percentiles
from pytest_benchmark.fixture import BenchmarkFixture

from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.log import ErrorLog, Log
from feeds.clob_frames import PatientDecoder
from feeds.clob_scan import scan
from feeds.group import COUNTERS
from feeds.numbers import micros
from feeds.port import Context
from feeds.rehearsal import Rehearsal

LOCAL_NS = 1_800_000_000_000_000_000
ROUNDS = 400
ITERATIONS = 50


def _entries(count: int) -> list[dict[str, str]]:
    return [
        change(UP if k % 2 else DOWN, f"0.{30 + k}", f"{10 + k}.5", "BUY" if k % 2 else "SELL")
        for k in range(count)
    ]


def _side(first: int, step: int) -> list[tuple[str, str]]:
    return [(f"{(first + step * k) / 1000:.3f}", f"{100 + k}.25") for k in range(50)]


FRAMES = {
    "price_change x1": spaced(price_change(*_entries(1))),
    "price_change x2": spaced(price_change(*_entries(2))),
    "price_change x10": spaced(price_change(*_entries(10))),
    "book 50+50": compact(book(_side(400, 1), _side(600, -1))),
    "last_trade_price": spaced(trade()),
    "best_bid_ask": spaced(best_bid_ask()),
}
frames = pytest.mark.parametrize("name", FRAMES)

Row = tuple[int, int, int, int]


def orjson_rows(frame: bytes, find: Callable[[str], int]) -> list[Row]:
    """Return (instrument, side, price, size) rows by way of Python objects."""
    event: dict[str, Any] = orjson.loads(frame)
    if event["event_type"] == "book":
        index = find(event["asset_id"])
        sides = (0, event["bids"]), (1, event["asks"])
        return [(index, k, micros(x["price"]), micros(x["size"])) for k, xs in sides for x in xs]
    if event["event_type"] == "last_trade_price":
        side = int(event["side"] == "SELL")
        return [(find(event["asset_id"]), side, micros(event["price"]), micros(event["size"]))]
    if event["event_type"] == "best_bid_ask":
        return [(find(event["asset_id"]), 0, micros(event["best_bid"]), micros(event["best_ask"]))]
    return [
        (
            find(x["asset_id"]),
            int(x["side"] == "SELL"),
            micros(x["price"]),
            micros(x["size"]),
        )
        for x in event["price_changes"]
    ]


@frames
def test_scanner(benchmark: BenchmarkFixture, name: str) -> None:
    """What we do: slower means every tick is known later."""
    benchmark.group = f"decode {name}"
    frame, table = FRAMES[name], registry().table
    out = np.zeros((64, 16), np.int64)

    def run() -> int:
        rows: int = scan(np.frombuffer(frame, np.uint8), LOCAL_NS, table.slots, table.rows, out)
        return rows

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=ITERATIONS, warmup_rounds=3) > 0
    note_percentiles(benchmark, units=1)


def test_frame_to_ring(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """From the client's callback to records on a ring, a price_change of two tokens: the scanner,
    and all that Python does around it. What it grows by, every tick is known later."""
    clock, counters = Clock(0), create_counters(tmp_path / "feeds.counters", COUNTERS)
    log, errors = Log(tmp_path / "log", "feeds", clock), ErrorLog(tmp_path / "errors", clock)
    pace = dict.fromkeys(("reconnect_ms_min", "reconnect_ms_max", "silence_ms_max", "ping_ms"), 1)
    rehearsal = Rehearsal(Context(clock, counters, log, errors, pace, {}, {}), tmp_path)
    records = benchmark.pedantic(
        rehearsal.run, rounds=ROUNDS, iterations=ITERATIONS, warmup_rounds=3
    )
    assert records == 2
    note_percentiles(benchmark, units=1)
    for each in (rehearsal, counters, log):
        each.close()


@frames
def test_orjson_to_rows(benchmark: BenchmarkFixture, name: str) -> None:
    """What a careful bot does: the measure of the scanner, not of ours."""
    benchmark.group = f"decode {name}"
    frame = FRAMES[name]
    indices = {UP: 1, DOWN: 2}

    def run() -> list[Row]:
        return orjson_rows(frame, indices.__getitem__)

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=ITERATIONS, warmup_rounds=3)
    note_percentiles(benchmark, units=1)


@frames
def test_patient_decoder(benchmark: BenchmarkFixture, name: str) -> None:
    """The fallback, whole: what a frame costs when the venue changes its spelling overnight."""
    benchmark.group = f"decode {name}"
    frame = FRAMES[name]
    decoder = PatientDecoder(registry())

    def run() -> int:
        return len(decoder.decode(frame, LOCAL_NS).records())

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=ITERATIONS, warmup_rounds=3) > 0
    note_percentiles(benchmark, units=1)
