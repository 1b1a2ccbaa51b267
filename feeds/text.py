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


@njit(uint64(Text, int64), cache=True)
def word_at(text, i):  # type: ignore[no-untyped-def]
    """Return the eight bytes from i on as a little-endian word; the caller knows i + 8 <= n."""
    word = np.uint64(0)
    for k in range(8):  # the compiler makes one load of it
        word |= np.uint64(text[i + k]) << np.uint64(8 * k)
    return word


@njit(uint64(Text, int64, int64), cache=True)
def tail_word(text, i, length):  # type: ignore[no-untyped-def]
    """Return the `length` (0 to 8) bytes from i on as a word, the rest of it zero."""
    word = np.uint64(0)
    for k in range(length):
        word |= np.uint64(text[i + k]) << np.uint64(8 * k)
    return word


@njit(int64(Text, int64), cache=True)
def skip_space(text, i):  # type: ignore[no-untyped-def]
    """Return the index of the first byte from i on that is no JSON white space; n if none."""
    n = text.shape[0]
    while i < n and (text[i] == _SPACE or (9 <= text[i] <= 13 and text[i] != 11 and text[i] != 12)):
        i += 1
    return i


@njit(int64(Text, int64), cache=True)
def string_end(text, i):  # type: ignore[no-untyped-def]
    """Return the index of the quote that closes the string whose first character is at i, or -1."""
    n = text.shape[0]
    while i + 8 <= n:
        word = word_at(text, i)
        quotes = word ^ _QUOTES
        backslashes = word ^ _BACKSLASHES
        deletes = word ^ _DELETES
        # The well-known "has a zero byte" and "has a byte below 32" tests; false alarms only make
        # the byte-wise loop below look closer.
        found = (quotes - _ONES) & ~quotes
        found |= (backslashes - _ONES) & ~backslashes
        found |= (deletes - _ONES) & ~deletes
        found |= (word - _SPACES) & ~word
        found |= word
        if found & _HIGHS:
            break
        i += 8
    while i < n:
        byte = text[i]
        if byte == _QUOTE:
            return i
        if byte == _BACKSLASH or byte < _SPACE or byte >= _DELETE:
            return -1
        i += 1
    return -1


@njit(int64(Text, int64, int64), cache=True)
def micros_in(text, i, end):  # type: ignore[no-untyped-def]
    """Return the decimal number in text[i:end] times 1e6, exactly, or -1.

    The number has no sign and no exponent, up to nine digits before the point and six behind it.
    """
    value = 0
    digits = 0
    while i < end and _ZERO <= text[i] <= _NINE:
        value = value * 10 + (text[i] - _ZERO)
        digits += 1
        i += 1
        if digits > INTEGER_DIGITS_MAX:
            return -1
    decimals = 0
    if i < end and text[i] == _POINT:
        i += 1
        while i < end and _ZERO <= text[i] <= _NINE:
            value = value * 10 + (text[i] - _ZERO)
            decimals += 1
            i += 1
            if decimals > DECIMALS_MAX:
                return -1
        if decimals == 0:
            return -1
    if i != end or digits + decimals == 0:
        return -1
    while decimals < DECIMALS_MAX:
        value *= 10
        decimals += 1
    return value


@njit(int64(Text, int64, int64), cache=True)
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


@njit(types.Tuple((uint64, int64))(Text, int64, int64), cache=True)
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
