"""The supervisor with real child processes: start, every role's death, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import ACCOUNT, is_gone, runtime_root, toy_settings, wait_for

from engine.bus.control import Request, ask
from engine.host.config.schema import Settings
from engine.host.errors import Exit, HostError, RefuseError
from engine.host.events import Event
from engine.host.latch import Halt, HaltLatch
from engine.host.rundir import runtime_dir
from engine.host.secrets import Account
from engine.host.status import read_status
from engine.host.supervisor import Supervisor
from engine.host.venue_cancel import Attempt
from engine.wire.codes import Reason

__all__ = ["runtime_root"]
# Waiting out deadlines and deaths takes its time; `make test-full` has it.
pytestmark = [pytest.mark.usefixtures("runtime_root"), pytest.mark.slow]


class Run:
    """A supervisor and everything it said."""

    def __init__(self, settings: Settings) -> None:
        self.cancelled: list[tuple[Account, str]] = []
        self.supervisor = Supervisor(settings, account=ACCOUNT, cancel_all=self._cancel_all)
        self.shown = Attempt(True)
        self.events: list[Event] = []

    def _cancel_all(self, account: Account, rest_url: str) -> Callable[[], Attempt]:
        def try_once() -> Attempt:
            self.cancelled.append((account, rest_url))
            return self.shown

        return try_once

    def poll(self) -> None:
        self.events += self.supervisor.poll()

    def poll_until(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            self.poll()
            return condition()

        wait_for(met, what)

    def said(self, process: str, what: str) -> bool:
        return any((event.process, event.what) == (process, what) for event in self.events)

    def stop(self) -> bool:
        is_clean = self.supervisor.stop()
        self.events += self.supervisor.take_events()
        return is_clean

    def halted(self) -> int:
        return self.supervisor.counters("core")["halted"]

    def pid(self, process: str) -> int:
        return self.supervisor.fleet.children[process].pid

    def pids(self) -> list[int]:
        return [child.pid for child in self.supervisor.fleet.children.values()]

    def kill(self, process: str) -> int:
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid


def latched(state_dir: Path) -> str:
    """Return the reason that is latched on disk, once one is."""
    wait_for(lambda: HaltLatch(state_dir).read() is not None, "the latch is on disk")
    halt = HaltLatch(state_dir).read()
    assert halt is not None
    return halt.reason


@pytest.fixture
def run(tmp_path: Path, runtime_root: Path):
    """A started run of toys; ended whatever the test did."""
    run = Run(toy_settings(tmp_path))
    with run.supervisor:
        assert run.supervisor.start()
        run.supervisor.take_events()
        yield run
        pids = run.pids()
    assert all(is_gone(pid) for pid in pids)
    assert not runtime_dir("toy").exists()


def test_stop_cancels_first_and_leaves_nothing(run: Run) -> None:
    """A stop halts the core, sees its orders gone, ends every process with 0 and is clean."""
    pids = run.pids()
    assert run.supervisor.counters("core")["orders_open"] == 1
    assert run.stop()
    assert run.said("run", "cancelled")
    assert all(is_gone(pid) for pid in pids)
    assert not runtime_dir("toy").exists()
    assert HaltLatch(run.supervisor.fleet.state_dir).read() is None


def test_only_the_signer_sees_the_key(run: Run, tmp_path: Path) -> None:
    """The signer is given the private key; the feed with the user stream is not."""
    assert (tmp_path / "signer.saw_key").read_text() == "True"
    assert (tmp_path / "feed.saw_key").read_text() == "False"
    assert not (tmp_path / "core.saw_key").exists()
    assert "0x01" not in (runtime_dir("toy") / "run.json").read_text()


def test_second_instance_is_refused(run: Run, tmp_path: Path) -> None:
    """A second run of the same name is refused, names the first one's pid and harms nothing."""
    second = Supervisor(toy_settings(tmp_path), account=ACCOUNT)
    with pytest.raises(RefuseError, match=f"already running: run=toy, pid={os.getpid()}"):
        second.start()
    run.poll()
    assert run.supervisor.is_running
    assert all(child.is_ready for child in run.supervisor.fleet.children.values())


