"""Appending to a tape: one write(2) a batch, one fdatasync an interval, a torn tail cut on opening.

What write(2) accepted survives the death of this process; what fdatasync accepted survives the
machine's. A write cut in the middle leaves a tail that no checksum vouches for: opening the
file again cuts it off and says how much.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from engine.tape.format import (
    ENTRY_BYTES,
    TapeHeader,
    damaged,
    encode_header,
    gap_row,
    read_header,
    seal,
    sequence_after,
)

_BATCH_ENTRIES = 4096


class TapeWriter:
    """The one writer of one tape file. Not for two threads; `sync` may run in another."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Create the tape, or continue the one that is already there with the header it has.

        Raises TapeError where `path` holds something else, OSError where it cannot be written.
        """
        self.path = path
        self.cut_bytes = 0  # the torn tail found on opening
        self.next_sequence = 0
        self.bytes_written = 0
        self._end = 0  # of the last whole write
        self._buffer = np.zeros((_BATCH_ENTRIES, ENTRY_BYTES), np.uint8)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._fd).st_size == 0:
                self.header = header
                self._write(encode_header(header))
            else:
                self._recover()
        except BaseException:
            os.close(self._fd)
            raise

    def append(self, rows: np.ndarray, sequence: int) -> None:
        """Write rows int64[n,16] as entries `sequence`, `sequence` + 1, …

        OSError when the disk does not take them: then `next_sequence` says up to where it did.
        """
        for start in range(0, len(rows), _BATCH_ENTRIES):
            batch = rows[start : start + _BATCH_ENTRIES]
            entries = self._buffer[: len(batch)]
            seal(batch, sequence + start, entries)
            self._write(entries.data)
            self.next_sequence = sequence + start + len(batch)

    def append_gap(self, sequence: int, lost: int, local_ns: int) -> None:
        """Say that the `lost` records from `sequence` on are missing; numbering goes on after."""
        self.append(gap_row(lost, local_ns), sequence)
        self.next_sequence = sequence + lost

    def sync(self) -> None:
        """Return once everything written is on the disk."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Sync and close. Idempotent."""
        if self._fd >= 0:
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            # What goes on after half an entry would be damage in the middle, not a torn tail.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        self._end += size
        self.bytes_written += size

    def _recover(self) -> None:
        """Cut what a torn write left, and find the sequence to go on with."""
        size = os.fstat(self._fd).st_size
        self.header, start = read_header(self._fd, str(self.path))
        count = (size - start) // ENTRY_BYTES
        while count and self._is_damaged(start, count - 1):
            count -= 1
        end = start + count * ENTRY_BYTES
        self._end = end
        self.cut_bytes = size - end
        if self.cut_bytes:
            os.ftruncate(self._fd, end)
        if count:
            last = np.frombuffer(os.pread(self._fd, ENTRY_BYTES, end - ENTRY_BYTES), np.int64)
            self.next_sequence = sequence_after(last[2:], int(last[1]))

    def _is_damaged(self, start: int, index: int) -> bool:
        raw = os.pread(self._fd, ENTRY_BYTES, start + index * ENTRY_BYTES)
        return bool(damaged(np.frombuffer(raw, np.uint8).reshape(1, ENTRY_BYTES).copy())[0])
