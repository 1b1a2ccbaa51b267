"""What a run looked like from outside: queue depths, CPU time, longest rounds, collections.

```
 counters, ring headers, /proc ── four times a second ──> the last, the deepest
                                                             `── at the end ──> observed.json
```
Only what every process writes into shared memory anyway is read; nobody is asked, and a process
that holds a key stays closed to profilers. The file lies beside the tape and names its run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine.bus.ring import Discipline
from engine.host import pin
from engine.host.runfile import RunFile
from engine.host.status import read_processes, read_rings

OBSERVED_FILE = "observed.json"
PERIOD_NS = 250_000_000  # a look takes half a millisecond, on a core that others may need
_USER_FIELD, _SYSTEM_FIELD = 11, 12  # of /proc/PID/stat, after the name in brackets


class ObserverDuty:
    """Looks at a run now and then while it goes on, and writes down what it saw when it ends."""

    name = "observer"

    def __init__(self, runtime: RunFile) -> None:
        self._runtime = runtime
        self._now_ns = runtime.clock().now_ns
        self._cores = len(pin.cores())  # before anybody gives this process a place
        self._looked_ns = 0
        self._samples = 0
        self._processes: dict[str, dict[str, float]] = {}
        self._queues: dict[str, dict[str, int]] = {}

    def start(self) -> None:
        """Nothing to get ready: files are looked at as they are."""

    def work(self) -> int:
        """Look if it is time to; it is never work that somebody waits for."""
        now_ns = self._now_ns()
        if now_ns - self._looked_ns >= PERIOD_NS:
            self._looked_ns = now_ns
            self.look()
        return 0

    def close(self) -> None:
        """Look once more and write everything down; whoever reads sees all of it or nothing."""
        self.look()
        path = self._runtime.state(OBSERVED_FILE)
        draft = path.with_name(path.name + ".new")
        draft.write_text(json.dumps(self.to_json(), indent=1))
        os.replace(draft, path)

    def to_json(self) -> dict[str, Any]:
        """Return what was seen: the last of every process, the deepest of every queue."""
        return {
            "run_id": self._runtime.run_id,
            "profile": self._runtime.settings.get("run", {}).get("profile", ""),
            "cores": self._cores,
            "samples": self._samples,
            "processes": self._processes,
            "queues": self._queues,
        }

    def look(self) -> None:
        """Read every counter file and ring header once."""
        for process in read_processes(self._runtime):
            if not process.pid:  # its duties are another process's: profile fused
                continue
            before = self._processes.get(process.name, {})
            cpu_s = _cpu_s(process.pid) or (before.get("user_s", 0.0), before.get("system_s", 0.0))
            self._processes[process.name] = {
                "pid": process.pid,
                "rounds": process.rounds,
                "work": process.work,
                "errors": process.errors,
                "round_us_max": process.round_us_max,
                "collections": process.collections,
                "user_s": cpu_s[0],
                "system_s": cpu_s[1],
            }
        for ring in read_rings(self._runtime.runtime_dir):
            if ring.discipline is Discipline.QUEUE:
                before_max = self._queues.get(ring.name, {}).get("depth_max", 0)
                self._queues[ring.name] = {
                    "capacity": ring.capacity,
                    "published": ring.head,
                    "depth_max": max(before_max, ring.lag),
                }
        self._samples += 1


def _cpu_s(pid: int) -> tuple[float, float] | None:
    """Return the seconds a process has computed, its own and the kernel's for it; None if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    per_s = os.sysconf("SC_CLK_TCK")
    return int(fields[_USER_FIELD]) / per_s, int(fields[_SYSTEM_FIELD]) / per_s
