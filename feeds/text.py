"""Jitted reading of JSON text where it lies: words, strings, exact numbers.

Every function takes the text as uint8[n] and never reads at or past n. A negative answer means
"not the plain form": an escape, a byte that is not printable ASCII, a number we had to round.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint64

Text = types.Array(types.uint8, 1, "C", readonly=True)

INTEGER_DIGITS_MAX = 9  # a thousand million shares: with six decimals still far inside int64
DECIMALS_MAX = 6

_QUOTE, _BACKSLASH, _SPACE, _POINT, _ZERO, _NINE = 0x22, 0x5C, 0x20, 0x2E, 0x30, 0x39
_DELETE = 0x7F
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_DELETES = np.uint64(0x7F7F7F7F7F7F7F7F)
_BYTE_NUMBERS = np.uint64(0x0001020304050607)  # times 1 << 8k, its highest byte is k
_ONE, _SEVEN, _FIFTY_SIX = np.uint64(1), np.uint64(7), np.uint64(56)
_SCALES = np.array([10 ** (6 - k) for k in range(7)], np.int64)


@njit(forceinline=True, _nrt=False)
def word_at(text, i):  # type: ignore[no-untyped-def]
    """Return the eight bytes from i on as a little-endian word; the caller knows i + 8 <= n."""
    # Unsigned indices: a signed one is tested for "from the end", and eight tests are not one load.
    at = np.uint64(i)
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(text[at + np.uint64(k)]) << np.uint64(8 * k)
    return word


@njit(forceinline=True, _nrt=False)
def tail_word(text, i, length):  # type: ignore[no-untyped-def]
    """Return the `length` (0 to 8) bytes from i on as a word, the rest of it zero."""
    word = np.uint64(0)
    for k in range(length):
        word |= np.uint64(text[i + k]) << np.uint64(8 * k)
    return word


@njit(forceinline=True, _nrt=False)
def skip_space(text, i):  # type: ignore[no-untyped-def]
    """Return the index of the first byte from i on that is no JSON white space; n if none."""
    n = text.shape[0]
    while i < n and (text[i] == _SPACE or (9 <= text[i] <= 13 and text[i] != 11 and text[i] != 12)):
        i += 1
    return i


@njit(forceinline=True, _nrt=False)
def string_end(text, i):  # type: ignore[no-untyped-def]
    """Return the index of the quote that closes the string whose first character is at i, or -1."""
    n = text.shape[0]
    while i + 8 <= n:
        word = word_at(text, i)
        quotes = word ^ _QUOTES
        backslashes = word ^ _BACKSLASHES
        deletes = word ^ _DELETES
        # The well-known tests for "has a zero byte" and "has a byte below 32". Their lowest mark is
        # always a true one; higher ones may be the borrow of a lower.
        found = (quotes - _ONES) & ~quotes
        found |= (backslashes - _ONES) & ~backslashes
        found |= (deletes - _ONES) & ~deletes
        found |= (word - _SPACES) & ~word
        found = (found | word) & _HIGHS
        if found:
            lowest = (found & (~found + _ONE)) >> _SEVEN
            i += int64((lowest * _BYTE_NUMBERS) >> _FIFTY_SIX)
            return i if text[i] == _QUOTE else -1
        i += 8
    while i < n:
        byte = text[i]
        if byte == _QUOTE:
            return i
        if byte == _BACKSLASH or byte < _SPACE or byte >= _DELETE:
            return -1
        i += 1
    return -1


@njit(int64(Text, int64, int64), cache=True, _nrt=False)
def micros_in(text, i, end):  # type: ignore[no-untyped-def]
    """Return the decimal number in text[i:end] times 1e6, exactly, or -1.

    The number has no sign and no exponent, up to nine digits before the point and six behind it.
    """
    at, stop = np.uint64(i), np.uint64(end)  # unsigned: never "from the end"
    value = 0
    digits = 0
    while at < stop and _ZERO <= text[at] <= _NINE:
        value = value * 10 + (text[at] - _ZERO)
        digits += 1
        at += _ONE
    decimals = 0
    if at < stop and text[at] == _POINT:
        at += _ONE
        while at < stop and _ZERO <= text[at] <= _NINE and decimals <= DECIMALS_MAX:
            value = value * 10 + (text[at] - _ZERO)
            decimals += 1
            at += _ONE
        if decimals == 0 or decimals > DECIMALS_MAX:
            return -1
    if at != stop or digits + decimals == 0 or digits > INTEGER_DIGITS_MAX:
        return -1
    return value * _SCALES[decimals]


@njit(int64(Text, int64, int64), cache=True, _nrt=False)
def integer_in(text, i, end):  # type: ignore[no-untyped-def]
    """Return the whole number in text[i:end], one to eighteen digits, or -1."""
    if not 0 < end - i <= 18:
        return -1
    value = 0
    while i < end:
        if not _ZERO <= text[i] <= _NINE:
            return -1
        value = value * 10 + (text[i] - _ZERO)
        i += 1
    return value


@njit(types.Tuple((uint64, int64))(Text, int64, int64), cache=True, _nrt=False)
def hash_prefix_in(text, i, end):  # type: ignore[no-untyped-def]
    """Return (first eight bytes of the 40 lower-case hex digits in text[i:end], 0), or (0, -1)."""
    value = np.uint64(0)
    if end - i != 40:
        return value, -1
    for k in range(16):
        byte = text[i + k]
        if _ZERO <= byte <= _NINE:
            digit = byte - _ZERO
        elif 0x61 <= byte <= 0x66:
            digit = byte - 0x57
        else:
            return np.uint64(0), -1
        value = (value << np.uint64(4)) | np.uint64(digit)
    return value, 0
