"""Every order book the core believes in, as flat arrays a jitted kernel can own.

```
sizes  int64[n, 2, 10_001]   micro-shares at price cell (1e-4), side 0 bids, 1 asks
bits  uint64[n, 2, 157]      one bit per non-empty rank: the next best is a word scan away
tops   int64[n, TOP_COLUMNS] the touch and why it may be believed
```
A rank is a cell seen from the side's far end, so the best level of either side is its highest bit:
a bid's rank is its cell, an ask's is 10_000 less its cell.
Row 0 is unused: instrument indices start at 1. An index is never used again, so there is room for
far more books than trade at a time: the pages of a book that never traded are never touched, and
those of one that is over are given back.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

import numpy as np

from engine.core.world.depth import best_levels
from engine.math.units import MICROS, PRICE_CELLS

BIT_WORDS = (PRICE_CELLS + 63) // 64

# Columns of `tops`; the first two are numbered as the sides are.
BID = 0  # best bid in micros, 0 = empty side
ASK = 1  # best ask in micros, 1_000_000 = empty side
STATE = 2  # AWAITING_SNAPSHOT, LOADING, LIVE
CERTIFIED = 3  # 1 while the touch equals the venue's own claim and is not crossed
VENUE_NS = 4
LOCAL_NS = 5  # when the last frame for this book reached us
TRACE = 6  # tape sequence of the last record applied
TICK = 7  # micros
LAST_TRADE = 8
REJECTED = 9  # rows refused: off the grid, negative, before a snapshot
PAIR = 10  # best bid + best ask when both sides last had one: twice the last real mid
TOP_COLUMNS = 11

_MAP_NORESERVE = 0x4000  # Linux's; not named in Python 3.11
AWAITING_SNAPSHOT = 0
LOADING = 1  # a snapshot has begun and not ended
LIVE = 2


class Touch(NamedTuple):
    """Best prices of one book in micros; `usable` says whether an order may be priced from it."""

    bid: int
    ask: int
    usable: bool
    local_ns: int


class Books:
    """The books of one run; `engine.core.kernel` writes them, everything else reads."""

    __slots__ = ("_pages", "_words", "bits", "capacity", "sizes", "tops")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self._pages = mmap.mmap(-1, capacity * 2 * PRICE_CELLS * 8, flags=flags)
        self._pages.madvise(mmap.MADV_HUGEPAGE)
        self.sizes = np.frombuffer(self._pages, np.int64).reshape(capacity, 2, PRICE_CELLS)
        self.bits = np.zeros((capacity, 2, BIT_WORDS), np.uint64)
        self.tops = np.zeros((capacity, TOP_COLUMNS), np.int64)
        self.tops[:, ASK] = MICROS
        # From Python a memoryview item is the cheapest word to reach: a quarter of numpy's price.
        self._words = self.tops.data.cast("B").cast("q")

    def touch(self, instrument: int) -> Touch:
        """Return the touch of one book."""
        top = self.tops[instrument].tolist()  # one call, and Python's integers after it
        usable = top[STATE] == LIVE and bool(top[CERTIFIED])
        return Touch(top[BID], top[ASK], usable, top[LOCAL_NS])

    def venue_ns(self, instrument: int) -> int:
        """Return the venue's stamp of the last frame for a book."""
        return self._words[instrument * TOP_COLUMNS + VENUE_NS]

    def rejected(self, instrument: int) -> int:
        """Return how many rows of a book were refused."""
        return self._words[instrument * TOP_COLUMNS + REJECTED]

    def changed(self, instrument: int) -> tuple[int, int]:
        """Return the last record applied to a book, by tape sequence, and when it reached us."""
        words, at = self._words, instrument * TOP_COLUMNS
        return words[at + TRACE], words[at + LOCAL_NS]

    def double_mid(self, instrument: int) -> int:
        """Return twice the last two-sided mid in micros, twice one half before there was one."""
        return int(self.tops[instrument, PAIR]) or MICROS

    def levels(self, instrument: int, side: int, count: int) -> list[tuple[int, int]]:
        """Hot path. Return up to `count` (price, size) levels in micros, best first."""
        out = np.empty((count, 2), np.int64)
        found = best_levels(self.sizes, self.bits, instrument, side, out)
        return [(price, size) for price, size in out[:found].tolist()]

    def forget(self, instrument: int) -> None:
        """Believe nothing of this book until its next snapshot."""
        self.tops[instrument, STATE] = AWAITING_SNAPSHOT
        self.tops[instrument, CERTIFIED] = 0

    def release(self, instrument: int) -> None:
        """Empty a book that is over and give its memory back; what it was last worth stays."""
        self.forget(instrument)
        self.tops[instrument, [BID, ASK]] = 0, MICROS
        self.bits[instrument] = 0
        book = self.sizes[instrument].reshape(-1)
        first = instrument * book.nbytes
        start = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (first + book.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        self._pages.madvise(mmap.MADV_DONTNEED, start, stop - start)  # they read as zeros now
        book[: (start - first) // 8] = 0
        book[(stop - first) // 8 :] = 0

    def forget_all(self) -> None:
        """Believe no book: the connection they came by is gone."""
        self.tops[:, STATE] = AWAITING_SNAPSHOT
        self.tops[:, CERTIFIED] = 0
