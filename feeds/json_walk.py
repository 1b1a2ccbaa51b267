"""Steps through JSON text without making anything of it: keys, values, commas, ends.

Jitted like `feeds.text`, and as cautious: nothing at or past the end of the text is read, and a
negative answer means that the text is not of the plain form.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint64

from feeds.text import Text, skip_space, string_end, tail_word, word_at

Pair = types.UniTuple(int64, 2)

_QUOTE, _COMMA, _COLON, _OPEN_LIST, _CLOSE_LIST = 0x22, 0x2C, 0x3A, 0x5B, 0x5D
_MIX = 0x9E3779B97F4A7C15
_MIX_WORD = np.uint64(_MIX)
_LOW_BYTES = np.array([2 ** (8 * k) - 1 for k in range(9)], np.uint64)


def word_of(name: str) -> np.uint64:
    """Return what `name_word` answers for a name."""
    text = name.encode()
    word = int.from_bytes(text[:8], "little")
    if len(text) > 8:
        word ^= int.from_bytes(text[-8:], "little") * _MIX % 2**64
    return np.uint64(word)


@njit(forceinline=True, _nrt=False)
def name_word(text, i, end):  # type: ignore[no-untyped-def]
    """Return text[i:end] as a word: its first eight characters, mixed with its last if longer."""
    if end - i > 8:
        return word_at(text, i) ^ word_at(text, end - 8) * _MIX_WORD
    if i + 8 <= text.shape[0]:
        return word_at(text, i) & _LOW_BYTES[end - i]
    return tail_word(text, i, end - i)


@njit(types.Tuple((uint64, int64, int64))(Text, int64), cache=True, _nrt=False)
def key_at(text, i):  # type: ignore[no-untyped-def]
    """Return (`name_word`, length, where the value begins) of the key at or after i.

    The last is -1 where there is no key, or no value behind it.
    """
    n = text.shape[0]
    i = skip_space(text, i)
    if i >= n or text[i] != _QUOTE:
        return np.uint64(0), 0, -1
    end = string_end(text, i + 1)
    if end < 0:
        return np.uint64(0), 0, -1
    name = name_word(text, i + 1, end)
    length = end - i - 1
    i = skip_space(text, end + 1)
    if i >= n or text[i] != _COLON:
        return name, length, -1
    i = skip_space(text, i + 1)
    return name, length, i if i < n else -1


@njit(Pair(Text, int64), cache=True, _nrt=False)
def string_at(text, i):  # type: ignore[no-untyped-def]
    """Return (first character, end) of the string value at i, or (-1, -1)."""
    if text[i] != _QUOTE:
        return -1, -1
    end = string_end(text, i + 1)
    if end < 0:
        return -1, -1
    return i + 1, end


@njit(forceinline=True, _nrt=False)
def after_value(text, i, close):  # type: ignore[no-untyped-def]
    """Return (index after the next comma or `close`, 1 if it was `close` else 0), or (-1, 0)."""
    i = skip_space(text, i)
    if i >= text.shape[0]:
        return -1, 0
    if text[i] == _COMMA:
        return i + 1, 0
    if text[i] == close:
        return i + 1, 1
    return -1, 0


@njit(forceinline=True, _nrt=False)
def list_begin(text, i):  # type: ignore[no-untyped-def]
    """Return (index after the bracket at i, 0), or (index after the list, 1) if it is empty."""
    if text[i] != _OPEN_LIST:
        return -1, 0
    i = skip_space(text, i + 1)
    if i < text.shape[0] and text[i] == _CLOSE_LIST:
        return i + 1, 1
    return i, 0
