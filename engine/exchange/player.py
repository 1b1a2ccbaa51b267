"""Plays a recording on a virtual clock: as fast as asked, never ahead of what has not been shown.

```
real time   ──┬──────┬──────┬──── turns of the loop
virtual       │ × speed, at most to the next snapshot not yet shown
              └─ snapshots and due actions in order of (millisecond, Phase)
```
A turn that comes late, or has more to show than one turn may, makes the clock slip instead of
catching up: the exchange is then slower than asked, never unfair. After the last snapshot the
clock goes on, so that held orders and settlements finish.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from engine.exchange.recording import Recording
from engine.exchange.schedule import NEVER_MS, Phase, Schedule
from engine.exchange.venue import Venue

TURN_STALL_S_MAX = 0.05  # real time a single turn may claim; the rest slips
GROUPS_PER_TURN_MAX = 16  # snapshots shown before the sockets get their share


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a play has come. slug: the market whose window it is in."""

    virtual_ms: int
    first_ms: int
    last_ms: int
    played: int
    total: int
    done: bool
    slug: str


class Player:
    """Drives a venue's schedule through a recording. Turns are loop callbacks; nothing awaits."""

    __slots__ = (
        "_handle",
        "_listings",
        "_loop",
        "_recording",
        "_row",
        "_schedule",
        "_speed",
        "_turn_s",
        "_venue",
        "_virtual_ms",
    )

    def __init__(self, recording: Recording, venue: Venue, speed: float) -> None:
        """List the recording's markets at once; show nothing before `start`."""
        assert len(recording), "a recording has at least one snapshot"
        self._recording = recording
        self._venue = venue
        self._schedule: Schedule = venue.schedule
        self._schedule.advance(int(recording.times_ms[0]) - 1)
        self._listings = [venue.open_market(market) for market in recording.markets]
        self._speed = speed
        self._virtual_ms = float(self._schedule.now_ms)
        self._row = 0
        self._turn_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None

    @property
    def is_playing(self) -> bool:
        """Whether the clock runs."""
        return self._loop is not None

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
        recording = self._recording
        now_ms = self._schedule.now_ms
        started = [m for m in recording.markets if m.start_ms <= now_ms]
        current = started[-1] if started else recording.markets[0]
        done = self._row == len(recording) and not any(x.is_open for x in self._listings)
        return Progress(
            now_ms,
            int(recording.times_ms[0]),
            max(int(recording.times_ms[-1]), max(m.end_ms for m in recording.markets)),
            self._row,
            len(recording),
            done,
            current.slug,
        )

    def run_to_end(self) -> None:
        """Play everything at once, without a loop: for tests and backtests."""
        while self._row < len(self._recording):
            self._show_group()
        self._schedule.advance(max(market.end_ms for market in self._recording.markets))

    def _turn(self) -> None:
        now_s = time.monotonic()
        passed_s = min(now_s - self._turn_s, TURN_STALL_S_MAX)
        self._turn_s = now_s
        horizon_ms = self._virtual_ms + passed_s * 1_000 * self._speed
        groups = 0
        while self._next_ms <= horizon_ms:
            if groups == GROUPS_PER_TURN_MAX:
                horizon_ms = float(self._schedule.now_ms)
                break
            self._show_group()
            groups += 1
        else:
            self._schedule.advance(int(horizon_ms))
        self._virtual_ms = horizon_ms
        self._arm()

    def _show_group(self) -> None:
        """Show the next snapshots of one market and one millisecond."""
        recording, row = self._recording, self._row
        at_ms, market = int(recording.times_ms[row]), int(recording.market[row])
        self._schedule.advance(at_ms, Phase.BOOK)
        shown = []
        while (
            row < len(recording)
            and recording.times_ms[row] == at_ms
            and recording.market[row] == market
        ):
            shown.append((int(recording.outcome[row]), *recording.book(row)))
            row += 1
        self._row = row
        self._venue.show(self._listings[market], shown)

    @property
    def _next_ms(self) -> int:
        if self._row == len(self._recording):
            return NEVER_MS
        return int(self._recording.times_ms[self._row])

    def _arm(self) -> None:
        """Come back when the next thing is due, or at once if it is."""
        assert self._loop is not None
        due_ms = min(self._next_ms, self._schedule.next_ms)
        if due_ms == NEVER_MS:
            self._handle = self._loop.call_later(TURN_STALL_S_MAX, self._turn)
            return
        wait_s = (due_ms - self._virtual_ms) / 1_000 / self._speed
        wait_s = min(max(wait_s, 0.0), TURN_STALL_S_MAX)
        self._handle = self._loop.call_later(wait_s, self._turn)

    def _wake(self) -> None:
        """Something became due sooner than what the timer waits for."""
        if self._handle is not None:
            self._handle.cancel()
        assert self._loop is not None
        self._handle = self._loop.call_soon(self._turn)


def _nothing() -> None:
    pass
