"""The other side of the market: two accounts that bid for both outcomes, seeded, in a thread.

A bid for one outcome is an offer of the other. One account's bids rest behind the run's; the other
bids dearly and meets what the run bids for the other outcome. One alone would meet itself.
"""

from __future__ import annotations

import contextlib
import random
import threading
from http.client import HTTPException

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
            is_dear = self._rng.random() < DEAR_CHANCE
            low, high = DEAR if is_dear else QUIET
            account = self._venue.accounts[2 if is_dear else 1]
            price = self._rng.randrange(low, high, TICK)
            size = self._rng.randrange(5, 15) * 1_000_000
            # The venue may hang up on it, too: faults are not addressed.
            with contextlib.suppress(OSError, ValueError, KeyError, HTTPException):
                self._venue.place(account, self._rng.randrange(2), price, size)
