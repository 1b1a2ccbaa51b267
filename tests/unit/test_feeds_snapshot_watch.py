"""Which subscriptions owe us a dump, and when they are made anew: time is what the test says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from feeds_support import registry

from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.log import ErrorLog, Log
from feeds.group import COUNTERS
from feeds.instruments import Instruments
from feeds.port import Context
from feeds.snapshot_watch import SnapshotWatch
from feeds.token_table import BOOKS

S = 1_000_000_000
BOTH = {1, 2}


@pytest.fixture
def instruments() -> Instruments:
    """One market's two tokens, 1 and 2."""
    return registry()


@pytest.fixture
def watch(tmp_path: Path, instruments: Instruments) -> Iterator[SnapshotWatch]:
    """A watch that gives a dump one second."""
    clock = Clock(0)
    log = Log(tmp_path / "log", "feeds", clock)
    errors = ErrorLog(tmp_path / "errors", clock)
    counters = create_counters(tmp_path / "counters", COUNTERS)
    context = Context(clock, counters, log, errors, {"snapshot_ms": 1_000}, {}, {})
    yield SnapshotWatch(context, instruments.table)
    log.close()
    counters.close()


def test_only_the_token_without_a_dump_is_overdue(watch: SnapshotWatch, instruments: Instruments):
    """Not before its time, and not the sibling whose book has come."""
    watch.expect(BOTH, 0)
    instruments.table.rows[1, BOOKS] += 1
    assert watch.overdue(BOTH, S - 1) == []
    assert watch.overdue(BOTH, 2 * S) == [2]


def test_a_dump_of_an_earlier_subscription_does_not_count(
    watch: SnapshotWatch, instruments: Instruments
):
    """On a new connection the books of the last one are over."""
    instruments.table.rows[1, BOOKS] = 7
    watch.expect([1], 0)
    assert watch.overdue(BOTH, 2 * S) == [1]
    instruments.table.rows[1, BOOKS] = 8
    assert all(watch.overdue(BOTH, k * S) == [] for k in range(3, 200))


def test_a_token_that_never_answers_is_asked_more_and_more_rarely(watch: SnapshotWatch):
    """Waits double to a bound: for ever, but never often."""
    watch.expect([1], 0)
    asked = [second for second in range(400) if watch.overdue(BOTH, second * S)]
    waits = [after - before for before, after in pairwise(asked)]
    assert waits[:5] == [2, 4, 8, 16, 32]
    assert set(waits[5:]) == {32}


def test_nothing_is_awaited_of_a_token_that_was_unsubscribed(watch: SnapshotWatch):
    """Its market is over."""
    watch.expect(BOTH, 0)
    assert watch.overdue({1}, 2 * S) == [1]
    assert all(watch.overdue({1, 2}, k * S) in ([], [1]) for k in range(3, 100))
