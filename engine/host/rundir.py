"""The runtime directory of a run: where it is, who owns it, and that nothing of it stays behind.

One directory a run name, in memory, below a root of this user's own, both for their owner alone.
The `lock` is held (flock) by the supervisor for as long as it lives, so a directory that is found
unlocked is a dead run's and may be removed, once the processes of that run have ended.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from pathlib import Path

from engine.bus.counters import read_counters
from engine.bus.shm import BusError
from engine.host import locks, proc
from engine.host.errors import RefuseError
from engine.host.locks import FileLock
from engine.host.runfile import RunFile

ROOT_VARIABLE = "HALFTICK_RUNTIME_DIR"
LOCK_FILE = "lock"
CONTROL_SOCKET = "control.sock"
ORPHANS_S_MAX = 20.0  # a dead supervisor's processes have this long to cancel and end
LOOK_S = 0.05
SOCKET_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path


def runtime_root() -> Path:
    """Return the directory that holds the runtime directories of this user's runs.

    It is one of our own, `halftick-UID`, in $HALFTICK_RUNTIME_DIR if set, else in memory: /dev/shm,
    else $XDG_RUNTIME_DIR, else /tmp.
    """
    own = f"halftick-{os.getuid()}"
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        return Path(chosen).absolute() / own
    for parent in (Path("/dev/shm"), Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))):  # noqa: S108
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return parent / own
    return Path("/tmp") / own  # noqa: S108  the last resort


def runtime_dir(name: str) -> Path:
    """Return the runtime directory of the run called `name`, whether it exists or not."""
    return runtime_root() / name


def run_names() -> list[str]:
    """Return the names of the runs that have a runtime directory, dead ones included."""
    with contextlib.suppress(OSError):
        return sorted(path.parent.name for path in runtime_root().glob(f"*/{LOCK_FILE}"))
    return []


def private_directory(path: Path) -> None:
    """Make a directory for ourselves alone; RefuseError for one that others own or may enter.

    What is there already is left as it is: it may be somebody's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise RefuseError(
            f"runtime directory cannot be made: directory={path}, {error.strerror}"
        ) from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise RefuseError(f"runtime directory must be ours: directory={path}, owner={info.st_uid}")
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise RefuseError(
            f"runtime directory must be its owner's alone: directory={path}, "
            f"mode={stat.S_IMODE(info.st_mode):o}"
        )


class RunDirectory:
    """A locked runtime directory. Made empty by `acquire`, removed by `remove`."""

    def __init__(self, path: Path, lock: FileLock, *, leftovers: tuple[str, ...]) -> None:
        """leftovers: names of what a dead run had left there."""
        self.path = path
        self.leftovers = leftovers
        self._lock = lock

    @classmethod
    def acquire(cls, path: Path, *, orphans_s_max: float = ORPHANS_S_MAX) -> RunDirectory:
        """Return the directory, ours and empty but for the lock.

        orphans_s_max: how long processes of a dead run may take to end. Raises RefuseError naming
        the process that holds it, a process of a dead run that does not end, or why it cannot be
        made or emptied.
        """
        socket_bytes = len(os.fsencode(path / CONTROL_SOCKET))
        if socket_bytes > SOCKET_PATH_BYTES_MAX:
            raise RefuseError(
                f"runtime directory must leave room for a socket's name: directory={path}, "
                f"bytes={socket_bytes}, bytes_max={SOCKET_PATH_BYTES_MAX}"
            )
        private_directory(path.parent)
        lock = _lock(path)
        try:
            _wait_for_orphans(path, orphans_s_max)
            return cls(path, lock, leftovers=_clear(path))
        except BaseException:
            lock.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """Whether the directory is still where others look for it."""
        return self._lock.is_in_place

    def remove(self) -> None:
        """Remove the directory and let go of the lock; a second call does nothing.

        A directory that was put in the place of ours is another's.
        """
        if self._lock.is_in_place:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()
        locks.sweep(self.path.parent)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()  # only when it was the last run


def _lock(path: Path) -> FileLock:
    while True:
        private_directory(path)
        try:
            lock = FileLock.take(path / LOCK_FILE, path.name)
        except FileNotFoundError:  # removed meanwhile, by who cleans up after a dead run
            continue
        except OSError as error:
            raise RefuseError(
                f"runtime directory cannot be locked: file={path / LOCK_FILE}, {error.strerror}"
            ) from None
        if lock is None:
            raise RefuseError(
                f"already running: run={path.name}, pid={lock_holder(path)}; "
                f"stop it first: halftick stop --name {path.name}"
            )
        return lock


def _wait_for_orphans(path: Path, seconds_max: float) -> None:
    """Wait until no process of a dead run lives: until then it may cancel, and write its files."""
    deadline_s = time.monotonic() + seconds_max
    while orphans := _orphans(path):
        if time.monotonic() >= deadline_s:
            raise RefuseError(
                f"processes of a dead run do not end: run={path.name}, pids={orphans}; "
                f"end them: kill -9 {' '.join(map(str, orphans))}"
            )
        time.sleep(LOOK_S)


def _orphans(path: Path) -> list[int]:
    """Return the living processes that have counters in the directory and name it as theirs."""
    found = []
    for counters in sorted(path.glob("*.counters")):
        with contextlib.suppress(BusError, OSError):
            pid = read_counters(counters).get("pid", 0)
            # A process id is used again: the command line tells whether it is the same process.
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if proc.is_alive(pid) and os.fsencode(path) in command:
                found.append(pid)
    return found


def _clear(path: Path) -> tuple[str, ...]:
    """Remove everything but the lock; return the names of what was there."""
    try:
        entries = [entry for entry in path.iterdir() if entry.name != LOCK_FILE]
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise RefuseError(
            f"leftovers of a dead run cannot be removed: file={error.filename}, {error.strerror}"
        ) from None
    return tuple(sorted(entry.name for entry in entries))


def lock_holder(path: Path) -> int:
    """Return the id of the process that last locked a runtime directory, 0 if unknown."""
    return locks.holder_of(path / LOCK_FILE).pid


def is_held(path: Path) -> bool:
    """Return whether a living supervisor holds the runtime directory."""
    return locks.is_held(path / LOCK_FILE)


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
            RunDirectory.acquire(directory, orphans_s_max=0.0).remove()


def _is_in_use(path: Path) -> bool:
    """Return whether a counter file belongs to another living process."""
    try:
        pid = read_counters(path).get("pid", 0)
    except BusError:
        return False
    return pid not in (0, os.getpid()) and proc.is_alive(pid)
