"""The halt of a run that is up: in force in memory at once, on disk as soon as a disk takes it.

```
engage ─> in force (memory) ─> told to status (runtime directory)
             ├─> marker in the runtime root, at once
             ├─> latch and history in the state directory      [thread; tried until it works]
             └─> marker in the user's state directory,
                 if the latch is not written in STORED_S_MAX    [thread of its own]
```
Once the latch is written both markers go. A start that finds a marker and no latch is refused: an
earlier run was halted and could not say so.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engine.host.clock import Clock
from engine.host.disk_thread import DiskThread
from engine.host.errors import RefuseError
from engine.host.files import write_whole
from engine.host.halt_markers import HaltMarkers
from engine.host.latch import Halt, HaltLatch
from engine.host.log import iso_time
from engine.wire.codes import Reason

COPY_FILE = "halt.json"  # in the runtime directory
STORED_S_MAX = 0.5  # a disk that takes longer is not waited for
CLOSE_S_MAX = 2.0
JOBS_MAX = 64  # beyond these a disk that fails keeps no more history
WRITING = "being written"


@dataclass(frozen=True, slots=True)
class LiveHalt:
    """What a run that is up says of its halt. unstored: why it is not on disk, empty = it is."""

    halt: Halt | None = None
    unstored: str = ""


class Halts:
    """The halt in force. The supervisor's thread alone; nothing here waits for a disk.

    After `load`, which does: nothing runs yet that could trade.
    """

    def __init__(self, state_dir: Path, runtime_dir: Path, clock: Clock) -> None:
        self.in_force: Halt | None = None
        self._latch = HaltLatch(state_dir)
        self._markers = HaltMarkers(state_dir)
        self._copy = runtime_dir / COPY_FILE
        self._clock = clock
        self._disk = DiskThread("halt latch")
        self._elsewhere = DiskThread("halt marker")
        self._began_s = 0.0  # when what is not stored yet was decided
        self._is_pending = False
        self._is_marked = False  # the marker on disk was asked for
        self._said = ""

    def load(self) -> None:
        """Take over the halt that earlier runs left.

        RefuseError when one of them could not write its latch: that must be acknowledged.
        """
        self.in_force = self._latch.read()
        refuse_unstored(self._markers, self.in_force)
        if self.in_force is not None:
            self._show()

    def engage(self, reason: Reason, detail: str) -> None:
        """Put a halt in force and have it stored; the first one stays in force."""
        halt = Halt(reason.name, detail, iso_time(self._clock.now_ns()))
        if self.in_force is None:
            self.in_force = halt
            self._begin()
            with contextlib.suppress(OSError):
                self._markers.leave_in_memory(halt)
            self._disk.put(lambda: self._latch.hold(halt))
        self._remember("engaged", halt)

    def clear(self, detail: str) -> Halt | None:
        """Lift the halt and have that stored; return it, None if there was none."""
        halt = self.in_force
        if halt is not None:
            self.in_force = None
            self._begin()
            self._disk.put(self._latch.clear)
            cleared = Halt(halt.reason, detail, iso_time(self._clock.now_ns()))
            self._remember("cleared", cleared)
        return halt

    def look(self) -> str:
        """Follow the disk; return what is new to say of it, mostly nothing.

        Call it many times a second.
        """
        if not self._is_pending:
            return ""
        if self._disk.is_done:
            return self._stored()
        waited_s = time.monotonic() - self._began_s
        failure = self._disk.failure
        if not failure and waited_s < STORED_S_MAX:
            return ""
        if self.in_force is not None and not self._is_marked:
            halt = self.in_force
            self._is_marked = True
            self._elsewhere.put(lambda: self._markers.leave_on_disk(halt))
        return self._say(failure or "the disk does not answer")

    @property
    def unstored(self) -> str:
        """Why the latch is not as it should be on disk, empty = it is."""
        return (self._said or WRITING) if self._is_pending else ""

    def close(self) -> str:
        """Give the disk a last chance; return why the latch is not stored, empty = it is.

        The markers of one that is not stay.
        """
        if self._disk.close(CLOSE_S_MAX) and self._is_pending:
            self._stored()
        elif self._is_pending:
            self.look()
        self._elsewhere.close(CLOSE_S_MAX)
        return (self._disk.failure or "the disk does not answer") if self._is_pending else ""

    def _remember(self, what: Literal["engaged", "cleared"], halt: Halt) -> None:
        if self._disk.depth < JOBS_MAX:
            self._disk.put(lambda: self._latch.remember(what, halt))

    def _begin(self) -> None:
        self._is_pending, self._began_s, self._said = True, time.monotonic(), ""
        self._show()

    def _stored(self) -> str:
        """The disk has it all: nothing needs to be noted elsewhere any more."""
        was_said, self._is_pending, self._said = self._said, False, ""
        with contextlib.suppress(OSError):
            self._markers.remove(self._markers.in_memory)
        if self._is_marked:
            self._is_marked = False
            self._elsewhere.put(lambda: self._markers.remove(self._markers.on_disk))
        self._show()
        return "the latch is on disk" if was_said else ""

    def _say(self, why: str) -> str:
        if why == self._said:
            return ""
        self._said = why
        self._show()
        return f"the latch is not on disk, trying on: {why}"

    def _show(self) -> None:
        """Tell those who look from outside. In memory: no disk is waited for."""
        with contextlib.suppress(OSError):
            write_whole(self._copy, msgspec.json.encode(LiveHalt(self.in_force, self.unstored)))


def refuse_unstored(markers: HaltMarkers, latched: Halt | None) -> None:
    """RefuseError when an earlier run was halted and its latch is not there."""
    marked = markers.read()
    if marked is None:
        return
    if latched is None:
        raise RefuseError(
            f"an earlier run was halted and could not store it: {marked.reason} since "
            f"{marked.at or 'unknown'}: {marked.detail}; look at the venue's open orders, then "
            f"acknowledge it: halftick resume --config FILE --reason WHY"
        )
    for path in (markers.in_memory, markers.on_disk):
        with contextlib.suppress(OSError):
            markers.remove(path)


def read_live_halt(runtime_dir: Path) -> LiveHalt:
    """Return what the run that is up in a directory says of its halt."""
    try:
        return msgspec.json.decode((runtime_dir / COPY_FILE).read_bytes(), type=LiveHalt)
    except FileNotFoundError:
        return LiveHalt()
    except (OSError, ValueError) as error:
        detail = f"what the run says of its halt cannot be read: {error}"
        return LiveHalt(Halt(Reason.HALT_OPERATOR.name, detail, ""))
