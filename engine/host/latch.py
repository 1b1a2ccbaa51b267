"""The halt latch: once halted, halted, until a human clears it with a reason.

`halt.json` in the state directory is the latch: it is there, or it is not. `halts.jsonl` beside it
is the history: when and why it was engaged and cleared. These are the files and nothing else; what
is in force while a run is up, and what happens when the disk does not take it, is `halts`'.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engine.host.files import sync_directory, write_durably
from engine.wire.codes import Reason

LATCH_FILE = "halt.json"
HISTORY_FILE = "halts.jsonl"


@dataclass(frozen=True, slots=True)
class Halt:
    """Why everything is halted. reason: a code's name.  detail: words.  at: ISO time, UTC."""

    reason: str
    detail: str
    at: str

    @property
    def code(self) -> Reason:
        """The reason as it goes to the core; an unknown one counts as the operator's."""
        return Reason.__members__.get(self.reason, Reason.HALT_OPERATOR)


class HaltLatch:
    """The latch of one state directory. Everything here may wait for a disk; OSError passes."""

    def __init__(self, state_dir: Path | str) -> None:
        self._path = Path(state_dir) / LATCH_FILE

    def read(self) -> Halt | None:
        """Return why everything is halted, None if it is not. An unreadable latch is a halt."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Halt)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            detail = f"the latch cannot be read: file={self._path}, {error}"
            return Halt(Reason.HALT_OPERATOR.name, detail, "")

    def hold(self, halt: Halt) -> None:
        """Latch a halt: on disk when this returns. One that is there already stays."""
        if self.read() is None:
            write_durably(self._path, msgspec.json.encode(halt))

    def clear(self) -> None:
        """Remove the latch: gone from the disk when this returns."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)

    def remember(self, what: Literal["engaged", "cleared"], halt: Halt) -> None:
        """Append a line to the history: all of it, or none."""
        line = msgspec.json.encode({"what": what, **msgspec.to_builtins(halt)}) + b"\n"
        with (self._path.parent / HISTORY_FILE).open("ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(line) < len(line):
                    raise OSError(0, "the history was written in part")
                os.fdatasync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
