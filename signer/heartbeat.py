"""Heartbeats to the venue: it cancels everything of ours when it has not heard one for a while.

Opt-in, for the first accepted one arms it. Each carries the id that the last answer gave; one at a
time. Silence longer than the venue's patience is a gap: what was live may be cancelled, so every
live order is UNKNOWN until it is looked up, and new ones wait until the venue has answered again.
When the core falls silent the heart stops on purpose, and the venue cancels for us.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from signer.admission import NEVER_NS
from signer.http import Answer, Outcome
from signer.rails.port import Rail

RETRY_NS = 1_000_000_000
ID_CHARS_MAX = 128


class Heartbeat:
    """One chain of heartbeats. accepted: how many so far; gaps: how often the venue lost us."""

    __slots__ = (
        "_due_ns",
        "_gap_ns",
        "_heard_ns",
        "_id",
        "_interval_ns",
        "_is_corrected",
        "_is_in_flight",
        "_on_gap",
        "_rail",
        "accepted",
        "gaps",
        "is_gap",
    )

    def __init__(
        self, rail: Rail, interval_ns: int, gap_ns: int, on_gap: Callable[[], None]
    ) -> None:
        """interval_ns: 0 = no heartbeats.  gap_ns: the venue's patience.  on_gap: called once."""
        self._rail = rail
        self._interval_ns = interval_ns
        self._gap_ns = gap_ns
        self._on_gap = on_gap
        self._id = ""
        self._due_ns = 0
        self._heard_ns = 0  # when the last accepted one was sent, 0 = none yet
        self._is_in_flight = False
        self._is_corrected = False
        self.accepted = 0
        self.gaps = 0
        self.is_gap = False

    @property
    def alive_until_ns(self) -> int:
        """Until when the venue certainly keeps our orders; without heartbeats, for ever."""
        if not self._interval_ns:
            return NEVER_NS
        return 0 if self.is_gap else self._heard_ns + self._gap_ns

    def work(self, now_ns: int, is_silent: bool) -> int:
        """Notice a gap and send what is due; return whether anything was done.

        is_silent: whether the heart is to stand still.
        """
        if not self._interval_ns:
            return 0
        if self._heard_ns and not self.is_gap and now_ns > self.alive_until_ns:
            self.is_gap = True
            self.gaps += 1
            self._on_gap()
            return 1
        if is_silent or self._is_in_flight or now_ns < self._due_ns:
            return 0
        self._is_in_flight = True
        self._due_ns = now_ns + self._interval_ns
        self._rail.send_heartbeat(self._id, self._on_answer)
        return 1

    def _on_answer(self, answer: Answer) -> None:
        self._is_in_flight = False
        told = _heartbeat_id(answer)
        if answer.status == 200 and told is not None:
            self._id = told
            # The venue's patience began when it got this, which was not before it was sent.
            self._heard_ns = answer.sent_ns
            self._is_corrected = self.is_gap = False
            self.accepted += 1
            return
        if answer.status == 400 and told is not None and not self._is_corrected:
            self._id = told
            self._is_corrected = True  # at once, but only once: the next wrong id waits
            self._due_ns = answer.answered_ns
            return
        self._is_corrected = False
        self._due_ns = answer.answered_ns + min(RETRY_NS, self._interval_ns)


def _heartbeat_id(answer: Answer) -> str | None:
    """Return the id in an answer, None if there is none to be believed."""
    if answer.outcome != Outcome.ANSWERED:
        return None
    try:
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    told = content.get("heartbeat_id") if isinstance(content, dict) else None
    return told if isinstance(told, str) and len(told) <= ID_CHARS_MAX else None
