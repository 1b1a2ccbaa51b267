"""Cancelling everything at the venue without the signer, until there is evidence or time is over.

It runs in a thread of its own: the venue may be slow, and the supervisor has a run to end. How one
try is made and what counts as evidence is the caller's (`engine.cli.cancel`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.host.errors import HostError
from engine.host.secrets import Account

PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 2.0  # between two tries
NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try has shown. is_proven: no order is open, by evidence.

    open_ids: orders that may be open, as far as they are known.  problem: what is missing.
    """

    is_proven: bool
    open_ids: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        """Return what is missing and the orders that may be open, for people."""
        named = ", ".join(self.open_ids[:NAMED_MAX])
        more = len(self.open_ids) - NAMED_MAX
        orders = f"{named} and {more} more" if more > 0 else named or "unknown"
        return f"{self.problem}; orders that may be open: {orders}"


# Account without key, REST URL -> a try, to be made again until it shows evidence.
CancelAll = Callable[[Account, str], Callable[[], Attempt]]


class VenueCancel:
    """One cancel of everything. The supervisor's thread asks `is_done` or `wait`s."""

    def __init__(self, try_once: Callable[[], Attempt], ms_max: int) -> None:
        """Begin. ms_max: for how long to go on trying."""
        self.last = Attempt(False, problem="no answer of the venue yet")
        self._try_once = try_once
        self._deadline_s = time.monotonic() + ms_max / 1_000
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="venue cancel", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether there is evidence, or no try will be made any more."""
        return not self._thread.is_alive()

    def wait(self, seconds_max: float) -> bool:
        """Wait until it is done or the time is over; return whether it is done."""
        self._thread.join(seconds_max)
        return self.is_done

    def give_up(self) -> None:
        """Make no other try after the present one."""
        self._is_over.set()

    def _run(self) -> None:
        pause_s = PAUSE_S_MIN
        while True:
            try:
                self.last = self._try_once()
            except (HostError, OSError) as error:
                self.last = Attempt(False, self.last.open_ids, str(error))
            left_s = self._deadline_s - time.monotonic()
            if self.last.is_proven or left_s <= 0 or self._is_over.wait(min(pause_s, left_s)):
                return
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
