"""Reports of an order without a name, or of an unknown instrument: they wait here.

An order of ours is named before its bytes leave, so its name is in the batch of its first report or
in the next; a report that waits longer is of an order made elsewhere on our wallet.
"""

from __future__ import annotations

import numpy as np

WAIT_NS_MAX = 1_000_000_000
ROWS_MAX = 65_536  # beyond it the oldest go: so many strangers are a flood

Waiting = tuple[int, list[np.ndarray]]  # since when, in the engine's time, and the rows in order


class Unnamed:
    """Rows by what they wait for. count: how many do.  dropped: how many went unheard."""

    __slots__ = ("_by_hash", "_by_instrument", "count", "dropped")

    def __init__(self) -> None:
        self._by_hash: dict[bytes, Waiting] = {}
        self._by_instrument: dict[int, list[np.ndarray]] = {}
        self.count = 0
        self.dropped = 0

    def await_name(self, order_hash: bytes, row: np.ndarray, now_ns: int) -> None:
        """Keep a report until its order is named or found to be none of this engine's."""
        self._by_hash.setdefault(order_hash, (now_ns, []))[1].append(row.copy())
        self.count += 1
        if self.count > ROWS_MAX:
            self.dropped += len(self.named(next(iter(self._by_hash))))

    def await_instrument(self, instrument: int, row: np.ndarray) -> None:
        """Keep a report until its instrument is announced."""
        self._by_instrument.setdefault(instrument, []).append(row.copy())
        self.count += 1
        if self.count > ROWS_MAX:
            self.dropped += len(self.announced(next(iter(self._by_instrument))))

    def named(self, order_hash: bytes) -> list[np.ndarray]:
        """Take the reports of an order that has a name now."""
        if order_hash not in self._by_hash:
            return []
        rows = self._by_hash.pop(order_hash)[1]
        self.count -= len(rows)
        return rows

    def announced(self, instrument: int) -> list[np.ndarray]:
        """Take the reports of an instrument that is known now."""
        rows = self._by_instrument.pop(instrument, [])
        self.count -= len(rows)
        return rows

    def strangers(self, now_ns: int) -> list[bytes]:
        """Return the hashes that have waited for long enough, oldest first."""
        due = []
        for order_hash, (since_ns, _) in self._by_hash.items():
            if now_ns - since_ns < WAIT_NS_MAX:
                break
            due.append(order_hash)
        return due
