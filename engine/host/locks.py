"""Lock files: held by flock for as long as the holder lives, however it ends.

The kernel lets go of the lock when the holder dies, so a file that is found unlocked is a dead
holder's and may be taken over. Its text names the holder: process id, then the run's name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from engine.host.errors import RefuseError

HOLDER_BYTES_MAX = 256
LOOK_S_MAX = 0.5  # how long a process may be looking at a lock without being its holder
LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Holder:
    """The last holder of a lock, as its text has it. pid: 0 = unknown."""

    pid: int = 0
    run: str = ""


class FileLock:
    """A lock that is held. Its descriptor is not inherited by children."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, run: str) -> Self | None:
        """Return the lock of a file in a directory there is, None when another process holds it.

        The file is made if need be; a link is not followed. A process that only looks holds a lock
        for a moment: that is waited out. OSError when the file cannot be opened.
        """
        deadline_s = time.monotonic() + LOOK_S_MAX
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            lock = cls(path, descriptor)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lock.is_in_place:  # else a dead holder's, removed while we took it
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, f"{os.getpid()} {run}".encode(), 0)
                    return lock
            os.close(descriptor)
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(LOOK_S)

    @property
    def is_in_place(self) -> bool:
        """Whether the file of this lock is the one at its path: others find it, or they do not."""
        try:
            ours, there = os.fstat(self._descriptor), self.path.lstat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def close(self) -> None:
        """Let go of the lock and leave its file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Remove the file, unless another is in its place, and let go of the lock."""
        if self._descriptor >= 0 and self.is_in_place:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.close()


def take_or_refuse(path: Path, run: str, what: str) -> FileLock:
    """Return the lock of something only one run may use; RefuseError names it and its holder."""
    try:
        lock = FileLock.take(path, run)
    except OSError as error:
        raise RefuseError(f"lock cannot be taken: file={path}, {error.strerror}") from None
    if lock is None:
        holder = holder_of(path)
        raise RefuseError(
            f"already in use by another run: {what}, run={holder.run or 'unknown'}, "
            f"pid={holder.pid}; stop it first: halftick stop --name {holder.run or 'NAME'}"
        )
    return lock


def holder_of(path: Path) -> Holder:
    """Return the last holder of a lock file."""
    try:
        with path.open("rb") as file:
            pid, _, run = file.read(HOLDER_BYTES_MAX).decode().partition(" ")
        return Holder(int(pid or 0), run)
    except (OSError, ValueError):
        return Holder()


def is_held(path: Path) -> bool:
    """Return whether a living process holds a lock file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sweep(directory: Path) -> None:
    """Remove the lock files of dead holders from a directory."""
    for path in directory.glob("*.lock"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            lock = FileLock(path, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.remove()
            finally:
                lock.close()
