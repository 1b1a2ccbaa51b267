"""Reading a tape: the file is mapped, checked and handed out in slices of rows.

A tape that is still being written may be read: what is there when the reader opens it is what it
reads. Damage and gaps are facts about the tape, not exceptions; whoever reads decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from engine.tape.format import (
    ENTRY_BYTES,
    TapeError,
    damaged,
    is_tape_gap,
    read_header,
    sequence_after,
)
from engine.wire.codes import Kind
from engine.wire.records import BODY_WORD

SLICE_RECORDS = 1 << 14
_KIND_NAMES = {int(kind): kind.name for kind in Kind}


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that is not what was written. kind is what its bytes now say."""

    sequence: int
    kind: int


@dataclass(frozen=True, slots=True)
class Gap:
    """`lost` records from `sequence` on are not on the tape."""

    sequence: int
    lost: int


@dataclass(frozen=True, slots=True)
class TapeSlice:
    """Consecutive entries. rows: int64[n,16], contiguous. sequences: int64[n]."""

    rows: np.ndarray
    sequences: np.ndarray
    damage: tuple[Damage, ...]
    gaps: tuple[Gap, ...]


def kind_name(kind: int) -> str:
    """Return the glossary's name of a kind, or its number where there is none."""
    return _KIND_NAMES.get(kind, f"kind {kind}")


class TapeReader:
    """A tape opened for reading. Use it as a context manager."""

    def __init__(self, path: Path | str) -> None:
        """Raises TapeError for a file that is missing, unreadable or no tape of this layout."""
        self.path = Path(path)
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TapeError(f"tape cannot be opened: file={self.path}, {error.strerror}") from None
        try:
            self.header, start = read_header(fd, str(self.path))
            size = os.fstat(fd).st_size - start
        except OSError as error:
            raise TapeError(f"tape cannot be read: file={self.path}, {error.strerror}") from None
        finally:
            os.close(fd)
        self.records, self.torn_bytes = divmod(size, ENTRY_BYTES)
        shape = (self.records, ENTRY_BYTES)
        # An empty file cannot be mapped.
        self._entries: np.ndarray = (
            np.memmap(self.path, np.uint8, "r", start, shape)
            if self.records
            else np.zeros(shape, np.uint8)
        )

    def __len__(self) -> int:
        return self.records

    def __enter__(self) -> TapeReader:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file. Slices already handed out stay valid: they are copies."""
        self._entries = np.zeros((0, ENTRY_BYTES), np.uint8)
        self.records = 0

    def slices(
        self, first: int = 0, end: int | None = None, limit: int = SLICE_RECORDS
    ) -> Iterator[TapeSlice]:
        """Yield the entries first … end-1, at most `limit` at a time, checked."""
        end = self.records if end is None else min(end, self.records)
        # The sequence that should come next: a tape begins with 0, its middle with anything.
        expected: int | None = None if first else 0
        for start in range(first, end, limit):
            entries = np.array(self._entries[start : min(start + limit, end)])
            words = entries.view(np.int64)
            sequences = words[:, 1].copy()
            bad = np.flatnonzero(damaged(entries))
            for index in bad:
                # The number of a damaged entry is not to be believed; its place is.
                sequences[index] = sequences[index - 1] + 1 if index else expected or 0
            rows = np.ascontiguousarray(words[:, 2:])
            yield TapeSlice(
                rows,
                sequences,
                tuple(Damage(int(sequences[i]), int(rows[i, 0] & 0xFFFF)) for i in bad),
                tuple(_gaps(rows, sequences, expected, bad)),
            )
            expected = sequence_after(rows[-1], int(sequences[-1]))


def _gaps(
    rows: np.ndarray, sequences: np.ndarray, expected: int | None, bad: np.ndarray
) -> Iterator[Gap]:
    """Yield what a GAP says is missing, and every jump of the numbers that no GAP explains."""
    marked = is_tape_gap(rows)
    marked[bad] = False
    after = sequences + np.where(marked, rows[:, BODY_WORD + 1], 1)
    due = np.concatenate(([sequences[0] if expected is None else expected], after[:-1]))
    for index in np.flatnonzero((sequences != due) | marked):
        if sequences[index] != due[index]:
            yield Gap(int(due[index]), int(sequences[index] - due[index]))
        if marked[index]:
            yield Gap(int(sequences[index]), int(rows[index, BODY_WORD + 1]))
