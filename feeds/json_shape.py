"""Is a JSON text harmless in shape? Asked before the patient decoders read a frame.

Decoders take the last of two equal keys without a word and follow nesting as deep as it goes. Both
are refused here, in time linear in the text. Grammar itself is the decoder's business.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import int64, njit, uint64

from feeds.text import Text, skip_space

DEPTH_MAX = 12
KEYS_PER_OBJECT_MAX = 64

_QUOTE, _BACKSLASH, _COLON = 0x22, 0x5C, 0x3A
_OPENING, _CLOSING = (0x7B, 0x5B), (0x7D, 0x5D)
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


class Shape(IntEnum):
    """What `shape` may find."""

    FINE = 0
    TOO_DEEP = 1
    TOO_MANY_KEYS = 2
    DUPLICATE_KEY = 3
    ESCAPED_KEY = 4
    UNBALANCED = 5


_FINE, _TOO_DEEP, _TOO_MANY = int(Shape.FINE), int(Shape.TOO_DEEP), int(Shape.TOO_MANY_KEYS)
_DUPLICATE, _ESCAPED, _UNBALANCED = 3, 4, 5


@njit(int64(Text), cache=True)
def shape(text):  # type: ignore[no-untyped-def]
    """Return the Shape of a JSON text, uint8[n]; a 64-bit hash tells its keys apart."""
    n = text.shape[0]
    keys = np.zeros((DEPTH_MAX, KEYS_PER_OBJECT_MAX), np.uint64)
    counts = np.zeros(DEPTH_MAX, np.int64)
    depth = -1
    i = 0
    while i < n:
        byte = text[i]
        i += 1
        if byte == _OPENING[0] or byte == _OPENING[1]:
            depth += 1
            if depth == DEPTH_MAX:
                return _TOO_DEEP
            counts[depth] = 0
        elif byte == _CLOSING[0] or byte == _CLOSING[1]:
            depth -= 1
            if depth < -1:
                return _UNBALANCED
        elif byte == _QUOTE:
            key = _FNV_OFFSET
            escaped = False
            while i < n and text[i] != _QUOTE:
                if text[i] == _BACKSLASH:
                    escaped = True
                    i += 1
                if i < n:
                    key = (key ^ uint64(text[i])) * _FNV_PRIME
                i += 1
            i += 1
            after = skip_space(text, i)
            if depth >= 0 and after < n and text[after] == _COLON:
                if escaped:
                    return _ESCAPED
                for k in range(counts[depth]):
                    if keys[depth, k] == key:
                        return _DUPLICATE
                if counts[depth] == KEYS_PER_OBJECT_MAX:
                    return _TOO_MANY
                keys[depth, counts[depth]] = key
                counts[depth] += 1
    return _FINE if depth == -1 else _UNBALANCED
