"""What we signed, before it was sent: the truth about our exposure after a crash.

An append-only file that only this process writes. An entry is handed to the kernel by one `write`
before the first byte of its order leaves: it survives the death of every process. On disk it is
within SYNC_DELAY_S (mode `group`, by a helper thread) or before the send (mode `strict`).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

from engine.host.errors import RefuseError
from signer.log_format import Entry, Placed, header, pack, scan

SYNC_DELAY_S = 0.002  # how long `group` gathers entries: with the sync itself, well within 5 ms


class OrderLog:
    """An order log open for appending. `is_healthy` turns false when the disk refused us."""

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        """Open or make the log, cut a torn tail and keep what it holds in `found`.

        Raises RefuseError (exit 78) for damage in the middle, another file, or a second writer.
        """
        self.is_healthy = True
        self.bytes_written = 0
        self._strict = strict
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.found, self.torn_bytes = self._recover(path)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._sequence = len(self.found)
        self._dirty = threading.Event()
        self._is_closing = False
        self._syncer = threading.Thread(target=self._sync_loop, name="order-log", daemon=True)
        if not strict:
            self._syncer.start()

    def append(self, entry: Entry) -> bool:
        """Write an entry; False when it is not certain to be in the file. Hot path.

        After False the log takes nothing more: an order that is not in it must not be sent.
        """
        if not self.is_healthy:
            return False
        text = pack(self._sequence + 1, entry)
        try:
            if os.write(self._descriptor, text) != len(text):
                self.is_healthy = False
                return False
            if self._strict:
                os.fdatasync(self._descriptor)
        except OSError:
            self.is_healthy = False
            return False
        self._sequence += 1
        self.bytes_written += len(text)
        if not self._strict and not self._dirty.is_set():
            self._dirty.set()
        return True

    def close(self) -> None:
        """Bring everything to disk and close; a second call does nothing."""
        if self._descriptor < 0:
            return
        self._is_closing = True
        self._dirty.set()
        if self._syncer.is_alive():
            self._syncer.join()
        self._sync()
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

    def _sync_loop(self) -> None:
        while not self._is_closing:
            self._dirty.wait()
            if not self._is_closing:
                time.sleep(SYNC_DELAY_S)
            # Cleared before the sync: what is written meanwhile asks for the next one.
            self._dirty.clear()
            self._sync()

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            # A failed sync may have dropped the pages: nothing after it can be trusted.
            self.is_healthy = False

    @staticmethod
    def _sync_directory(directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
