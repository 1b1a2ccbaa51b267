"""The core's commands, from rows of int64 words to named integers.

One `struct` call turns a row into Python integers where it lies; a structured array would make an
object for each field. A unit test compares every field with the dtypes of `engine.wire.records`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from engine.wire.records import RECORD_BYTES

# The fields of NewOrder and of Cancel, in order, where they lie in a record.
_NEW_ORDER = struct.Struct("<4xIQ16xQqqqQqq8xqIBBBBxB")
_ARM = struct.Struct("<4xIQ16xqqqIBBBB")
_CANCEL = struct.Struct("<4xIQ16xQH")


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
    decided_ns: int
    tick: int
    side: int
    tif: int
    post_only: int
    strategy: int
    attempt: int


class Cancel(NamedTuple):
    """CANCEL of one order."""

    instrument: int
    trace: int
    order_id: int
    reason: int


class Arm(NamedTuple):
    """ARM: an order of one strategy that may be asked for, or will not be any more."""

    order: NewOrder  # without what it has only when it is asked for: id, salt and time
    strategy: int
    is_engaged: bool


_as_new_order = NewOrder._make  # bound once: it is looked up for every order


class Commands:
    """Polled rows, seen as commands. Valid until the rows are polled into again."""

    __slots__ = ("_bytes", "_kinds")

    def __init__(self, rows: np.ndarray) -> None:
        """rows: int64[n, 16], C-contiguous, the array that is polled into."""
        self._bytes = rows.data.cast("B")
        self._kinds = self._bytes.cast("H")

    def kind(self, index: int) -> int:
        """Return a row's kind. Hot path."""
        return self._kinds[index * (RECORD_BYTES // 2)]

    def new_order(self, index: int) -> NewOrder:
        """Return a NEW_ORDER row. Hot path."""
        return _as_new_order(_NEW_ORDER.unpack_from(self._bytes, index * RECORD_BYTES))

    def cancel(self, index: int) -> Cancel:
        """Return a CANCEL row."""
        return Cancel._make(_CANCEL.unpack_from(self._bytes, index * RECORD_BYTES))

    def arm(self, index: int) -> Arm:
        """Return an ARM row."""
        instrument, trace, price, size, budget, tick, side, tif, strategy, engaged = (
            _ARM.unpack_from(self._bytes, index * RECORD_BYTES)
        )
        order = NewOrder(
            instrument=instrument,
            trace=trace,
            order_id=0,
            price=price,
            size=size,
            budget=budget,
            salt=0,
            timestamp_ms=1,
            expires_s=0,
            decided_ns=0,
            tick=tick,
            side=side,
            tif=tif,
            post_only=0,
            strategy=0,
            attempt=0,
        )
        return Arm(order, strategy, bool(engaged))
