"""The venue's clock and what is due on it: milliseconds since the epoch, moved by its owner.

The player moves it along a recording, the mirror along the wall clock, a test by hand. Within one
millisecond things happen in `Phase` order, so that a run is the same at any speed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum

Action = Callable[[], None]
NEVER_MS = 1 << 62


class Phase(IntEnum):
    """What comes first within one millisecond."""

    EXPIRE = 0  # windows end and orders expire before the book of that millisecond
    BOOK = 1
    ACT = 2  # held takers act on the book of that millisecond
    OVER = 3


class Schedule:
    """A queue of actions and the present; the present never moves backwards."""

    __slots__ = ("_queue", "_sequence", "now_ms", "on_sooner")

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms
        self.on_sooner: Action = _nothing  # called when something became the next thing due
        self._queue: list[tuple[int, int, int, Action]] = []
        self._sequence = 0

    @property
    def next_ms(self) -> int:
        """When the next action is due; `NEVER_MS` if there is none."""
        return self._queue[0][0] if self._queue else NEVER_MS

    def at(self, when_ms: int, phase: Phase, action: Action) -> None:
        """Do `action` at `when_ms`, or as soon as the clock moves if that has passed."""
        sooner = when_ms < self.next_ms
        self._sequence += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), phase, self._sequence, action))
        if sooner:
            self.on_sooner()

    def advance(self, now_ms: int, phase: Phase = Phase.OVER) -> None:
        """Move to `now_ms`, doing what is due before that millisecond's `phase`, in order."""
        while self._queue and self._queue[0][:2] < (now_ms, phase):
            when_ms, _, _, action = heapq.heappop(self._queue)
            self.now_ms = max(self.now_ms, when_ms)
            action()
        self.now_ms = max(self.now_ms, now_ms)


def _nothing() -> None:
    pass
