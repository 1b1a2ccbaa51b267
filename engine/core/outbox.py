"""Where the core writes what it decided: one preallocated batch of records, in order."""

from __future__ import annotations

import numpy as np

from engine.wire.codes import Kind, Reason, Source
from engine.wire.records import BODIES, RECORD_WORDS, pack_word0

CAPACITY = 4096


class Outbox:
    """The commands and decisions of one step; `rows` is valid until the next `clear`."""

    __slots__ = ("_rows", "_views", "count", "now_ns", "refused")

    def __init__(self) -> None:
        self._rows = np.zeros((CAPACITY, RECORD_WORDS), np.int64)
        flat = self._rows.reshape(-1)
        self._views = {kind: flat.view(dtype) for kind, dtype in BODIES.items()}
        self.count = 0
        self.now_ns = 0
        self.refused = 0  # records that found no room: the caller must treat it as a halt

    @property
    def rows(self) -> np.ndarray:
        """The records written since the last `clear`, int64[n, 16]."""
        return self._rows[: self.count]

    def clear(self, now_ns: int) -> None:
        """Begin a step at `now_ns`."""
        self._rows[: self.count] = 0
        self.count = 0
        self.now_ns = now_ns

    def record(self, kind: Kind, instrument: int, trace: int) -> np.void:
        """Return the next record with its header filled; the caller fills the body."""
        assert self.count < CAPACITY, f"a step writes too many records: count={self.count}"
        at = self.count
        self.count += 1
        row = self._rows[at]
        row[0] = pack_word0(kind, Source.CORE, 0, instrument)
        row[1] = trace
        row[3] = self.now_ns
        out: np.void = self._views[kind][at]
        return out

    def forward(self, row: np.ndarray, trace: int) -> None:
        """Pass an accepted input on to the signer unchanged, but from us and traced to it."""
        assert self.count < CAPACITY, f"a step writes too many records: count={self.count}"
        out = self._rows[self.count]
        self.count += 1
        out[:] = row
        word0 = int(row[0])
        out[0] = pack_word0(word0 & 0xFFFF, Source.CORE, (word0 >> 24) & 0xFF, word0 >> 32)
        out[1] = trace
        out[3] = self.now_ns

    def cancel(
        self, order_id: int, instrument: int, strategy: int, reason: int, trace: int
    ) -> None:
        """Write a CANCEL."""
        out = self.record(Kind.CANCEL, instrument, trace)
        out["order_id"] = order_id
        out["reason"] = reason
        out["strategy"] = strategy

    def cancel_all(self, reason: Reason, trace: int) -> None:
        """Write a CANCEL_ALL."""
        self.record(Kind.CANCEL_ALL, 0, trace)["reason"] = reason
