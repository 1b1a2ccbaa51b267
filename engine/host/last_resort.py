"""The supervisor's own cancel: for when the signer is gone, or its word is not enough."""

from __future__ import annotations

from collections.abc import Callable

from engine.host.events import Note
from engine.host.fleet import Fleet
from engine.host.plan import Role
from engine.host.venue_cancel import Attempt, CancelAll, VenueCancel

STEP_S = 0.01
HURRY_S_MAX = 1.0


class LastResort:
    """At most one cancel of everything in the life of a run. The supervisor's thread alone."""

    def __init__(self, fleet: Fleet, cancel_all: CancelAll | None, note: Note) -> None:
        """cancel_all: how it is done; None = it cannot be."""
        self._fleet = fleet
        self._cancel_all = cancel_all
        self._note = note
        self._cancel: VenueCancel | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it has begun and is not done."""
        return self._cancel is not None and not self._cancel.is_done

    def begin(self) -> None:
        """Begin, if it has not and there is a way; waits for nothing."""
        account = self._fleet.account
        if self._cancel is not None or self._cancel_all is None or account is None:
            return
        settings = self._fleet.settings
        try_once = self._cancel_all(account.without_key(), settings.venue.rest_url)
        self._cancel = VenueCancel(try_once, settings.host.cancel_ms_max)
        self._note("run", "cancelling", f"at the venue, by the supervisor: {account.funder}")

    def finish(self, is_hurried: Callable[[], bool]) -> Attempt:
        """Begin if need be, and wait for the end; return what the venue has shown."""
        venue = self._fleet.one(Role.EXCHANGE)
        if venue is not None and not venue.is_alive:
            return Attempt(True, problem="the local exchange has ended, and its orders with it")
        self.begin()
        if self._cancel is None:
            return Attempt(False, problem="nothing here can cancel at the venue")
        while not self._cancel.wait(STEP_S):
            if is_hurried():
                self._cancel.give_up()
                self._cancel.wait(HURRY_S_MAX)
                break
        return self._cancel.last
