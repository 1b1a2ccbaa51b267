"""Shared memory as files we own: made once, fully allocated, mapped as int64 words.

Not `multiprocessing.shared_memory`: on Python 3.11 its resource tracker unlinks a segment when any
process that merely attached exits. `posix_fallocate` makes a full tmpfs an error at creation
instead of a SIGBUS at the first write.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import stat
import struct
from pathlib import Path

import numpy as np

WORD_BYTES = 8
_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23  # Linux 5.14; not named in Python 3.11


class BusError(Exception):
    """A shared-memory file that cannot be made, or is not what it should be."""


class Mapping:
    """One mapped file. `words`: the whole of it as int64, shape (bytes / 8,)."""

    __slots__ = ("_descriptor", "_is_writable", "buffer", "path", "words")

    def __init__(self, path: Path, descriptor: int, *, writable: bool) -> None:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self.path = path
        self.buffer = mmap.mmap(descriptor, 0, access=access)
        self.words: np.ndarray = np.frombuffer(self.buffer, np.int64)
        self._descriptor = descriptor
        self._is_writable = writable

    def populate(self) -> None:
        """Map every page now: its first use, in the hot path, is then no fault. A kernel that
        cannot is not an error."""
        advice = _MADV_POPULATE_WRITE if self._is_writable else _MADV_POPULATE_READ
        with contextlib.suppress(OSError):
            self.buffer.madvise(advice)

    def lock(self) -> None:
        """Keep the memory from being swapped out for as long as it is mapped.

        Errors: `BusError` when the kernel refuses; the limit is RLIMIT_MEMLOCK.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlock(ctypes.c_void_p(self.words.ctypes.data), ctypes.c_size_t(self.words.nbytes)):
            raise BusError(
                f"memory cannot be locked: file={self.path}, bytes={self.words.nbytes}, "
                f"bytes_max={resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]}, "
                f"error={os.strerror(ctypes.get_errno())}"
            )

    @property
    def is_whole(self) -> bool:
        """Whether the file is still as long as what is mapped: touching more is a SIGBUS."""
        return os.fstat(self._descriptor).st_size >= len(self.buffer)

    def claim(self, byte: int, role: str) -> None:
        """Become the only holder of a role until `close` or death; refuse a second one.

        The lock belongs to this open file (not the process, as `lockf`'s would), so the same rule
        holds between processes and inside one, and the kernel drops it on kill -9.
        Errors: `BusError` when another holder is alive.
        """
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, request)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise BusError(f"another {role} is attached: file={self.path}") from None

    def close(self) -> None:
        """Unmap and release every claim; a second call does nothing. The file stays."""
        if self._descriptor < 0:
            return
        release = struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, release)
        os.close(self._descriptor)
        self._descriptor = -1
        # The last view to go unmaps the memory. What stands here now is of another type, so that a
        # jitted call after `close` is a TypeError and not a wild write.
        self.words = np.empty(0, np.uint8)


def create(path: Path, words: int, *, huge_pages: bool = False) -> Mapping:
    """Return a new zeroed file of `words` int64 words, mode 0600, mapped for writing.

    huge_pages: ask for them; to be had where the file system's policy for them is "advise".
    Errors: `BusError` when the path exists or the memory cannot be had.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise BusError(f"shared-memory file already exists: file={path}") from None
    except OSError as error:
        raise BusError(f"cannot create shared memory: file={path}, error={error}") from None
    try:
        if huge_pages:
            # The advice is the mapping's, so it must bring the pages forth; the rest comes below.
            os.ftruncate(descriptor, words * WORD_BYTES)
            with mmap.mmap(descriptor, 0) as draft, contextlib.suppress(OSError):
                draft.madvise(mmap.MADV_HUGEPAGE)
                draft.madvise(_MADV_POPULATE_WRITE)
        os.posix_fallocate(descriptor, 0, words * WORD_BYTES)
        return Mapping(path, descriptor, writable=True)
    except OSError as error:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise BusError(
            f"cannot allocate shared memory: file={path}, "
            f"bytes={words * WORD_BYTES}, error={error.strerror}"
        ) from None


def attach(path: Path, *, writable: bool) -> Mapping:
    """Return an existing file mapped whole.

    Errors: `BusError` when it is absent, no plain file, another user's, empty or not whole words.
    """
    mode = os.O_RDWR if writable else os.O_RDONLY
    try:
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BusError(f"cannot open shared memory: file={path}, error={error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BusError(f"shared memory must be a plain file: file={path}")
        if status.st_uid != os.geteuid():
            raise BusError(
                f"shared memory belongs to another user: file={path}, uid={status.st_uid}"
            )
        if status.st_size == 0 or status.st_size % WORD_BYTES:
            raise BusError(f"shared memory is truncated: file={path}, bytes={status.st_size}")
        return Mapping(path, descriptor, writable=writable)
    except BaseException:
        os.close(descriptor)
        raise
