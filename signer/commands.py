"""The core's commands, from rows of int64 words to named integers.

Rows are read through `tolist()`: one call turns a whole batch into Python integers, where a
structured array would make an object for each field.
"""

from __future__ import annotations

from typing import NamedTuple

_U64 = (1 << 64) - 1


class NewOrder(NamedTuple):
    """NEW_ORDER (`engine.wire.records`). Money, prices and sizes in micros."""

    instrument: int
    trace: int
    order_id: int
    price: int
    size: int
    budget: int
    salt: int
    timestamp_ms: int
    expires_s: int
    tick: int
    side: int
    tif: int
    post_only: int
    attempt: int


class Cancel(NamedTuple):
    """CANCEL of one order."""

    instrument: int
    trace: int
    order_id: int
    reason: int


def kind_of(row: list[int]) -> int:
    """Return a row's kind. Hot path."""
    return row[0] & 0xFFFF


def instrument_of(row: list[int]) -> int:
    """Return a row's instrument index."""
    return row[0] >> 32 & 0xFFFF_FFFF


def read_new_order(row: list[int]) -> NewOrder:
    """Return a NEW_ORDER row. Hot path."""
    terms = row[13]
    return NewOrder(
        row[0] >> 32 & 0xFFFF_FFFF,
        row[1] & _U64,
        row[4] & _U64,
        row[5],
        row[6],
        row[7],
        row[8] & _U64,
        row[9],
        row[10],
        terms & 0xFFFF_FFFF,
        terms >> 32 & 0xFF,
        terms >> 40 & 0xFF,
        terms >> 48 & 0xFF,
        row[14] >> 8 & 0xFF,
    )


def read_cancel(row: list[int]) -> Cancel:
    """Return a CANCEL row."""
    return Cancel(instrument_of(row), row[1] & _U64, row[4] & _U64, row[5] & 0xFFFF)
