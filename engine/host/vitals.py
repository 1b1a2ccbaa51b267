"""What ends trading though every process lives: a run that cannot be recorded, proven or reached.

Read from the counters and the file system at each poll of the supervisor, which decides.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from engine.host import rundir
from engine.host.fleet import Fleet
from engine.host.plan import Role
from engine.wire.codes import Reason

RUNTIME_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that must not go on. process: whom it concerns.  detail: for people."""

    reason: Reason
    process: str
    detail: str


class Vitals:
    """Looks after a fleet. The supervisor's thread alone; times are monotonic seconds."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._recorder_lost_s: float | None = None
        self._runtime_looked_s = 0.0

    def recorder_died(self) -> None:
        """Count from now on how long the recorder is away."""
        if self._recorder_lost_s is None:
            self._recorder_lost_s = time.monotonic()

    def look(self) -> list[Trouble]:
        """Return what is wrong now, the same again as long as it lasts."""
        now_s = time.monotonic()
        looks = (self._recorder(now_s), self._tape(), self._order_log(), self._runtime(now_s))
        return [trouble for trouble in looks if trouble is not None]

    def _recorder(self, now_s: float) -> Trouble | None:
        recorder = self._fleet.one(Role.RECORDER)
        if self._recorder_lost_s is None or recorder is None:
            return None
        if recorder.is_ready:
            self._recorder_lost_s = None
            return None
        away_ms = (now_s - self._recorder_lost_s) * 1_000
        if away_ms <= self._fleet.settings.recorder.lag_ms_max:
            return None
        return Trouble(Reason.HALT_RECORDER_LOST, "recorder", f"no recorder for {away_ms:.0f} ms")

    def _tape(self) -> Trouble | None:
        """A recorder that cannot write is none: a full disk keeps it alive and useless."""
        recorder = self._fleet.one(Role.RECORDER)
        counters = recorder.counters() if recorder is not None else {}
        stalled_ms = counters.get("tape_stalled_ms", 0)
        if stalled_ms <= self._fleet.settings.recorder.lag_ms_max:
            return None
        error = os.strerror(counters.get("tape_errno", 0))
        detail = f"the tape cannot be written: {error}, stalled_ms={stalled_ms}"
        return Trouble(Reason.HALT_RECORDER_LOST, "recorder", detail)

    def _order_log(self) -> Trouble | None:
        """The process that signs says when its log's disk failed: no order may leave unlogged."""
        signing = self._fleet.one(Role.SIGNER) or self._fleet.one(Role.CORE)
        number = signing.counters().get("log_failed_errno", 0) if signing is not None else 0
        if signing is None or not number:
            return None
        detail = f"the order log cannot be written: {os.strerror(number)}, errno={number}"
        return Trouble(Reason.HALT_ORDER_LOG, signing.name, detail)

    def _runtime(self, now_s: float) -> Trouble | None:
        """Without its directory the run hears no command, and a second one could be started."""
        if now_s - self._runtime_looked_s < RUNTIME_LOOK_S:
            return None
        self._runtime_looked_s = now_s
        directory = self._fleet.runtime_dir
        gone = [
            name
            for name in (rundir.LOCK_FILE, rundir.CONTROL_SOCKET)
            if not os.path.lexists(directory / name)
        ]
        if not gone and self._fleet.is_in_place:
            return None
        what = f"files={','.join(gone)}" if gone else "another is in its place"
        detail = f"the runtime directory is gone: directory={directory}, {what}"
        return Trouble(Reason.HALT_RUNTIME_LOST, "run", detail)
