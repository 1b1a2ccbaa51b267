"""Ids of generation-3 positions: a token id that says which condition and which outcome it is.

```
 255     248 247         120 119   104 103         40 39               24 23            8 7      0
 +---------+---------------+---------+---------------+------------------+---------------+--------+
 | module  | base hash     | arity   | 0             | resolution chain | condition     | outcome|
 | 8       | 128           | 16      | 64            | 16               | index  16     | index 8|
 +---------+---------------+---------+---------------+------------------+---------------+--------+
   1 binary, 2 neg risk, 3 combinatorial                        outcome 0 is YES or Up, 1 NO or Down
```
The condition id is everything above the outcome: 31 bytes in contract calls, and padded by one zero
byte behind where 32 are asked for. Source: the official client's decoder.
"""

from __future__ import annotations

from typing import NamedTuple

from signer.contracts import is_position_id
from signer.eip712 import UINT256_MAX, WORD_BYTES

CONDITION_BYTES = 31
_MODULES = frozenset((1, 2, 3))


class Position(NamedTuple):
    """What a position id says. condition_id: 31 bytes. outcome_index: 0 or 1."""

    condition_id: bytes
    outcome_index: int


def decode_position_id(token_id: int) -> Position:
    """Return condition and outcome; ValueError for what is no YES/NO position of a known module."""
    if not 0 <= token_id <= UINT256_MAX or not is_position_id(token_id):
        raise ValueError(f"a position id has bits 40…103 zero: token_id={token_id}")
    encoded = token_id.to_bytes(WORD_BYTES, "big")
    module, outcome_index = encoded[0], encoded[-1]
    if module not in _MODULES:
        raise ValueError(f"an unknown module: module={module}, token_id={token_id}")
    if outcome_index not in (0, 1):
        raise ValueError(f"an outcome is 0 or 1: outcome={outcome_index}, token_id={token_id}")
    return Position(encoded[:CONDITION_BYTES], outcome_index)


def padded_condition_id(condition_id: bytes) -> bytes:
    """Return the 32-byte form of a condition id, which the venue's REST API wants."""
    return condition_id.ljust(WORD_BYTES, b"\0")