def test_dead_feed_is_restarted(run: Run) -> None:
    """A killed feed comes back under the same name, and nothing is halted."""
    before = run.kill("feeds.market")
    run.poll_until(lambda: run.said("feeds.market", "ready"), "feed is back")
    assert run.pid("feeds.market") != before
    assert run.supervisor.is_running
    assert run.halted() == 0


def test_dead_recorder_is_restarted(run: Run) -> None:
    """A killed recorder comes back, and trading goes on within its bound."""
    run.kill("recorder")
    run.poll_until(lambda: run.said("recorder", "ready"), "recorder is back")
    assert run.supervisor.is_running


def test_recorder_that_stays_away_halts(run: Run, tmp_path: Path) -> None:
    """When the recorder is not back within lag_ms_max, the core is told to halt."""
    (tmp_path / "recorder.exits").touch()
    run.kill("recorder")
    run.poll_until(lambda: run.halted() == Reason.HALT_RECORDER_LOST, "halted")
    assert latched(tmp_path) == "HALT_RECORDER_LOST"
    assert run.supervisor.is_running


def test_dead_core_ends_the_run(run: Run, tmp_path: Path) -> None:
    """A killed core latches a halt; the signer gets time to cancel; the run ends dirty."""
    run.kill("core")
    run.poll_until(lambda: not run.supervisor.is_running, "run gives up")
    assert run.supervisor.fleet.children["signer"].is_alive
    assert not run.stop()
    assert run.supervisor.exit_code == Exit.DIRTY
    assert latched(tmp_path) == "HALT_CORE_LOST"


def test_dead_signer_cancels_from_here(run: Run, tmp_path: Path) -> None:
    """A killed signer halts the core, and the supervisor cancels with credentials but no key."""
    run.kill("signer")
    run.poll_until(lambda: not run.supervisor.is_running, "run gives up")
    assert run.cancelled[0] == (ACCOUNT.without_key(), "http://127.0.0.1:1")
    wait_for(lambda: run.halted() == Reason.HALT_SIGNER_LOST, "core halted")
    assert not run.stop()
    assert latched(tmp_path) == "HALT_SIGNER_LOST"


def test_halt_survives_a_restart(tmp_path: Path) -> None:
    """A halted run starts halted, until a resume with a reason clears the latch."""
    HaltLatch(tmp_path).hold(Halt(Reason.HALT_OPERATOR.name, "lunch", ""))
    run = Run(toy_settings(tmp_path))
    with run.supervisor as supervisor:
        assert supervisor.start()
        wait_for(lambda: run.halted() == Reason.HALT_OPERATOR, "core starts halted")
        assert supervisor.resume("lunch is over")
        wait_for(lambda: run.halted() == 0, "core resumes")
    assert HaltLatch(tmp_path).read() is None


def test_process_that_does_not_start_is_named(tmp_path: Path) -> None:
    """When a process ends before it is ready, the error names it, its log and its last words."""
    (tmp_path / "signer.exits").touch()
    run = Run(toy_settings(tmp_path))
    with pytest.raises(HostError, match=r"signer ended .*signer\.out: .*told to exit"):
        run.supervisor.start()
    assert not runtime_dir("toy").exists()
    assert all(is_gone(pid) for pid in run.pids())


def test_stuck_process_counts_as_dead(tmp_path: Path) -> None:
    """A process whose heartbeat stops is killed and answered as its role's death is."""
    run = Run(toy_settings(tmp_path, heartbeat_ms_max=1_500))
    with run.supervisor as supervisor:
        assert supervisor.start()
        (tmp_path / "feed.stuck").touch()
        run.poll_until(lambda: run.said("feeds.market", "stalled"), "feed is found stuck")
        (tmp_path / "feed.stuck").unlink()
        run.poll_until(
            lambda: sum(e.what == "ready" and e.process == "feeds.market" for e in run.events) == 2,
            "feed is back",
        )


def test_deaf_process_is_killed(tmp_path: Path) -> None:
    """Who ignores SIGTERM is killed in the end, and the stop is dirty; hurrying shortens it."""
    (tmp_path / "recorder.deaf").touch()
    run = Run(toy_settings(tmp_path))
    with run.supervisor as supervisor:
        assert supervisor.start()
        supervisor.request_stop()
        supervisor.request_stop()
        assert not run.stop()
    assert run.said("recorder", "killed")
    assert not runtime_dir("toy").exists()


