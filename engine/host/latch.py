"""The halt latch: once halted, halted, until a human clears it with a reason.

`halt.json` in the state directory is the latch: it is there, or it is not. `halts.jsonl` beside it
is the history: who engaged and cleared it, when and why. Both are on disk before anybody acts on
them, so a halt survives a restart.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.host.clock import Clock
from engine.host.log import iso_time
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
    """The latch of one state directory."""

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

    def engage(self, reason: Reason, detail: str, clock: Clock) -> Halt:
        """Latch a halt and return the one in force: the first one stays."""
        halt = Halt(reason.name, detail, iso_time(clock.now_ns()))
        self._remember("engaged", halt)
        in_force = self.read()
        if in_force is None:
            _write_durably(self._path, msgspec.json.encode(halt))
            in_force = halt
        return in_force

    def clear(self, detail: str, clock: Clock) -> Halt | None:
        """Clear the latch; return the halt that was in force, None if there was none."""
        in_force = self.read()
        if in_force is not None:
            self._remember("cleared", Halt(in_force.reason, detail, iso_time(clock.now_ns())))
            self._path.unlink(missing_ok=True)
        return in_force

    def _remember(self, what: str, halt: Halt) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode({"what": what, **msgspec.to_builtins(halt)}) + b"\n"
        with (self._path.parent / HISTORY_FILE).open("ab") as file:
            file.write(line)
            file.flush()
            os.fdatasync(file.fileno())


def _write_durably(path: Path, text: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
