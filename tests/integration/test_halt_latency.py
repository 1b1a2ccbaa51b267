"""From the word `halt` to the last order that is sent, while the latch's disk hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys import runtime_root, wait_for

from engine.bus.control import Request, ask
from engine.bus.counters import read_counters
from engine.host.halt_markers import HaltMarkers
from engine.host.rundir import CONTROL_SOCKET, runtime_dir
from engine.wire.codes import Reason

__all__ = ["runtime_root"]
ROOT = Path(__file__).resolve().parents[2]
HALTS = 20
WATCHED_S = 1.2  # after a halt: an order that is still sent is seen
STOP_MS_MAX = 50
# A machine that is busy with other things holds up some of them, and says nothing of the engine; a
# disk that is waited for holds up every one, for as long as it hangs.
LATE_MS_MAX = 1_000


def sent() -> int:
    """Return how many orders have left the signer."""
    return read_counters(runtime_dir("halting") / "signer.counters").get("orders_sent", 0)


def say(command: str) -> None:
    """Have the run's supervisor do something."""
    socket = runtime_dir("halting") / CONTROL_SOCKET
    reply = ask(socket, Request(command, "latency"), timeout_ms=20_000)  # type: ignore[arg-type]
    assert reply.ok, reply.error


def halt_ms() -> float:
    """Halt, and return how long afterwards the last order left, 0 if none did."""
    before, last_ms = sent(), 0.0
    began_s = time.monotonic()
    say("halt")
    while (passed_s := time.monotonic() - began_s) < WATCHED_S:
        now = sent()
        if now != before:
            before, last_ms = now, passed_s * 1_000
    return last_ms


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("runtime_root")
def test_no_order_leaves_50_ms_after_a_halt_whatever_the_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty halts of a run that sends all the time, the latch's writer hanging in a pipe: half of
    them at least, however busy the machine is, and none waits for the disk."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    state = tmp_path / "state"
    state.mkdir()
    os.mkfifo(state / "halt.json.draft")
    command = [sys.executable, str(Path(__file__).with_name("halting_run.py")), str(state)]
    with subprocess.Popen(
        [*command, "halting"], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["rest"]
            found = []
            for _ in range(HALTS):
                beginning = sent()
                wait_for(lambda at=beginning: sent() > at + 3, "orders are being sent")
                found.append(halt_ms())
                core = read_counters(runtime_dir("halting") / "core.counters")
                assert core["halted"] == Reason.HALT_OPERATOR
                say("resume")
        finally:
            process.kill()
    wait_for(lambda: not runtime_dir("halting").exists(), "the processes end")
    HaltMarkers(state).in_memory.unlink()  # it was killed with a latch that is not stored
    runtime_dir("halting").parent.rmdir()
    found.sort()
    print(f"last order after a halt, ms: {[round(ms, 1) for ms in found]}")
    assert found[HALTS // 2] <= STOP_MS_MAX
    assert found[-1] <= LATE_MS_MAX
