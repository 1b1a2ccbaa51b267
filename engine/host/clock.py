"""The one door for the time of day: epoch-like nanoseconds that never step.

Every stamp of a run is `time.monotonic_ns() + offset`. The supervisor reads the wall clock once,
when the run begins, and passes the offset on in `run.json`: the monotonic clock is the machine's,
so stamps of different processes compare, and a wall clock that is set in mid-run moves nothing.
"""

from __future__ import annotations

import time


class Clock:
    """Epoch-like, monotonic nanoseconds; the same in every process that has the same offset."""

    __slots__ = ("offset_ns",)

    def __init__(self, offset_ns: int) -> None:
        self.offset_ns = offset_ns

    @classmethod
    def anchored(cls) -> Clock:
        """Return a clock that agrees with the wall clock at this moment."""
        return cls(time.time_ns() - time.monotonic_ns())

    def now_ns(self) -> int:
        """Hot path. Return the present in nanoseconds since the epoch."""
        return time.monotonic_ns() + self.offset_ns

    def drift_ns(self) -> int:
        """Return how far the wall clock has moved ahead of this one since it was anchored."""
        return time.time_ns() - self.now_ns()
