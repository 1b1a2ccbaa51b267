"""The touch of every book over time, from the book records on the tape.

The books are kept as the core keeps them (same kernel), so the touch is exact whether or not a
frame claims one, and sampled: the last of every second of venue time, and of ours.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from engine.core.kernel import apply_levels
from engine.core.world.books import ASK, BID, LIVE, STATE, Books
from engine.math.units import MICROS
from engine.wire.codes import Flag, Kind
from engine.wire.records import RECORD_WORDS

SECOND_NS = 1_000_000_000

# bid and ask in micros, 0 and 1_000_000 where a side is empty.
_COLUMNS = ("sequence", "instrument", "venue_ns", "local_ns", "bid", "ask")
TOUCH = np.dtype([(name, "<i8") for name in _COLUMNS])
_LEVELS, _LAST, _LOW32 = int(Kind.LEVELS), int(Flag.LAST), 0xFFFF_FFFF


class TouchTracker:
    """Follows the books of one tape."""

    def __init__(self, instruments_max: int) -> None:
        self._books = Books(instruments_max)

    def apply(self, rows: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        """Return the sampled touches, TOUCH[k], in tape order, that rows int64[n,16] lead to."""
        out = np.empty((len(rows), len(_COLUMNS)), np.int64)
        books = self._books
        rows = rows.reshape(-1, RECORD_WORDS)
        count = _follow(rows, sequences, books.sizes, books.bits, books.tops, out)
        return _sampled(out[:count].reshape(-1).view(TOUCH))

    def release(self, instrument: int) -> None:
        """Follow a book no more whose market is over."""
        self._books.release(instrument)

    def forget(self) -> None:
        """Believe no book until its next snapshot: records are missing."""
        self._books.forget_all()


def mid(touches: np.ndarray) -> np.ndarray:
    """Return the middle of each touch in micros, rounded down; int64[k]."""
    return np.asarray((touches["bid"] + touches["ask"]) // 2)


def _sampled(touches: np.ndarray) -> np.ndarray:
    """Return the last touch of every (instrument, venue second, local second), in tape order."""
    venue_s, local_s = touches["venue_ns"] // SECOND_NS, touches["local_ns"] // SECOND_NS
    order = np.lexsort((local_s, venue_s, touches["instrument"]))
    keys = np.stack((touches["instrument"], venue_s, local_s))[:, order]
    is_last = np.append((np.diff(keys) != 0).any(axis=0), True)[: len(touches)]
    return np.asarray(touches[np.sort(order[is_last])])


@njit(
    int64(
        int64[:, ::1], int64[::1], int64[:, :, ::1], uint64[:, :, ::1], int64[:, ::1], int64[:, ::1]
    ),
    cache=True,
    _nrt=False,
)
def _follow(rows, sequences, sizes, bits, tops, out):  # type: ignore[no-untyped-def]
    """Apply the LEVELS rows; write the touch after each whole frame into out, return how many.

    A book with both sides empty, as after the close, has no touch.
    """
    count = 0
    for i in range(rows.shape[0]):
        header = rows[i, 0]
        instrument = (header >> 32) & _LOW32
        if (header & 0xFFFF) != _LEVELS or instrument == 0 or instrument >= tops.shape[0]:
            continue
        apply_levels(rows, i, sequences[i], sizes, bits, tops)
        if not (header >> 24) & _LAST or tops[instrument, STATE] != LIVE:
            continue
        if tops[instrument, BID] > 0 or tops[instrument, ASK] < MICROS:
            out[count, 0] = sequences[i]
            out[count, 1] = instrument
            out[count, 2] = rows[i, 2]
            out[count, 3] = rows[i, 3]
            out[count, 4] = tops[instrument, BID]
            out[count, 5] = tops[instrument, ASK]
            count += 1
    return count
