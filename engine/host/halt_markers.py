"""Where a halt is noted while its latch cannot be written: beside the disk that fails.

Two places, because either may fail as well: the runtime root, which is memory and so outlives the
run but not the machine, and the user's state directory, which outlives both. A marker names the
state directory by a digest of its path. It is there only as long as the latch is not: a start that
finds one without a latch is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from engine.host import rundir
from engine.host.files import write_durably, write_whole
from engine.host.latch import Halt
from engine.wire.codes import Reason

_DIGEST_CHARS = 16


class HaltMarkers:
    """The markers of one state directory. in_memory, on_disk: the two places."""

    def __init__(self, state_dir: Path | str) -> None:
        self._state_dir = str(Path(state_dir).resolve())
        digest = hashlib.sha256(self._state_dir.encode()).hexdigest()[:_DIGEST_CHARS]
        name = f"halt-{digest}.json"
        self.in_memory = rundir.runtime_root() / name
        self.on_disk = state_home() / name

    def read(self) -> Halt | None:
        """Return the halt that is noted, None if none is. An unreadable marker is a halt."""
        for path in (self.in_memory, self.on_disk):
            try:
                return msgspec.json.decode(path.read_bytes(), type=Halt)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                detail = f"its marker cannot be read: file={path}, {error}"
                return Halt(Reason.HALT_NOT_STORED.name, detail, "")
        return None

    def leave_in_memory(self, halt: Halt) -> None:
        """Note a halt in memory, waiting for no disk; OSError if that cannot be."""
        write_whole(self.in_memory, self._content(halt))

    def leave_on_disk(self, halt: Halt) -> None:
        """Note a halt on the user's disk and wait for it; OSError if that cannot be."""
        self.on_disk.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self.on_disk, self._content(halt))

    def _content(self, halt: Halt) -> bytes:
        return msgspec.json.encode({"directory": self._state_dir, **msgspec.to_builtins(halt)})

    def remove(self, path: Path) -> None:
        """Remove the marker of a place; OSError if it is there and stays."""
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # only when it was the last of it


def state_home() -> Path:
    """Return where this user's state is kept: $XDG_STATE_HOME or ~/.local/state, and halftick."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    parent = Path(chosen) if os.path.isabs(chosen) else Path.home() / ".local" / "state"
    return parent / "halftick"
