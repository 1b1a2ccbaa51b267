"""A ring that is cut while a run uses it: contained, reported, and everything cancelled."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import ACCOUNT, is_gone, runtime_root, toy_settings, wait_for

from engine.host.errors import Exit
from engine.host.events import Event
from engine.host.rundir import runtime_dir
from engine.host.supervisor import Supervisor
from engine.host.venue_cancel import Attempt

__all__ = ["runtime_root"]
pytestmark = pytest.mark.usefixtures("runtime_root")


def test_a_cut_ring_is_named_and_the_run_ends_flat(tmp_path: Path) -> None:
    """The core dies touching the ring; the supervisor, which writes it too, does not: it says which
    ring was cut, cancels at the venue and ends the run without a process or a file left."""
    events: list[Event] = []
    cancelled: list[str] = []

    def cancel_all(_account: object, rest_url: str) -> Callable[[], Attempt]:
        cancelled.append(rest_url)
        return lambda: Attempt(True)

    supervisor = Supervisor(
        toy_settings(tmp_path), account=ACCOUNT, cancel_all=cancel_all, listener=events.append
    )
    with supervisor:
        assert supervisor.start()
        pids = [child.pid for child in supervisor.fleet.children.values()]
        os.truncate(runtime_dir("toy") / "control.ring", 0)

        def is_over() -> bool:
            supervisor.poll()
            return not supervisor.is_running

        wait_for(is_over, "the supervisor gives up")
        supervisor.stop()
    assert supervisor.exit_code == Exit.DIRTY
    died = next(event for event in events if (event.process, event.what) == ("core", "died"))
    assert "exit_code=-7" in died.detail
    assert "control.ring" in died.detail
    halted = next(event for event in events if event.what == "halted")
    assert halted.detail.startswith("HALT_CORE_LOST")
    assert halted.detail.endswith("(not told)")
    assert cancelled
    assert all(is_gone(pid) for pid in pids)
    assert not runtime_dir("toy").exists()
