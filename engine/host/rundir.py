"""The runtime directory of a run: where it is, who owns it, and that nothing of it stays behind.

One directory a run name, in memory and readable by nobody else. Its `lock` is held (flock) by the
supervisor for as long as it lives: the kernel lets go of it however the supervisor ends, so what is
found unlocked is a dead run's and may be removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from pathlib import Path

from engine.bus.counters import read_counters
from engine.bus.shm import BusError
from engine.host import proc
from engine.host.errors import RefuseError
from engine.host.runfile import RunFile

ROOT_VARIABLE = "HALFTICK_RUNTIME_DIR"
LOCK_FILE = "lock"
CONTROL_SOCKET = "control.sock"
LOCK_S_MAX = 0.5  # how long somebody may be looking at a lock without holding it
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path


def runtime_root() -> Path:
    """Return the directory that holds the runtime directories of this user's runs.

    $HALFTICK_RUNTIME_DIR if set, else memory: /dev/shm, else $XDG_RUNTIME_DIR, else /tmp.
    """
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        return Path(chosen)
    for parent in (Path("/dev/shm"), Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))):  # noqa: S108
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return parent / f"halftick-{os.getuid()}"
    return Path("/tmp") / f"halftick-{os.getuid()}"  # noqa: S108  the last resort


def runtime_dir(name: str) -> Path:
    """Return the runtime directory of the run called `name`, whether it exists or not."""
    return runtime_root() / name


def run_names() -> list[str]:
    """Return the names of the runs that have a runtime directory, dead ones included."""
    with contextlib.suppress(OSError):
        return sorted(path.parent.name for path in runtime_root().glob(f"*/{LOCK_FILE}"))
    return []


def _private_directory(path: Path) -> None:
    """Make a directory for ourselves alone; refuse one that somebody else could have laid there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise RefuseError(
            f"runtime directory cannot be made: directory={path}, {error.strerror}"
        ) from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise RefuseError(f"runtime directory must be ours: directory={path}, owner={info.st_uid}")
    path.chmod(0o700)


class RunDirectory:
    """A locked runtime directory. Made empty by `acquire`, removed by `remove`."""

    def __init__(self, path: Path, lock: int, *, had_leftovers: bool) -> None:
        self.path = path
        self.had_leftovers = had_leftovers
        self._lock = lock

    @classmethod
    def acquire(cls, path: Path) -> RunDirectory:
        """Return the directory, ours and empty but for the lock.

        Raises RefuseError naming the process that holds it, or why it cannot be made.
        """
        socket_bytes = len(os.fsencode(path / CONTROL_SOCKET))
        if socket_bytes > SOCKET_PATH_BYTES_MAX:
            raise RefuseError(
                f"runtime directory must leave room for a socket's name: directory={path}, "
                f"bytes={socket_bytes}, bytes_max={SOCKET_PATH_BYTES_MAX}"
            )
        _private_directory(path.parent)
        lock = _lock(path)
        leftovers = [entry for entry in path.iterdir() if entry.name != LOCK_FILE]
        for entry in leftovers:
            entry.unlink() if not entry.is_dir() else shutil.rmtree(entry)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return cls(path, lock, had_leftovers=bool(leftovers))

    def remove(self) -> None:
        """Remove the directory and let go of the lock; a second call does nothing."""
        if self._lock < 0:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()  # only when it was the last run


def _lock(path: Path) -> int:
    """Return the descriptor of the lock file, locked; it is not inherited by children."""
    deadline_s = time.monotonic() + LOCK_S_MAX
    while True:
        _private_directory(path)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _is_locked_in_place(lock, path):
                return lock
            os.close(lock)
        # Somebody who only looks (`is_held`) or cleans up after a dead run holds it but briefly.
        if time.monotonic() >= deadline_s:
            raise RefuseError(
                f"already running: run={path.name}, pid={lock_holder(path)}; "
                f"stop it first: halftick stop --name {path.name}"
            )
        time.sleep(0.01)


def _is_locked_in_place(lock: int, path: Path) -> bool:
    """Lock if nobody has; return whether that worked and the file was not removed meanwhile."""
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(lock).st_ino == (path / LOCK_FILE).stat().st_ino
    return False


def lock_holder(path: Path) -> int:
    """Return the id of the process that last locked a runtime directory, 0 if unknown."""
    try:
        return int((path / LOCK_FILE).read_text() or 0)
    except (OSError, ValueError):
        return 0


def is_held(path: Path) -> bool:
    """Return whether a living supervisor holds the runtime directory."""
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def leave_if_orphaned(runtime: RunFile, process: str) -> None:
    """Clean up after a supervisor that died: the last of its processes removes the directory.

    Does nothing while the supervisor lives: it removes the directory itself.
    """
    supervisor = runtime.supervisor_pid
    # The parent's main thread dies first; for a moment its other threads keep the id and the lock.
    if supervisor == 0 or (os.getppid() == supervisor and proc.is_alive(supervisor)):
        return
    directory = runtime.runtime_dir
    runtime.counters(process).unlink(missing_ok=True)
    if any(_is_in_use(path) for path in directory.glob("*.counters")):
        return
    if directory.exists():
        with contextlib.suppress(RefuseError, OSError):
            RunDirectory.acquire(directory).remove()


def _is_in_use(path: Path) -> bool:
    """Return whether a counter file belongs to another living process."""
    try:
        pid = read_counters(path).get("pid", 0)
    except BusError:
        return False
    return pid not in (0, os.getpid()) and proc.is_alive(pid)
