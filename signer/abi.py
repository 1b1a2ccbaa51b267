"""Contract call data: Solidity's ABI for the few types that wallet calls need.

Arguments are words of 32 bytes, or `Dynamic` parts: those stand behind all words, each where the
word in its place says (an offset from the first word). Source: Solidity ABI specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from signer.eip712 import WORD_BYTES, hash_text, uint_word

SELECTOR_BYTES = 4


class Dynamic(NamedTuple):
    """A part whose length varies: its encoding, which the offset points at."""

    encoded: bytes


def call_data(function: str, *arguments: bytes | Dynamic) -> bytes:
    """Return selector and arguments. function: `name(type,…)` without spaces."""
    return hash_text(function)[:SELECTOR_BYTES] + encode(*arguments)


def encode(*parts: bytes | Dynamic) -> bytes:
    """Return the encoding of a tuple."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = WORD_BYTES * len(parts)
    for part in parts:
        if isinstance(part, Dynamic):
            heads.append(uint_word(offset))
            tails.append(part.encoded)
            offset += len(part.encoded)
        else:
            assert len(part) == WORD_BYTES, f"an argument is one word: bytes={len(part)}"
            heads.append(part)
    return b"".join(heads + tails)


def dynamic_bytes(data: bytes) -> Dynamic:
    """Return a `bytes` argument."""
    padding = -len(data) % WORD_BYTES
    return Dynamic(uint_word(len(data)) + data + bytes(padding))


def dynamic_array(elements: Sequence[bytes | Dynamic]) -> Dynamic:
    """Return an array argument; its elements are words, or tuples as `Dynamic`."""
    return Dynamic(uint_word(len(elements)) + encode(*elements))
