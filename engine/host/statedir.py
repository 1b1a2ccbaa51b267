"""The state directory of a run: one run at a time writes there."""

from __future__ import annotations

from pathlib import Path

from engine.host import locks
from engine.host.errors import RefuseError
from engine.host.locks import FileLock

LOCK_FILE = "run.lock"
LOG_DIRECTORY = "log"


def claim_state(directory: Path, run: str) -> FileLock:
    """Make the state directory if need be and return its lock, before anything in it is touched.

    RefuseError when it cannot be made, or naming the run that uses it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_made(directory, error) from None
    lock = locks.take_or_refuse(directory / LOCK_FILE, run, f"directory={directory}")
    try:
        (directory / LOG_DIRECTORY).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        lock.remove()
        raise _not_made(directory / LOG_DIRECTORY, error) from None
    return lock


def refuse_used_state(directory: Path) -> None:
    """RefuseError naming the run that uses the directory, if one does."""
    if locks.is_held(directory / LOCK_FILE):
        holder = locks.holder_of(directory / LOCK_FILE)
        raise RefuseError(
            f"a run that is up uses the directory: directory={directory}, run={holder.run}, "
            f"pid={holder.pid}"
        )


def _not_made(directory: Path, error: OSError) -> RefuseError:
    return RefuseError(f"run directory cannot be made: directory={directory}, {error.strerror}")
