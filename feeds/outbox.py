"""Records on their way to a queue that may be full: they wait, in order, and are never dropped."""

from __future__ import annotations

from collections import deque

import numpy as np

from feeds.port import Queue

WAITING_RECORDS_MAX = 16_384
OFFER_ROWS_MAX = 64  # the smallest queue takes this many at once


class Outbox:
    """In front of one queue. `is_congested` asks the source to hold back; it can be read again."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: deque[np.ndarray] = deque()
        self._records = 0
        self.times_full = 0

    @property
    def is_congested(self) -> bool:
        """Whether so much is waiting that nothing more should be read from the venue."""
        return self._records >= WAITING_RECORDS_MAX

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return self._records

    def put(self, rows: np.ndarray) -> None:
        """Send records, int64[n, 16], now if the queue has room, else as soon as it has."""
        for first in range(0, len(rows), OFFER_ROWS_MAX):
            part = rows[first : first + OFFER_ROWS_MAX]
            self._waiting.append(np.array(part))
            self._records += len(part)
        self.flush()

    def flush(self) -> int:
        """Send what the queue takes; return how many records went."""
        sent = 0
        while self._waiting:
            if not self._queue.offer(self._waiting[0]):
                self.times_full += 1
                break
            sent += len(self._waiting.popleft())
        self._records -= sent
        return sent
