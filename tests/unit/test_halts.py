"""The halt of a run that is up, on disks that take it, hang, and are full."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import wait_until

from engine.host.clock import Clock
from engine.host.errors import RefuseError
from engine.host.halt_markers import HaltMarkers
from engine.host.halts import Halts, read_live_halt
from engine.host.latch import HaltLatch
from engine.host.rundir import ROOT_VARIABLE, private_directory, runtime_dir, runtime_root
from engine.wire.codes import Reason

DEADLINE_S = 20.0
HANG = "halt.json.draft"  # a named pipe there: the writer of the latch waits for its reader


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory; the runtime root and the user's state are beside it. Nothing hangs on."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "memory"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    private_directory(runtime_root())
    private_directory(runtime_dir("toy"))
    directory = tmp_path / "state"
    directory.mkdir()
    yield directory
    release(directory)


@pytest.fixture
def full(tmp_path: Path, state: Path) -> Iterator[Path]:
    """The state directory on a disk of its own that is full."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    (state / "filler").write_bytes(b"x" * 32_768)
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def release(state: Path) -> None:
    """Let go of a writer that hangs in the pipe, if one does."""
    if (state / HANG).is_fifo():
        reader = os.open(state / HANG, os.O_RDONLY | os.O_NONBLOCK)
        (state / HANG).unlink(missing_ok=True)
        os.close(reader)


def halts_of(state: Path) -> Halts:
    """Return the halts of a run that has just started there."""
    halts = Halts(state, runtime_dir("toy"), Clock.anchored())
    halts.load()
    return halts


def settle(halts: Halts) -> None:
    """Look, as a poll does, until everything is on disk."""

    def is_stored() -> bool:
        halts.look()
        return not halts.unstored

    wait_until(is_stored, DEADLINE_S, "the latch is on disk")


def test_first_halt_stays_until_cleared(state: Path) -> None:
    """The first reason stays in force; clearing returns it; the history has all three."""
    halts = halts_of(state)
    halts.engage(Reason.HALT_OPERATOR, "smoke")
    halts.engage(Reason.HALT_FEED_LOST, "later")
    settle(halts)
    latched = HaltLatch(state).read()
    assert latched is not None
    assert latched.detail == "smoke"
    cleared = halts.clear("no fire")
    assert cleared is not None
    assert cleared.code is Reason.HALT_OPERATOR
    settle(halts)
    assert halts.close() == ""
    assert HaltLatch(state).read() is None
    history = [json.loads(line) for line in (state / "halts.jsonl").read_text().splitlines()]
    assert [line["what"] for line in history] == ["engaged", "engaged", "cleared"]
    assert HaltMarkers(state).read() is None


def test_a_disk_that_hangs_holds_up_nothing(state: Path) -> None:
    """Engaging, looking, a second halt and a resume return at once; status has it meanwhile."""
    os.mkfifo(state / HANG)
    halts = halts_of(state)
    began_s = time.monotonic()
    halts.engage(Reason.HALT_OPERATOR, "smoke")
    halts.look()
    halts.engage(Reason.HALT_FEED_LOST, "later")
    assert time.monotonic() - began_s < 0.2
    live = read_live_halt(runtime_dir("toy"))
    assert live.halt is not None
    assert (live.halt.detail, live.unstored) == ("smoke", "being written")
    began_s = time.monotonic()
    assert halts.clear("no fire") is not None
    assert time.monotonic() - began_s < 0.2
    release(state)
    settle(halts)
    assert HaltLatch(state).read() is None


def test_a_halt_that_hangs_is_noted_in_two_places(state: Path) -> None:
    """In memory at once and on the user's disk soon; a start that finds them is refused."""
    os.mkfifo(state / HANG)
    halts = halts_of(state)
    halts.engage(Reason.HALT_OPERATOR, "smoke")
    markers = HaltMarkers(state)
    assert markers.in_memory.exists()

    def is_noted() -> bool:
        halts.look()
        return markers.on_disk.exists()

    wait_until(is_noted, DEADLINE_S, "the marker is on the user's disk")
    for lost in (markers.in_memory, markers.on_disk):
        kept = lost.read_bytes()
        lost.unlink()
        with pytest.raises(RefuseError, match=r"HALT_OPERATOR .*smoke.* halftick resume --config"):
            halts_of(state)
        lost.write_bytes(kept)
    release(state)
    settle(halts)
    assert halts.close() == ""
    assert markers.read() is None
    found = halts_of(state).in_force
    assert found is not None
    assert found.detail == "smoke"


def test_a_full_disk_is_told_tried_again_and_refuses_the_next_start(full: Path) -> None:
    """No traceback and no draft: the halt is in force, and on disk once there is room."""
    halts = halts_of(full)
    halts.engage(Reason.HALT_OPERATOR, "smoke")
    told: list[str] = []

    def is_told() -> bool:
        told.append(halts.look())
        return bool(told[-1])

    wait_until(is_told, DEADLINE_S, "it is told")
    assert "No space left on device" in told[-1]
    assert "No space left on device" in read_live_halt(runtime_dir("toy")).unstored
    assert halts.in_force is not None
    assert {path.name for path in full.iterdir()} == {"filler"}
    with pytest.raises(RefuseError, match="could not store it"):
        halts_of(full)
    (full / "filler").unlink()
    settle(halts)
    assert halts.close() == ""
    assert HaltLatch(full).read() is not None
    assert HaltMarkers(full).read() is None


def test_a_run_that_ends_on_a_full_disk_leaves_the_marker(full: Path) -> None:
    """Closing says that the latch is not stored, and what refuses the next start stays."""
    halts = halts_of(full)
    halts.engage(Reason.HALT_OPERATOR, "smoke")
    assert "No space left on device" in halts.close()
    with pytest.raises(RefuseError, match="could not store it"):
        halts_of(full)


def test_an_unreadable_marker_refuses_too(state: Path) -> None:
    """In doubt an earlier run was halted."""
    marker = HaltMarkers(state).on_disk
    marker.parent.mkdir(parents=True)
    marker.write_bytes(b"\xff")
    with pytest.raises(RefuseError, match="HALT_NOT_STORED"):
        halts_of(state)
