"""Counters that are cut while a run uses them: whoever looks says so and dies of nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toys import ACCOUNT, is_gone, runtime_root, toy_settings, wait_for

from engine.host.errors import Exit
from engine.host.events import Event
from engine.host.rundir import runtime_dir
from engine.host.status import read_status
from engine.host.supervisor import Supervisor
from engine.host.venue_cancel import Attempt

__all__ = ["runtime_root"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime_root")]


class Run:
    """A started run of toys, what was said of it, and where it had everything cancelled."""

    def __init__(self, state_dir: Path) -> None:
        self.events: list[Event] = []
        self.cancelled: list[str] = []
        self.supervisor = Supervisor(
            toy_settings(state_dir),
            account=ACCOUNT,
            cancel_all=self._cancel_all,
            listener=self.events.append,
        )

    def _cancel_all(self, _account: object, rest_url: str) -> Callable[[], Attempt]:
        self.cancelled.append(rest_url)
        return lambda: Attempt(True)

    def cut(self, process: str, bytes_left: int) -> None:
        """Cut a process's counters and make them as long again, so that it does not die of it."""
        path = runtime_dir("toy") / f"{process}.counters"
        whole = path.stat().st_size
        os.truncate(path, bytes_left)
        if bytes_left:
            os.truncate(path, whole)

    def polls_until_over(self) -> bool:
        self.supervisor.poll()
        return not self.supervisor.is_running

    def polls_until_back(self, process: str) -> bool:
        self.supervisor.poll()
        said = [event.what for event in self.events if event.process == process]
        return said.count("ready") == 2


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that is ready; at the end nothing of it may be left."""
    run = Run(tmp_path)
    with run.supervisor as supervisor:
        assert supervisor.start()
        yield run
        pids = [child.pid for child in supervisor.fleet.children.values()]
    assert all(is_gone(pid) for pid in pids)
    assert not runtime_dir("toy").exists()


def test_status_names_counters_that_are_cut(run: Run) -> None:
    """Status leaves the process out, says which file was cut, and calls the run not healthy."""
    directory = runtime_dir("toy")
    assert read_status(directory).is_healthy
    os.truncate(directory / "recorder.counters", 8)
    found = read_status(directory)
    assert not found.is_healthy
    assert "recorder" not in {process.name for process in found.processes}
    (line,) = found.damage
    assert str(directory / "recorder.counters") in line


@pytest.mark.parametrize("bytes_left", [0, 8])
def test_a_core_nobody_can_watch_ends_the_run_flat(run: Run, bytes_left: int) -> None:
    """Dead of the cut, or alive and unseen: the core counts as lost, and as having orders open."""
    run.cut("core", bytes_left)
    wait_for(run.polls_until_over, "the supervisor gives up")
    assert run.supervisor.counters("core") == {}
    run.supervisor.stop()
    assert run.supervisor.exit_code == Exit.DIRTY
    assert any("core.counters" in event.detail for event in run.events)
    halted = next(event for event in run.events if event.what == "halted")
    assert halted.detail.startswith("HALT_CORE_LOST")
    cancelled = next(event for event in run.events if event.what == "cancelled")
    assert "orders_open=unknown" in cancelled.detail
    assert run.cancelled


@pytest.mark.parametrize("bytes_left", [0, 8])
def test_a_feed_nobody_can_watch_is_replaced(run: Run, bytes_left: int) -> None:
    """It comes back with a file of its own, and nothing is halted."""
    run.cut("feeds.market", bytes_left)
    wait_for(lambda: run.polls_until_back("feeds.market"), "the feed is back")
    assert run.supervisor.is_running
    assert read_status(runtime_dir("toy")).is_healthy
    assert not any(event.what == "halted" for event in run.events)


def test_a_stop_does_not_believe_a_core_it_cannot_see(run: Run) -> None:
    """Cut just before the stop: that no order is open has to come from the venue instead."""
    run.cut("core", 8)
    assert not run.supervisor.stop()
    assert run.cancelled
    assert not any(event.detail == "no order is open" for event in run.events)
