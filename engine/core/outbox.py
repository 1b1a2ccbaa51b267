"""Where the core writes what it decided: one preallocated batch of records, in order.

Orders and decisions are written by kernels (`engine.core.orders.submission`), into the `room` they
are given. A record of another kind is packed in one call: setting the fields of a structured array
one by one takes over twenty times longer. A unit test compares every layout with the wire's.
"""

from __future__ import annotations

import struct

import numpy as np

from engine.wire.codes import Kind, Reason, Source
from engine.wire.records import RECORD_BYTES, RECORD_WORDS, pack_word0

CAPACITY = 4096


def _record(body: str) -> struct.Struct:
    """Return the layout of a record with this body: the rest of the 128 bytes is zeros."""
    fields = f"<HBBIQqq{body}"
    return struct.Struct(f"{fields}{RECORD_BYTES - struct.calcsize(fields)}x")


_CANCEL = _record("QHB5x")
_ARM = _record("qqqIBBBBH6x")
_CANCEL_ALL = _record("H6x")
_CORE = int(Source.CORE)


class Outbox:
    """The commands and decisions of one step; `rows` is valid until the next `clear`."""

    __slots__ = ("_bytes", "_rows", "count", "now_ns")

    def __init__(self) -> None:
        self._rows = np.zeros((CAPACITY, RECORD_WORDS), np.int64)
        self._bytes = self._rows.data.cast("B")
        self.count = 0
        self.now_ns = 0

    @property
    def rows(self) -> np.ndarray:
        """The records written since the last `clear`, int64[n, 16]."""
        return self._rows[: self.count]

    def clear(self, now_ns: int) -> None:
        """Begin a step at `now_ns`."""
        self.count = 0
        self.now_ns = now_ns

    def _pack(
        self, layout: struct.Struct, kind: Kind, instrument: int, trace: int, *body: int
    ) -> None:
        """Write the next record. body: the fields of its kind in the order of the wire."""
        at = self._next() * RECORD_BYTES
        layout.pack_into(self._bytes, at, kind, _CORE, 0, instrument, trace, 0, self.now_ns, *body)

    def _next(self) -> int:
        assert self.count < CAPACITY, f"a step writes too many records: count={self.count}"
        self.count += 1
        return self.count - 1

    def forward(self, row: np.ndarray, trace: int) -> None:
        """Pass an accepted input on to the signer unchanged, but from us and traced to it."""
        out = self._rows[self._next()]
        out[:] = row
        word0 = int(row[0])
        out[0] = pack_word0(word0 & 0xFFFF, Source.CORE, (word0 >> 24) & 0xFF, word0 >> 32)
        out[1] = trace
        out[3] = self.now_ns

    def room(self, count: int) -> tuple[np.ndarray, int]:
        """Hot path. Return all rows, int64[CAPACITY, 16], and the next to be filled by a kernel.

        count: how many it may fill. `self.count` is then to be raised by as many as it did.
        """
        assert self.count + count <= CAPACITY, f"a step writes too many records: count={self.count}"
        return self._rows, self.count

    def arm(
        self,
        instrument: int,
        trace: int,
        *,
        price: int,
        size: int,
        budget: int,
        tick: int,
        side: int,
        tif: int,
        strategy: int,
        reason: int,
    ) -> None:
        """Write an ARM. reason: OK engages it."""
        self._pack(
            _ARM,
            Kind.ARM,
            instrument,
            trace,
            price,
            size,
            budget,
            tick,
            side,
            tif,
            strategy,
            reason == Reason.OK,
            reason,
        )

    def cancel(
        self, order_id: int, instrument: int, strategy: int, reason: int, trace: int
    ) -> None:
        """Write a CANCEL."""
        self._pack(_CANCEL, Kind.CANCEL, instrument, trace, order_id, reason, strategy)

    def cancel_all(self, reason: Reason, trace: int) -> None:
        """Write a CANCEL_ALL."""
        self._pack(_CANCEL_ALL, Kind.CANCEL_ALL, 0, trace, reason)
