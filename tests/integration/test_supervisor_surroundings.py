"""What a run stands on is taken away: its directory, its venue, its descriptors, its disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cancel_venue import Venue
from test_run_command import HALFTICK, ROOT, config_file, halftick
from toys import ACCOUNT, is_gone, runtime_root, toy_settings, wait_for

from engine.host.errors import Exit
from engine.host.events import Event
from engine.host.fleet import ExchangePlan
from engine.host.halt_markers import HaltMarkers
from engine.host.latch import HaltLatch
from engine.host.rundir import runtime_dir
from engine.host.status import read_status
from engine.host.supervisor import Supervisor
from engine.wire.codes import Reason

__all__ = ["runtime_root"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime_root")]

# An exchange that gives its ready line, and whose answers are another's business.
READY = "import sys, time; print(sys.argv[1], flush=True); time.sleep(600)"


@pytest.fixture
def events() -> list[Event]:
    """Everything the supervisor said."""
    return []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def polls(supervisor: Supervisor, condition: Callable[[], bool]) -> Callable[[], bool]:
    """Return a condition that is looked at after a poll."""

    def met() -> bool:
        supervisor.poll()
        return condition()

    return met


def test_a_removed_runtime_directory_halts_and_ends_the_run(
    tmp_path: Path, events: list[Event]
) -> None:
    """The core hears of it through its ring, the run ends in order, and says what happened."""
    settings = toy_settings(tmp_path)
    supervisor = Supervisor(settings, account=ACCOUNT, listener=events.append)
    with supervisor:
        assert supervisor.start()
        pids = [child.pid for child in supervisor.fleet.children.values()]
        shutil.rmtree(runtime_dir("toy"))
        wait_for(polls(supervisor, lambda: not supervisor.is_running), "the run notices")
        lost = Reason.HALT_RUNTIME_LOST
        wait_for(lambda: supervisor.counters("core")["halted"] == lost, "the core hears of it")
        supervisor.stop()
    assert supervisor.exit_code == Exit.DIRTY
    assert all(is_gone(pid) for pid in pids)
    halted = next(event for event in events if event.what == "halted")
    assert f"HALT_RUNTIME_LOST: the runtime directory is gone: directory={runtime_dir('toy')}" in (
        halted.detail
    )
    assert ("run", "cancelled") in {(event.process, event.what) for event in events}
    latched = HaltLatch(tmp_path).read()
    assert latched is not None
    assert latched.code is Reason.HALT_RUNTIME_LOST


def test_a_silent_exchange_is_killed_and_halts_the_run(tmp_path: Path, events: list[Event]) -> None:
    """It lives, its socket accepts, and it does not answer for heartbeat_ms_max."""
    with Venue.serving() as venue:
        ready = {"rest": venue.url, "user_ws": "ws://127.0.0.1:1"}
        plan = ExchangePlan((json.dumps(ready),), command=(sys.executable, "-c", READY))
        settings = toy_settings(tmp_path, heartbeat_ms_max=1_500)
        supervisor = Supervisor(settings, account=ACCOUNT, exchange=plan, listener=events.append)
        with supervisor:
            assert supervisor.start()
            wait_for(polls(supervisor, lambda: "/ok" in venue.asked), "it is asked")
            assert supervisor.is_running
            venue.is_mute.set()
            wait_for(polls(supervisor, lambda: not supervisor.is_running), "the run gives up")
        venue.is_heard.set()
    said = [(event.process, event.what) for event in events]
    assert said.index(("exchange", "stalled")) < said.index(("exchange", "died"))
    halted = next(event for event in events if event.what == "halted")
    assert halted.detail.startswith("HALT_VENUE_LOST")
    assert supervisor.exit_code == Exit.DIRTY


def test_a_recorder_that_cannot_write_halts_the_run(tmp_path: Path, events: list[Event]) -> None:
    """Its counter is beyond lag_ms_max: it lives, and the run is not recorded."""
    (tmp_path / "recorder.tape_stalled_ms").write_text("60000")
    supervisor = Supervisor(toy_settings(tmp_path), account=ACCOUNT, listener=events.append)
    with supervisor:
        assert supervisor.start()
        wait_for(polls(supervisor, lambda: any(e.what == "halted" for e in events)), "halted")
    halted = next(event for event in events if event.what == "halted")
    assert halted.detail.startswith("HALT_RECORDER_LOST: the tape cannot be written")


def test_an_order_log_that_fails_halts_the_run(tmp_path: Path, events: list[Event]) -> None:
    """The signer's counter has the disk's error; the halt names it and is latched."""
    (tmp_path / "signer.log_failed_errno").write_text("5")
    supervisor = Supervisor(toy_settings(tmp_path), account=ACCOUNT, listener=events.append)
    with supervisor:
        assert supervisor.start()
        wait_for(polls(supervisor, lambda: any(e.what == "halted" for e in events)), "halted")
    halted = next(event for event in events if event.what == "halted")
    assert halted.detail.startswith("HALT_ORDER_LOG")
    assert "Input/output error" in halted.detail
    assert HaltLatch(tmp_path).read() is not None


@pytest.fixture
def daemon(tmp_path: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """`halftick run` on toys behind the real local exchange, once every process is ready."""
    command = [*HALFTICK, "run", "--config", str(config_file(tmp_path)), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            wait_for(lambda: process.poll() is not None or _is_up(), "every process is ready")
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def _is_up() -> bool:
    return (runtime_dir("toy") / "run.json").exists() and read_status(runtime_dir("toy")).is_healthy


def test_a_halt_on_a_disk_that_hangs_refuses_the_next_start(
    daemon: subprocess.Popen[str], tmp_path: Path
) -> None:
    """In force at once; `halt` and `status` say it is not stored; killed meanwhile, the next start
    is refused with 78 until `resume --config` acknowledges it."""
    os.mkfifo(tmp_path / "halt.json.draft")  # who writes the latch waits for a reader of the pipe
    halted = halftick("halt", "--reason", "smoke")
    assert halted.returncode == 1
    assert "halted" in halted.stdout
    assert "not on disk yet" in halted.stderr
    shown = halftick("status")
    assert shown.returncode == 1
    assert "smoke" in shown.stdout
    assert "NOT STORED" in shown.stdout
    again = halftick("halt", "--reason", "more smoke")
    assert "more smoke" not in halftick("status").stdout
    pids = [process.pid for process in read_status(runtime_dir("toy")).processes]
    daemon.kill()
    daemon.communicate(timeout=60)
    wait_for(lambda: all(is_gone(pid) for pid in pids), "processes are gone")
    (tmp_path / "halt.json.draft").unlink()
    refused = halftick("run", "--config", str(tmp_path / "toy.toml"))
    assert refused.returncode == Exit.REFUSED
    assert "could not store it: HALT_OPERATOR" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    resume = ("resume", "--config", str(tmp_path / "toy.toml"), "--reason", "no fire")
    assert halftick(*resume).returncode == 0
    assert halftick(*resume).returncode == 1
    assert HaltMarkers(tmp_path).read() is None
    for done in (halted, shown, again, refused):
        assert "Traceback" not in done.stderr


def test_two_runs_of_one_directory_are_refused(
    daemon: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Another name in the same directory: 78, one line that names the first, nothing touched."""
    text = (tmp_path / "toy.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(text.replace('name = "toy"', 'name = "other"'))
    before = {path: path.stat().st_ino for path in tmp_path.glob("*") if path.is_file()}
    refused = halftick("run", "--config", str(other))
    assert refused.returncode == Exit.REFUSED
    assert f"directory={tmp_path}, run=toy, pid={daemon.pid}" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not runtime_dir("other").exists()
    after = {path: path.stat().st_ino for path in tmp_path.glob("*") if path.is_file()}
    assert before.items() <= after.items(), "the first run may write on"


def test_run_files_are_their_owners_alone(daemon: subprocess.Popen[str], tmp_path: Path) -> None:
    """0600 and 0700, in paper mode and whatever the umask of who started it."""
    ours = [runtime_dir("toy"), *runtime_dir("toy").rglob("*"), *(tmp_path / "log").rglob("*")]
    ours += [tmp_path / "log", tmp_path / "truth.jsonl"]
    open_to_others = {
        str(path): oct(path.stat().st_mode) for path in ours if path.stat().st_mode & 0o077
    }
    assert open_to_others == {}


@pytest.mark.parametrize("descriptors", [12, 24, 40, 60])
def test_a_run_without_descriptors_ends_in_a_line(
    tmp_path: Path, home: Path, descriptors: int
) -> None:
    """However few there are: no traceback, and no file left in the runtime root."""
    config = config_file(tmp_path)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = subprocess.run(
        [*HALFTICK, "run", "--config", str(config)], capture_output=True, text=True, cwd=ROOT,
        timeout=100, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert done.returncode in (Exit.DIRTY, Exit.REFUSED)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert not runtime_dir("toy").exists()
