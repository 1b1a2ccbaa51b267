"""What a frame costs from the socket's callback to the ring, counted and not timed: the same on
every machine. And that a dry run goes the same way, and nobody can see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
from feeds_support import DOWN, UP, change, price_change, registry, spaced
from peers.lines import counted
from picows import WSMsgType
from picows.picows import _make_test_ws_frame

from engine.bus.ring import BroadcastReader, BroadcastWriter, Discipline, create_ring
from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.log import ErrorLog, Log
from feeds.clob_market import ClobMarketFeed
from feeds.connection import FrameListener
from feeds.group import COUNTERS
from feeds.port import Context

RUN_ID = 3
SETTINGS = {"reconnect_ms_min": 1, "reconnect_ms_max": 2, "silence_ms_max": 9, "ping_ms": 9}


class Rig:
    """A market feed with one line that was never dialled, and a reader of its ring."""

    def __init__(self, folder: Path) -> None:
        clock = Clock(0)
        self.counters = create_counters(folder / "feeds.counters", COUNTERS)
        self._log = Log(folder / "feeds.jsonl", "feeds", clock)
        errors = ErrorLog(folder / "feeds.errors.json", clock)
        context = Context(clock, self.counters, self._log, errors, SETTINGS, {}, {})
        create_ring(folder / "md.ring", Discipline.BROADCAST, 64, RUN_ID)
        self._ring = BroadcastWriter(folder / "md.ring", RUN_ID)
        self._reader = BroadcastReader(folder / "md.ring", RUN_ID)
        self.instruments = registry()
        self.feed = ClobMarketFeed(context, self.instruments, self._ring, "ws://x", folder)
        self.feed._version = self.instruments.version  # there is no venue to dial
        connection, line = self.feed._lines._connection, self.feed._lines._active
        self._listener = FrameListener(connection, line, clock.now_ns)
        text = spaced(price_change(change(UP), change(DOWN)))
        self._frame = _make_test_ws_frame(WSMsgType.TEXT, text, fin=True, rsv1=False)

    def hear(self) -> None:
        """Have the socket bring a price_change of two tokens."""
        self._listener.on_ws_frame(None, self._frame)  # type: ignore[arg-type]

    def published(self) -> int:
        """Return how many records are new on the ring."""
        return self._reader.poll(np.zeros((64, 16), np.int64))

    def close(self) -> None:
        """Let go of everything."""
        self.feed._rehearsal.close()
        for end in (self._ring, self._reader, self._log, self.counters):
            end.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A feed."""
    made = Rig(tmp_path)
    yield made
    made.close()


def run_by(call: Callable[[], object]) -> set[CodeType]:
    """Return the Python functions that a call runs."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


def test_a_frame_costs_few_bytecodes(rig: Rig):
    """From the client's callback to published rows, with whoever decides on them called."""
    rig.feed.on_arrival(list)
    rig.hear()
    cost = counted(rig.hear)
    assert rig.published() == 3 * 2  # heard once, and once for each count
    assert cost["bytecodes"] <= 215
    assert cost["calls"] <= 18


def test_what_a_frame_runs_a_dry_run_has_run(rig: Rig):
    """Nothing of a frame's way is met for the first time since the last frame."""
    rig.hear()
    rig.feed.keep_warm()
    assert run_by(rig.hear) - {Rig.hear.__code__} <= run_by(rig.feed.keep_warm)


def test_nobody_can_see_a_dry_run(rig: Rig, tmp_path: Path):
    """No record, no count, no file, no instrument: it is of a world apart."""
    files = sorted(tmp_path.iterdir())
    before = rig.counters.snapshot(), rig.instruments.table.rows.copy()
    for _ in range(200):
        assert rig.feed._rehearsal.run() == 2
    assert rig.feed.work() == rig.published() == 0
    assert rig.counters.snapshot() == before[0]
    assert (rig.instruments.table.rows == before[1]).all()
    assert sorted(tmp_path.iterdir()) == files
    assert not [each for each in files if each.is_dir()], "the ring apart has left its folder"


def test_counts_are_shown_by_the_next_round(rig: Rig):
    """A frame counts in plain integers; the counter file has them once the feed has worked."""
    rig.hear()
    rig.hear()
    assert rig.counters.snapshot()["frames"] == 0
    assert (rig.feed.work(), rig.feed.work()) == (2, 0)
    shown = rig.counters.snapshot()
    assert (shown["frames"], shown["records"]) == (2, 4)
    assert shown["bytes"] == 2 * rig._frame.payload_size