def test_orders_that_stay_open_make_the_stop_dirty(tmp_path: Path) -> None:
    """A core that never gets rid of its order makes the supervisor cancel and the stop dirty."""
    (tmp_path / "core.keeps").touch()
    run = Run(toy_settings(tmp_path, stop_ms_max=300))
    with run.supervisor as supervisor:
        assert supervisor.start()
        assert not run.stop()
    assert run.said("run", "cancelled")
    assert not run.said("run", "unverified")
    assert len(run.cancelled) == 1


def test_cancel_without_evidence_is_tried_on_and_told(tmp_path: Path) -> None:
    """Until cancel_ms_max is over; then the stop is unverified and names the orders left."""
    (tmp_path / "core.keeps").touch()
    run = Run(toy_settings(tmp_path, stop_ms_max=300, cancel_ms_max=1_000))
    run.shown = Attempt(False, ("0xaa", "0xbb"), "the venue lists open orders")
    with run.supervisor as supervisor:
        assert supervisor.start()
        assert not run.stop()
    assert not run.said("run", "cancelled")
    (told,) = [event.detail for event in run.events if event.what == "unverified"]
    assert "0xaa, 0xbb" in told
    assert len(run.cancelled) > 2


def test_leftovers_of_a_dead_run_are_removed(tmp_path: Path, runtime_root: Path) -> None:
    """What a dead run left in the runtime directory is removed by the next one, and said so."""
    leftovers = runtime_dir("toy")
    leftovers.mkdir(mode=0o700, parents=True)
    leftovers.parent.chmod(0o700)
    (leftovers / "md.market.ring").write_bytes(b"old")
    (leftovers / "lock").write_text("999999999")
    run = Run(toy_settings(tmp_path))
    with run.supervisor as supervisor:
        assert supervisor.start()
        run.poll()
        assert run.said("run", "leftovers")


def test_status_from_outside_and_by_asking_agree(run: Run) -> None:
    """The files and the control socket tell the same of a run: everything is ready."""
    outside = read_status(runtime_dir("toy"))
    assert outside.is_healthy
    assert [process.name for process in outside.processes] == [
        "core",
        "feeds.market",
        "recorder",
        "signer",
    ]
    assert {ring.name for ring in outside.rings} == {
        "control",
        "exec",
        "md.market",
        "orders",
        "private",
        "tape",
    }


DYING_SUPERVISOR = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toys import ACCOUNT, toy_settings
from engine.host.supervisor import Supervisor
from engine.host.venue_cancel import Attempt
supervisor = Supervisor(toy_settings(Path(sys.argv[2])), account=ACCOUNT)
assert supervisor.start()
print(*(child.pid for child in supervisor.fleet.children.values()), flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path, runtime_root: Path) -> None:
    """kill -9 of the supervisor ends every process, and the last one removes the directory."""
    here = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", DYING_SUPERVISOR, str(here), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 4
        process.kill()
    wait_for(lambda: all(is_gone(pid) for pid in pids), "processes are gone")
    wait_for(lambda: not runtime_dir("toy").exists(), "runtime directory is gone")


def test_control_socket_halts_resumes_and_stops(tmp_path: Path, runtime_root: Path) -> None:
    """halt, resume and stop do what they say when asked over the socket of a run that polls."""
    here = Path(__file__).parent
    script = DYING_SUPERVISOR.replace(
        "sys.stdin.read()",
        "import time\nwhile not supervisor.is_stop_requested:\n"
        "    supervisor.poll(); time.sleep(0.01)\nsys.exit(0 if supervisor.stop() else 1)",
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(here), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        socket = runtime_dir("toy") / "control.sock"

        def say(command: str, reason: str = "") -> tuple[bool, str]:
            reply = ask(socket, Request(command, reason), timeout_ms=20_000)  # type: ignore[arg-type]
            return reply.ok, reply.error

        assert say("halt", "smoke") == (True, "")
        halt = read_status(runtime_dir("toy")).halt
        assert halt is not None
        assert (halt.reason, halt.detail) == ("HALT_OPERATOR", "smoke")
        assert latched(tmp_path) == "HALT_OPERATOR"
        assert say("resume", "no fire") == (True, "")
        assert say("resume", "again") == (False, "not halted")
        assert say("stop") == (True, "")
        assert process.wait(60) == 0
