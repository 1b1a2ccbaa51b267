"""A ring that is cut while a run uses it: contained, reported, and everything cancelled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toys import ACCOUNT, is_gone, runtime_root, toy_settings, wait_for

from engine.bus.ring_header import CAPACITY_WORD
from engine.host.errors import Exit
from engine.host.events import Event
from engine.host.rundir import runtime_dir
from engine.host.supervisor import Supervisor
from engine.host.venue_cancel import Attempt
from engine.wire.codes import Reason

__all__ = ["runtime_root"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime_root")]


class Run:
    """A run of toys, what was said of it, and where it had everything cancelled."""

    def __init__(self, state_dir: Path) -> None:
        self.events: list[Event] = []
        self.cancelled: list[str] = []
        self.supervisor = Supervisor(
            toy_settings(state_dir),
            account=ACCOUNT,
            cancel_all=self.cancel_all,
            listener=self.events.append,
        )

    def cancel_all(self, _account: object, rest_url: str) -> Callable[[], Attempt]:
        self.cancelled.append(rest_url)
        return lambda: Attempt(True)

    def is_over(self) -> bool:
        self.supervisor.poll()
        return not self.supervisor.is_running

    def ends(self) -> None:
        """Poll until the supervisor gives up; then nothing may be left."""
        pids = [child.pid for child in self.supervisor.fleet.children.values()]
        wait_for(self.is_over, "the supervisor gives up")
        self.supervisor.stop()
        assert self.supervisor.exit_code == Exit.DIRTY
        assert all(is_gone(pid) for pid in pids)
        assert not runtime_dir("toy").exists()

    @property
    def first_halt(self) -> Event:
        return next(event for event in self.events if event.what == "halted")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that is ready."""
    run = Run(tmp_path)
    with run.supervisor as supervisor:
        assert supervisor.start()
        yield run


def overwrite(path: Path) -> None:
    """Change the capacity a ring's header tells."""
    with path.open("r+b") as file:
        file.seek(CAPACITY_WORD * 8)
        file.write(bytes(8))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("md.market", lambda path: os.truncate(path, 4096)),
        ("md.market", Path.unlink),
        ("md.market", overwrite),
        ("tape", lambda path: os.truncate(path, 4096)),
        ("orders", Path.unlink),
    ],
)
def test_a_ring_that_no_process_trips_over_ends_the_run_at_once(
    run: Run, name: str, damage: Callable[[Path], None]
) -> None:
    """No toy touches these, as a core touches no market data that cannot come: at its very next
    look the supervisor names the ring and tells the core, which lets its order go; no process has
    to die first, and none is started again."""
    damage(runtime_dir("toy") / f"{name}.ring")
    run.supervisor.poll()
    assert run.first_halt.detail.startswith("HALT_RUNTIME_LOST")
    assert f"{name}.ring" in run.first_halt.detail
    assert "not told" not in run.first_halt.detail
    wait_for(lambda: run.supervisor.counters("core")["orders_open"] == 0, "the core lets go")
    run.ends()
    assert sum(event.what == "halted" for event in run.events) == 1
    assert not any(event.what == "died" for event in run.events)


@pytest.mark.parametrize("bytes_left", [0, 4096])
def test_a_core_that_cannot_be_told_ends_with_its_ring(run: Run, bytes_left: int) -> None:
    """The core dies touching the control ring, or is killed where that part is left at which it
    looks: it would trade on and never hear of the halt. The supervisor, which writes that ring,
    outlives both, says which ring it was and cancels at the venue."""
    os.truncate(runtime_dir("toy") / "control.ring", bytes_left)
    run.ends()
    assert run.first_halt.detail.startswith("HALT_RUNTIME_LOST")
    assert "control.ring" in run.first_halt.detail
    assert run.first_halt.detail.endswith("(not told)")
    assert any((event.process, event.what) == ("core", "died") for event in run.events)
    assert run.cancelled


def test_a_core_that_found_a_damaged_record_is_not_resumed(run: Run) -> None:
    """It cannot know what it was not told: the run ends as soon as nothing is open."""
    run.supervisor.halt(Reason.HALT_RECORD_DAMAGED, "as the core does by itself")
    run.ends()
    assert run.first_halt.detail.startswith("HALT_RECORD_DAMAGED")


@pytest.mark.parametrize("process", ["core", "feeds.market"])
def test_counters_that_are_removed_count_as_those_that_are_cut(run: Run, process: str) -> None:
    """The process cannot be seen any more: it is killed, and that is answered as its death."""
    (runtime_dir("toy") / f"{process}.counters").unlink()

    def is_dead() -> bool:
        run.supervisor.poll()
        return any((event.process, event.what) == (process, "died") for event in run.events)

    wait_for(is_dead, "it is killed")
    assert any("no counters" in event.detail for event in run.events)
    if process == "core":
        run.ends()
        assert run.cancelled
