"""A small stand-in for a process of ours: it beats, reads its control ring, and may misbehave.

`python toy_process.py ROLE RUNTIME_DIR [--secrets-fd N]`, ROLE one of core, signer, recorder, feed.
The toy core holds an open order until it hears a HALT. Misbehaviour is switched on by a file named
`<state>/<role>.<what>`: `exits` (refuses to become ready), `stuck` (stops beating), `deaf` (ignores
SIGTERM), `keeps` (never lets its order go); one named for a counter has the value it is to show.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import numpy as np

from engine.bus.ring import QueueReader
from engine.host.duty import create_counters
from engine.host.errors import HostError
from engine.host.idle import Idle
from engine.host.runfile import RunFile
from engine.host.runner import run_duties
from engine.host.secrets import read_secrets
from engine.wire.codes import Kind
from engine.wire.records import typed

FAILURES = ("tape_stalled_ms", "tape_errno", "log_failed_errno")


class Toy:
    """The one duty of a toy process."""

    def __init__(self, role: str, run: RunFile, counters) -> None:
        self.name = role
        self._run = run
        self._counters = counters
        self._control = None
        self._rows = np.zeros((16, 16), np.int64)

    def start(self) -> None:
        if self._is("exits"):
            raise HostError("the toy was told to exit")
        if self._is("deaf"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for counter in FAILURES:
            if self._is(counter):
                self._set(counter, int(self._run.state(f"{self.name}.{counter}").read_text()))
        if self.name == "core":
            self._control = QueueReader(self._run.ring("control"), self._run.run_id)
            self._set("orders_open", 1)

    def work(self) -> int:
        if self._is("stuck"):
            time.sleep(600)
        if self._control is None:
            return 0
        count = self._control.poll(self._rows)
        for record in typed(self._rows[:count], Kind.HALT):
            assert record["kind"] == Kind.HALT
            self._set("halted", int(record["reason"]) if record["engaged"] else 0)
            if record["engaged"] and not self._is("keeps"):
                self._set("orders_open", 0)
        return count

    def close(self) -> None:
        if self._control is not None:
            self._control.close()

    def _is(self, what: str) -> bool:
        return self._run.state(f"{self.name}.{what}").exists()

    def _set(self, name: str, value: int) -> None:
        self._counters.set(self._counters.index(name), value)


def main() -> int:
    role, runtime_dir = sys.argv[1], Path(sys.argv[2])
    run = RunFile.load(runtime_dir)
    if "--secrets-fd" in sys.argv:
        account = read_secrets(int(sys.argv[sys.argv.index("--secrets-fd") + 1]))
        run.state(f"{role}.saw_key").write_text(str(account.private_key is not None))
    process = "feeds.market" if role == "feed" else role
    counters = create_counters(run.counters(process), ["orders_open", "halted", *FAILURES])
    return run_duties(
        process,
        run,
        [Toy(role, run, counters)],
        counters=counters,
        idle=Idle.for_profile("shared", park_us=2_000),
        uses_loop=role in ("feed", "signer"),
    )


if __name__ == "__main__":
    sys.exit(main())
