"""Directories and locks of a run: our own alone, and one run in each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.host.duty import PID, create_counters
from engine.host.errors import RefuseError
from engine.host.rundir import (
    LOCK_FILE,
    ROOT_VARIABLE,
    RunDirectory,
    private_directory,
    runtime_dir,
    runtime_root,
)
from engine.host.statedir import claim_state, refuse_used_state
from engine.host.wallet_lock import claim_wallet

VENUE = "https://clob.polymarket.com"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory others use as well; at the end it must be as it was."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "theirs").touch()
    monkeypatch.setenv(ROOT_VARIABLE, str(shared))
    yield shared
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert [path.name for path in shared.iterdir()] == ["theirs"]


def made() -> Path:
    """Return a runtime directory as a dead run leaves it."""
    private_directory(runtime_root())
    private_directory(runtime_dir("toy"))
    return runtime_dir("toy")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_shared_directory_keeps_its_mode(shared: Path) -> None:
    """What is ours is a directory in it, 0700 like every run's; the shared one is left alone."""
    run = RunDirectory.acquire(runtime_dir("toy"))
    assert runtime_root() == shared / f"halftick-{os.getuid()}"
    assert {mode_of(runtime_root()), mode_of(run.path)} == {0o700}
    assert mode_of(run.path / LOCK_FILE) == 0o600
    run.remove()


def test_a_directory_others_may_enter_is_refused(shared: Path) -> None:
    """Nothing is changed about a directory that is there already: it is refused by its mode."""
    runtime_root().mkdir(mode=0o700)
    runtime_root().chmod(0o755)
    with pytest.raises(RefuseError, match=r"must be its owner's alone: .*mode=755"):
        RunDirectory.acquire(runtime_dir("toy"))
    assert mode_of(runtime_root()) == 0o755
    runtime_root().rmdir()


def test_leftovers_of_any_kind_are_named_and_removed(shared: Path, tmp_path: Path) -> None:
    """A link among them is removed and not followed."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    directory = made()
    (directory / "link").symlink_to(precious)
    (directory / "dangling").symlink_to(tmp_path / "nowhere")
    (directory / "folder" / "inner").mkdir(parents=True)
    (directory / "tape.ring").touch()
    run = RunDirectory.acquire(directory)
    assert run.leftovers == ("dangling", "folder", "link", "tape.ring")
    assert [path.name for path in directory.iterdir()] == [LOCK_FILE]
    assert (precious / "file").exists()
    run.remove()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_that_is_no_file_is_refused(shared: Path, tmp_path: Path, kind: str) -> None:
    """One line with the file and why, and the thing a link leads to is not written."""
    directory = made()
    target = tmp_path / "target"
    target.write_text("theirs")
    lock = directory / LOCK_FILE
    lock.symlink_to(target) if kind == "link" else lock.mkdir()
    with pytest.raises(RefuseError, match="cannot be locked: file="):
        RunDirectory.acquire(directory)
    assert target.read_text() == "theirs"
    lock.unlink() if kind == "link" else lock.rmdir()
    RunDirectory.acquire(directory).remove()


def test_processes_of_a_dead_run_are_waited_for(shared: Path) -> None:
    """While one lives it may send and write: the start is refused, and names it."""
    directory = made()
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()", str(directory)]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE) as orphan:
        counters = create_counters(directory / "signer.counters")
        counters.set(PID, orphan.pid)
        counters.close()
        with pytest.raises(RefuseError, match=rf"do not end: run=toy, pids=\[{orphan.pid}\]"):
            RunDirectory.acquire(directory, orphans_s_max=0.1)
        orphan.kill()
        orphan.wait()
        run = RunDirectory.acquire(directory)
        assert run.leftovers == ("signer.counters",)
        run.remove()


def test_a_directory_in_the_place_of_ours_is_not_removed(shared: Path) -> None:
    """A run whose directory was removed leaves that of its successor alone."""
    first = RunDirectory.acquire(runtime_dir("toy"))
    (first.path / LOCK_FILE).unlink()
    first.path.rmdir()
    assert not first.is_in_place
    second = RunDirectory.acquire(runtime_dir("toy"))
    first.remove()
    assert second.is_in_place
    second.remove()


def test_one_run_a_state_directory(shared: Path, tmp_path: Path) -> None:
    """The second is refused before it touches anything, and names the first."""
    state = tmp_path / "state"
    lock = claim_state(state, "first")
    with pytest.raises(RefuseError, match=rf"directory={state}, run=first, pid={os.getpid()}"):
        claim_state(state, "second")
    with pytest.raises(RefuseError, match="run=first"):
        refuse_used_state(state)
    lock.remove()
    refuse_used_state(state)
    assert [path.name for path in state.iterdir()] == ["log"]


def test_one_run_a_wallet(shared: Path) -> None:
    """Whatever the runs are called and however the address is written; the holder is named."""
    run = RunDirectory.acquire(runtime_dir("toy"))
    lock = claim_wallet(runtime_root(), "0xAB", VENUE, "first")
    with pytest.raises(RefuseError, match=rf"wallet=0xab, run=first, pid={os.getpid()}"):
        claim_wallet(runtime_root(), "0xab", VENUE + "/", "second")
    claim_wallet(runtime_root(), "0xac", VENUE, "second").remove()
    lock.remove()
    claim_wallet(runtime_root(), "0xab", VENUE, "second").remove()
    run.remove()


def test_local_exchanges_are_worlds_of_their_own(shared: Path) -> None:
    """The same address at two of them is two wallets, and at one of them is one."""
    run = RunDirectory.acquire(runtime_dir("toy"))
    first = claim_wallet(runtime_root(), "0xab", "http://127.0.0.1:1", "first")
    claim_wallet(runtime_root(), "0xab", "http://127.0.0.1:2", "second").remove()
    with pytest.raises(RefuseError, match="run=first"):
        claim_wallet(runtime_root(), "0xab", "http://127.0.0.1:1/", "second")
    first.close()  # as a dead holder leaves it
    run.remove()
    assert not runtime_root().exists()
