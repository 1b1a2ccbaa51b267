"""May a new order be sent at all? What the venue, its clock and our credentials have to say.

```
latch    until the process is started again: credentials refused five times in a row, geoblock,
         banned, another version of the exchange than we sign for, an order id that is not our
         hash. Closed-only stops purchases.
pause    nothing is sent for a while: restarting (425), cancel-only, disabled (503), throttled (429)
window   only post-only orders are sent: after a restart, and as long as the venue says so
clock    live only: our clock is too far from the venue's, or nobody has compared them yet
beat     with heartbeats on: the venue has not heard one for so long that it may cancel everything
log      the order log's entries do not reach the disk
```
Cancels and look-ups are never held up here. After a pause the next order is the probe: the venue is
asked, no schedule is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.wire.codes import Reason, Side
from signer.http import Answer
from signer.ratelimit import PAUSE_NS, pause_ns
from signer.responses import Verdict

# What every order meets; a member of an enum is looked up through its class, slowly.
_OK, _BUY = int(Reason.OK), int(Side.BUY)
_POST_ONLY_MODE, _CLOSED_ONLY = int(Reason.VENUE_POST_ONLY_MODE), int(Reason.VENUE_CLOSED_ONLY)
_HEARTBEAT_GAP = int(Reason.HEARTBEAT_GAP)
AUTH_REFUSALS_MAX = 5
NEVER_NS = 1 << 62
_UNAUTHORIZED = 401
_THROTTLED = 429
_LATCHING = frozenset((Reason.VENUE_BANNED, Reason.VENUE_VERSION, Reason.HALT_HASH_MISMATCH))
_CLOSED = frozenset((Reason.VENUE_CANCEL_ONLY, Reason.VENUE_DISABLED))


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """How long we wait where the venue does not say; clock_skew_ns_max 0 = do not compare."""

    post_only_window_ns: int
    closed_retry_ns: int
    clock_skew_ns_max: int = 0


class Admission:
    """The state of all that may stop new orders. latch, log_reason: a Reason, or OK."""

    __slots__ = (
        "_auth_refusals",
        "_clock_reason",
        "_is_closed_only",
        "_pause_reason",
        "_paused_until_ns",
        "_post_only_until_ns",
        "_settings",
        "beat_until_ns",
        "latch",
        "log_reason",
    )

    def __init__(self, settings: AdmissionSettings) -> None:
        self._settings = settings
        self._auth_refusals = 0  # in a row
        self._clock_reason = int(Reason.CLOCK_SKEW) if settings.clock_skew_ns_max else _OK
        self._is_closed_only = False
        self._pause_reason = _OK
        self._paused_until_ns = 0
        self._post_only_until_ns = 0
        self.beat_until_ns = NEVER_NS
        self.latch = _OK
        self.log_reason = _OK

    def objection(self, side: int, post_only: int, now_ns: int) -> int:
        """Return the Reason why such an order may not be sent now, or OK. Hot path."""
        if self.latch:
            return self.latch
        if now_ns < self._paused_until_ns:
            return self._pause_reason
        if now_ns < self._post_only_until_ns and not post_only:
            return _POST_ONLY_MODE
        if now_ns > self.beat_until_ns:
            return _HEARTBEAT_GAP
        if self._is_closed_only and side == _BUY:
            return _CLOSED_ONLY
        return self._clock_reason or self.log_reason

    def on_answer(self, answer: Answer) -> None:
        """Count credentials refused in a row; any other answer of the venue ends the row."""
        if answer.status == _UNAUTHORIZED:
            self._auth_refusals += 1
            if self._auth_refusals >= AUTH_REFUSALS_MAX:
                self.latch = self.latch or Reason.VENUE_AUTH
        elif answer.status:
            self._auth_refusals = 0

    def on_verdict(self, verdict: Verdict, answer: Answer) -> None:
        """Take what the answer to an order says beyond that order."""
        reason = Reason(verdict.reason)
        now_ns, settings = answer.answered_ns, self._settings
        asked_ns = pause_ns(answer) or verdict.retry_s * 1_000_000_000
        if reason in _LATCHING:
            self.latch = self.latch or reason
        elif reason == Reason.VENUE_CLOSED_ONLY:
            self._is_closed_only = True
        elif reason == Reason.VENUE_RESTARTING:
            until_ns = now_ns + (asked_ns or PAUSE_NS)
            self._pause(reason, until_ns)
            self._post_only_until_ns = until_ns + settings.post_only_window_ns
        elif reason == Reason.VENUE_POST_ONLY_MODE:
            self._post_only_until_ns = now_ns + (asked_ns or settings.post_only_window_ns)
        elif reason in _CLOSED:
            self._pause(reason, now_ns + (asked_ns or settings.closed_retry_ns))
        elif reason == Reason.VENUE_RATE and answer.status == _THROTTLED:
            self._pause(reason, now_ns + (asked_ns or PAUSE_NS))

    def on_clock(self, skew_ns: int) -> None:
        """Take how far apart the clocks are for certain."""
        limit_ns = self._settings.clock_skew_ns_max
        is_skewed = limit_ns > 0 and abs(skew_ns) > limit_ns
        self._clock_reason = int(Reason.CLOCK_SKEW) if is_skewed else _OK

    def _pause(self, reason: Reason, until_ns: int) -> None:
        if until_ns >= self._paused_until_ns:
            self._pause_reason, self._paused_until_ns = reason, until_ns
