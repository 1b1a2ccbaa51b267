"""What a process asks of the kernel about itself. Linux only; elsewhere each call does nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_TIMERSLACK = 29
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl failed: option={option}, value={value}")


def die_with_parent(parent_pid: int) -> bool:
    """Ask for SIGTERM when the parent dies; return whether `parent_pid` is still the parent.

    parent_pid: 0 = nobody in particular. The check comes after the request, so a parent that died
    in between is noticed. The signal follows the *thread* that started us, so start processes from
    a main thread.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return parent_pid in (0, os.getppid())


def forbid_core_dumps() -> None:
    """Leave no core file: it would hold the memory of a process that trades."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory() -> None:
    """Make the process non-dumpable: no debugger of the same user, no core. For who holds a key."""
    forbid_core_dumps()
    _prctl(_PR_SET_DUMPABLE, 0)


def lock_memory() -> bool:
    """Keep our memory out of swap, what is allocated later too; return whether the kernel agreed.

    Not asked for under a limit (RLIMIT_MEMLOCK): the lock would hold and allocations fail later.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    is_unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not is_unlimited and not _has_capability(_CAP_IPC_LOCK):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def _has_capability(number: int) -> bool:
    """Return whether the process has a capability in effect."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def sleep_exactly() -> None:
    """End every sleep of the calling thread when it asked to, not up to 50 us later.

    The kernel's default slack would make a parked loop half as late again as it means to be.
    """
    _prctl(_PR_SET_TIMERSLACK, 1)


def restrict_files() -> None:
    """Let files we create be readable by nobody else."""
    os.umask(0o077)


def is_alive(pid: int) -> bool:
    """Return whether a process of this id runs; one that ended and was not reaped does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # "pid (command) state …": the command may hold anything, the state follows the last ")".
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in (b"Z", b"X")
