"""Which instrument a token id means: a hash table the scanner can read.

One row of 24 int64 words for each instrument, the row's number being its index:
```
 word 0       length of the token id's text in bytes, 0 = no such instrument
 word 1       tick in micros, as last heard
 word 2, 3    the scanner's: the row open for this instrument, and the object that opened it
 word 4..13   the text of the token id, padded with zeros: an id is believed byte by byte
 word 14      the scanner's: levels in the open row
 word 15      books scanned for this instrument: how a feed sees that a dump has come
 word 16      when the last frame about it came, local_ns
 word 17      the touch the venue last claimed, as in a LEVELS record; 0 = none yet
```
Row 0 is nobody: its word 3 counts the objects scanned.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from feeds.text import Text, tail_word, word_at

LENGTH, TICK, OPEN_ROW, OPENED_BY, TOKEN_TEXT, FILLED, BOOKS = 0, 1, 2, 3, 4, 14, 15
HEARD_NS, CLAIM = 16, 17
OBJECTS = 3
ROW_WORDS = 24
TOKEN_DIGITS_MAX = 78  # of 2**256 - 1

_MIX_A = np.uint64(0x9E3779B97F4A7C15)
_MIX_B = np.uint64(0xC2B2AE3D27D4EB4F)


@njit(int64(Text, int64, int64, int64), cache=True, _nrt=False)
def slot_of(text, i, length, slot_count):  # type: ignore[no-untyped-def]
    """Return the first slot to look at for the id text[i:i+length]; slot_count is a power of two.

    Ids are hashes themselves, but the two of one market may differ only at one end: mix both ends.
    """
    if length >= 8:
        head = word_at(text, i)
        tail = word_at(text, i + length - 8)
    else:
        head = tail_word(text, i, length)
        tail = np.uint64(length)
    mixed = (head * _MIX_A ^ tail) * _MIX_B
    return int64(mixed >> np.uint64(32)) & (slot_count - 1)


@njit(int64(Text, int64, int64, int64[::1], int64[:, ::1]), cache=True, _nrt=False)
def find_token(text, i, length, slots, rows):  # type: ignore[no-untyped-def]
    """Hot path. Return the index of the instrument whose id is text[i:i+length], 0 if none."""
    if length < 1 or length > TOKEN_DIGITS_MAX:
        return 0
    slot = slot_of(text, i, length, slots.shape[0])
    while slots[slot] != 0:
        index = slots[slot]
        if rows[index, LENGTH] == length:
            whole = length >> 3
            same = True
            for w in range(whole):
                if word_at(text, i + 8 * w) != uint64(rows[index, TOKEN_TEXT + w]):
                    same = False
                    break
            if same:
                rest = tail_word(text, i + 8 * whole, length - 8 * whole)
                if rest == uint64(rows[index, TOKEN_TEXT + whole]):
                    return index
        slot = (slot + 1) & (slots.shape[0] - 1)
    return 0


class TokenTable:
    """The instruments a scanner knows. `slots` and `rows` may be other arrays after an add()."""

    __slots__ = ("rows", "slots")

    def __init__(self, capacity: int = 64) -> None:
        self.rows = np.zeros((capacity, ROW_WORDS), np.int64)
        self.slots = np.zeros(4 * capacity, np.int64)

    def add(self, index: int, token_id: str, tick: int) -> None:
        """Make an instrument known; at most half of the slots are ever in use."""
        assert index > 0, f"instrument indices start at 1: index={index}"
        assert 0 < len(token_id) <= TOKEN_DIGITS_MAX, f"token id too long: token_id={token_id}"
        while index >= self.rows.shape[0]:
            self._grow()
        text = np.frombuffer(token_id.encode("ascii"), np.uint8)
        row = self.rows[index]
        row[:] = 0
        row[TOKEN_TEXT:FILLED].view(np.uint8)[: text.size] = text
        row[LENGTH] = text.size
        row[TICK] = tick
        self._enter(index)

    def find(self, token_id: str) -> int:
        """Return the index of an instrument, 0 if the id is not known."""
        text = np.frombuffer(token_id.encode("ascii", "replace"), np.uint8)
        return int(find_token(text, 0, text.size, self.slots, self.rows))

    def _enter(self, index: int) -> None:
        length = int(self.rows[index, LENGTH])
        text = self.rows[index, TOKEN_TEXT:FILLED].view(np.uint8)[:length]
        slot = slot_of(text, 0, length, self.slots.size)
        while self.slots[slot]:
            slot = (slot + 1) % self.slots.size
        self.slots[slot] = index

    def _grow(self) -> None:
        old = self.rows
        self.rows = np.zeros((2 * old.shape[0], ROW_WORDS), np.int64)
        self.rows[: old.shape[0]] = old
        self.slots = np.zeros(2 * self.slots.size, np.int64)
        for index in np.flatnonzero(old[1:, LENGTH]) + 1:
            self._enter(int(index))
