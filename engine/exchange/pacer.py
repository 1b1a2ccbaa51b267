"""Moves a schedule along real time, at a speed: the clock of the modes that need no recording.

```
real time   ──┬──────┬──────┬──── turns of the loop
virtual       │ × speed, in steps; what does not fit into a turn's share slips
```
A clock that slips makes the exchange slower than asked, never unfair. At speed 1 it may instead
have to stay with the wall clock (`keeps_up`), late as it then is. At its end it stands still, so
that what has happened does not depend on when the exchange is stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine.exchange.player import Progress
from engine.exchange.schedule import NEVER_MS, Schedule

TURN_STALL_S_MAX = 0.05  # real time a single turn may claim; the rest slips
TURN_WORK_S_MAX = 0.02  # real time spent on actions before the sockets get their share
STEP_MS = 250


class Pacer:
    """Drives a schedule. Turns are loop callbacks; nothing awaits."""

    __slots__ = (
        "_end_ms",
        "_handle",
        "_keeps_up",
        "_loop",
        "_progress",
        "_schedule",
        "_speed",
        "_turn_s",
        "_virtual_ms",
    )

    def __init__(
        self,
        schedule: Schedule,
        speed: float,
        progress: Callable[[], Progress],
        *,
        keeps_up: bool = False,
        end_ms: int = NEVER_MS,
    ) -> None:
        self._schedule = schedule
        self._speed = speed
        self._progress = progress
        self._keeps_up = keeps_up
        self._end_ms = end_ms
        self._virtual_ms = float(schedule.now_ms)
        self._turn_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None

    def start(self) -> None:
        """Let the clock run, on the running loop; a second call does nothing."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._schedule.on_sooner = self._wake
            self._turn_s = time.monotonic()
            self._turn()

    def stop(self) -> None:
        """Stop the clock for good."""
        self._schedule.on_sooner = _nothing
        if self._handle is not None:
            self._handle.cancel()

    def progress(self) -> Progress:
        """Return how far it has come."""
        return self._progress()

    def _turn(self) -> None:
        now_s = time.monotonic()
        passed_s = now_s - self._turn_s
        if not self._keeps_up:
            passed_s = min(passed_s, TURN_STALL_S_MAX)
        self._turn_s = now_s
        horizon_ms = min(self._virtual_ms + passed_s * 1_000 * self._speed, self._end_ms)
        while self._schedule.now_ms < int(horizon_ms):
            self._schedule.advance(min(int(horizon_ms), self._schedule.now_ms + STEP_MS))
            if not self._keeps_up and time.monotonic() - now_s > TURN_WORK_S_MAX:
                horizon_ms = float(self._schedule.now_ms)
        self._virtual_ms = horizon_ms
        self._arm()

    def _arm(self) -> None:
        """Come back when the next thing is due, or at once if it is."""
        assert self._loop is not None
        wait_s = (self._schedule.next_ms - self._virtual_ms) / 1_000 / self._speed
        self._handle = self._loop.call_later(
            min(max(wait_s, 0.0), TURN_STALL_S_MAX / 5), self._turn
        )

    def _wake(self) -> None:
        """Something became due sooner than what the timer waits for."""
        if self._handle is not None:
            self._handle.cancel()
        assert self._loop is not None
        self._handle = self._loop.call_soon(self._turn)


def _nothing() -> None:
    pass
