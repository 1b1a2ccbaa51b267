"""What we signed, before it was sent: the truth about our exposure after a crash.

An append-only file that only this process writes. An entry is handed to the kernel by one `write`
before the first byte of its order leaves: it survives the death of every process. On disk it is
within 5 ms (mode `group`, by a helper thread; `lag_ns` tells how far it is behind) or before the
send (mode `strict`).

A `write` and not a mapped file: each sync makes the pages of a mapping read-only again, and the
next store into one is then a page fault in the middle of an order.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types

from engine.bus.atomics import load_acquire, store_release
from engine.host.errors import RefuseError
from signer.log_format import Entry, Packer, Placed, header, scan

SYNC_DELAY_US = 2_000  # how long `group` gathers entries: with the sync itself, well within 5 ms
# Words shared with the helper thread: what it is told, the errno of the first failure of either
# side, and the last entry that is on disk.
_IS_CLOSING, _WRITTEN, _FAILED_ERRNO, _SYNCED = range(4)

_errno_location: Any = types.ExternalFunction("__errno_location", types.CPointer(types.int32)())
_fdatasync: Any = types.ExternalFunction("fdatasync", types.int32(types.int32))
_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))


@njit("void(int64[::1], int32)", cache=True, nogil=True)
def _keep_synced(words: Any, descriptor: Any) -> None:
    """Bring the file to disk SYNC_DELAY_US after it was written to, until it is closed.

    Native, so that it neither takes the interpreter from the thread that sends orders nor has to be
    woken by it: it looks for itself.
    """
    synced = load_acquire(words, _SYNCED)
    while load_acquire(words, _IS_CLOSING) == 0:
        _usleep(np.uint32(SYNC_DELAY_US))
        # Read before the sync: what is written meanwhile belongs to the next one.
        written = load_acquire(words, _WRITTEN)
        if written != synced:
            if _fdatasync(descriptor):
                # It may have dropped the pages: nothing after it can be trusted.
                store_release(words, _FAILED_ERRNO, _errno_location()[0])
            else:
                store_release(words, _SYNCED, written)
            synced = written


def failure(path: Path, error: OSError | int) -> str:
    """Return what to say of a disk that failed: the file and the errno."""
    number = error.errno or 0 if isinstance(error, OSError) else error
    name = errno.errorcode.get(number, str(number))
    return f"file={path}, errno={name} ({os.strerror(number)})"


class OrderLog:
    """An order log open for appending."""

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        """Open or make the log, cut a torn tail and keep what it holds in `found`.

        Raises RefuseError (exit 78) for damage in the middle, another file, a second writer, or a
        disk that cannot be read or written.
        """
        self.bytes_written = 0
        self.path = path
        self._strict = strict
        self._descriptor = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.found, self.torn_bytes = self._recover(path)
        except BaseException as error:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            if isinstance(error, OSError):
                raise RefuseError(f"order log cannot be used: {failure(path, error)}") from None
            raise
        self._sequence = len(self.found)
        self._packer = Packer()
        words = np.zeros(4, np.int64)
        self._words = words.data
        words[_WRITTEN] = words[_SYNCED] = self._awaited = self._sequence
        self._awaited_ns = 0
        self._syncer = threading.Thread(
            target=_keep_synced, args=(words, self._descriptor), name="order-log", daemon=True
        )
        if not strict:
            self._syncer.start()

    @property
    def failed_errno(self) -> int:
        """Why the disk did not take something, an errno; 0 = it has taken everything so far.

        It stays: after a sync that failed nothing says what of the file is on disk.
        """
        return self._words[_FAILED_ERRNO]

    def lag_ns(self, now_ns: int) -> int:
        """Return for how long, at least, an entry has been waiting for the disk; 0 = none is known.

        To be asked all the time: what is written by then is waited for, and so is what follows.
        """
        if self._words[_SYNCED] >= self._awaited:
            self._awaited, self._awaited_ns = self._sequence, now_ns
            return 0
        return now_ns - self._awaited_ns

    def append(self, entry: Entry) -> bool:
        """Write an entry; False when it is not certain to be in the file. Hot path.

        After False the log takes nothing more: an order that is not in it must not be sent.
        """
        words = self._words
        if words[_FAILED_ERRNO]:
            return False
        sequence = self._sequence + 1
        text = self._packer.pack(sequence, entry)
        try:
            if os.write(self._descriptor, text) != len(text):
                words[_FAILED_ERRNO] = errno.ENOSPC  # the kernel says no more of a short write
                return False
            if self._strict:
                os.fdatasync(self._descriptor)
                words[_SYNCED] = sequence
        except OSError as error:
            words[_FAILED_ERRNO] = error.errno or errno.EIO
            return False
        self._sequence = words[_WRITTEN] = sequence
        self.bytes_written += len(text)
        return True

    def close(self) -> None:
        """Bring everything to disk and close; a second call does nothing."""
        if self._descriptor < 0:
            return
        self._words[_IS_CLOSING] = 1
        if self._syncer.is_alive():
            self._syncer.join()
        with contextlib.suppress(OSError):
            os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def _recover(self, path: Path) -> tuple[list[Placed], int]:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefuseError(f"another signer writes this order log: file={path}") from None
        with os.fdopen(os.dup(self._descriptor), "rb") as source:
            found = scan(source.read(), str(path))
        if found.end == 0:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, header(), 0)
            self._sync_directory(path.parent)
        elif found.torn_bytes:
            os.ftruncate(self._descriptor, found.end)
        os.fsync(self._descriptor)
        os.lseek(self._descriptor, 0, os.SEEK_END)
        return found.entries, found.torn_bytes

    @staticmethod
    def _sync_directory(directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
