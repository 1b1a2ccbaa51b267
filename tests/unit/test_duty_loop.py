"""The loop's housekeeping: the collector runs when nothing happens, and every run is counted."""

from __future__ import annotations

import ctypes
import gc
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hand_clock import HandClock

from engine.bus.counters import CounterFile
from engine.host import proc
from engine.host.duty import COLLECTIONS, ERRORS, create_counters
from engine.host.duty_loop import (
    HELD_UP_NS,
    HOUSEKEEPING_NS,
    QUIET_NS,
    UNCOLLECTED_NS_MAX,
    DutyLoop,
)
from engine.host.idle import Idle, Wait
from engine.host.log import ErrorLog

PR_GET_TIMERSLACK = 30


class Worker:
    """A duty that does what it is told to have done."""

    name = "worker"
    done = 0

    def on_fenced(self, note: Callable[[str, BaseException], None]) -> None:
        """Keep what errors are noted with."""
        self.note = note

    def start(self) -> None:
        """Nothing to prepare."""

    def work(self) -> int:
        """Return what the test says."""
        return self.done

    def close(self) -> None:
        """Nothing to let go of."""


class Rig:
    """A started loop whose rounds the test makes, a stated time apart."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.worker = HandClock(), Worker()
        self.counters: CounterFile = create_counters(directory / "t.counters")
        self.loop = DutyLoop(
            [self.worker],
            self.counters,
            Idle(Wait.SPIN),
            self.clock,
            ErrorLog(directory / "t.errors.json", self.clock),
            errors_are_fatal=True,
            drain_s_max=1.0,
        )
        self.loop.start()

    def round(self, *, after_ns: int, done: int = 0) -> int:
        """Make a round; return how many collections there have been."""
        self.clock.at_ns += after_ns
        self.worker.done = done
        self.loop.round()
        return self.counters.get(COLLECTIONS)

    def idle(self, duration_ns: int) -> int:
        """Make rounds that find nothing; return how many collections there have been."""
        for _ in range(-(-duration_ns // HELD_UP_NS)):
            collections = self.round(after_ns=HELD_UP_NS)
        return collections


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A loop that is started, and closed behind the test."""
    made = Rig(tmp_path)
    yield made
    made.loop.close()
    made.counters.close()


def test_a_quiet_process_collects_once_a_second(rig: Rig):
    """Nothing to do for a second is the moment for it, and once is enough."""
    assert rig.idle(HOUSEKEEPING_NS // 2) == 0
    assert rig.idle(HOUSEKEEPING_NS) == 1
    assert rig.idle(HOUSEKEEPING_NS // 2) == 1


def test_a_process_that_trades_does_not_collect_between_two_ticks(rig: Rig):
    """An idle round in the gap between ticks is no quiet: the next tick would wait."""
    for _ in range(3_000):
        rig.round(after_ns=500_000, done=1)
        assert rig.round(after_ns=500_000) == 0
    assert rig.idle(2 * QUIET_NS) == 1


def test_a_loop_that_was_held_up_has_not_been_quiet(rig: Rig):
    """Whoever the kernel let wait has a backlog: the worst of moments for a collection."""
    rig.idle(HOUSEKEEPING_NS // 2)
    assert rig.round(after_ns=2 * HOUSEKEEPING_NS) == 0
    assert rig.idle(QUIET_NS - HELD_UP_NS) == 0
    assert rig.idle(2 * QUIET_NS) == 1


def test_garbage_is_not_put_off_for_ever(rig: Rig):
    """A process that never falls quiet collects all the same, after the longest time allowed."""
    for _ in range(UNCOLLECTED_NS_MAX // (2 * QUIET_NS) + 2):
        rig.round(after_ns=QUIET_NS, done=1)
        collections = rig.round(after_ns=QUIET_NS)
    assert collections == 1


def test_every_collection_is_counted_whoever_asked_for_it(rig: Rig):
    """The counter shows what the collector did, not what the loop meant it to do."""
    gc.collect()
    assert rig.counters.get(COLLECTIONS) == 1


def test_a_thread_that_asks_for_it_sleeps_without_slack():
    """The kernel then ends a park on time; the slack belongs to the thread alone."""
    seen: list[int] = []

    def ask() -> None:
        prctl = ctypes.CDLL(None).prctl
        seen.append(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0))
        proc.sleep_exactly()
        seen.append(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen[1] == 1 < seen[0]


def test_a_closed_loop_leaves_the_collector_as_it_was(tmp_path: Path):
    """A process that lives on after its duties collects by itself again."""
    rig = Rig(tmp_path)
    assert not gc.isenabled()
    rig.loop.close()
    assert gc.isenabled()
    rig.counters.close()


def test_an_error_a_duty_has_fenced_is_written_down_and_not_fatal(tmp_path: Path):
    """It is counted like any other, with where it was and its trace; nobody stops for it."""
    rig = Rig(tmp_path)
    for _ in range(2):
        rig.worker.note("worker: plugin=p", KeyError("price"))
    assert rig.round(after_ns=1, done=1) == 0
    assert rig.counters.get(ERRORS) == 2
    assert rig.loop.is_clean
    assert not rig.loop.is_stopping
    rig.loop.close()
    (entry,) = json.loads((tmp_path / "t.errors.json").read_text())
    assert (entry["where"], entry["kind"], entry["count"]) == ("worker: plugin=p", "KeyError", 2)
    rig.counters.close()
