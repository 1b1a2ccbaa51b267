"""The other side of the market: an account that bids for both outcomes, seeded, in a thread.

A bid for one outcome is an offer of the other: what it bids dearly buys from the run's bids.
"""

from __future__ import annotations

import contextlib
import random
import threading

from integration.live_venue import LiveVenue

PAUSE_S = 0.15
TICK = 1_000
QUIET = (430_000, 470_000)  # rests behind the run
DEAR = (530_000, 570_000)  # meets what the run bids for the other outcome
DEAR_CHANCE = 0.3


class Crowd:
    """Bids until it is told to stop. An order the venue refuses is no matter."""

    def __init__(self, venue: LiveVenue, rng: random.Random) -> None:
        self._venue = venue
        self._rng = rng
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._bid, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop bidding; what rests, rests."""
        self._is_over.set()
        self._thread.join()

    def _bid(self) -> None:
        while not self._is_over.wait(PAUSE_S):
            low, high = DEAR if self._rng.random() < DEAR_CHANCE else QUIET
            price = self._rng.randrange(low, high, TICK)
            size = self._rng.randrange(5, 15) * 1_000_000
            # The venue may hang up on it, too: faults are not addressed.
            with contextlib.suppress(OSError, ValueError, KeyError):
                self._venue.bid(self._rng.randrange(2), price, size)
