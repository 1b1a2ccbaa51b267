"""The venue's clock: L2 signatures carry its seconds, and a clock that is far off is a danger.

`GET /time` has whole seconds, but each answer bounds the difference: the venue read its clock
between our send and its answer. The bounds of several answers together are much closer than a
second, most of all when the question arrives around the turn of the venue's second.
"""

from __future__ import annotations

from signer.http import Answer, Outcome

_NS_PER_S = 1_000_000_000
DRIFT_PPM = 200  # how fast two clocks may move apart between two answers
PRECISION_NS = 100_000_000  # bounds closer than this are not narrowed further
NARROWINGS_MAX = 6  # questions in a row
CHECK_NS = 60_000_000_000
RETRY_NS = 1_000_000_000
SPACING_NS_MIN = 100_000_000  # between two questions


class VenueClock:
    """How far the venue's clock is ahead of ours, as bounds in nanoseconds."""

    __slots__ = ("_high_ns", "_low_ns", "_measured_ns", "_narrowings", "due_ns")

    def __init__(self) -> None:
        self._low_ns = 0
        self._high_ns = 0
        self._measured_ns = 0  # 0 = never
        self._narrowings = 0
        self.due_ns = 0  # when to ask next

    @property
    def is_known(self) -> bool:
        """Whether the clocks have been compared."""
        return self._measured_ns > 0

    @property
    def skew_ns(self) -> int:
        """The smallest difference that the answers allow, with its sign; 0 if none is certain."""
        return max(self._low_ns, 0) or min(self._high_ns, 0)

    def venue_s(self, now_ns: int) -> int:
        """Return the venue's present in epoch seconds. Hot path.

        Ours, unless it is certain that the clocks differ: then the middle of the bounds is added.
        """
        if self._low_ns > 0 or self._high_ns < 0:
            now_ns += (self._low_ns + self._high_ns) // 2
        return now_ns // _NS_PER_S

    def asked(self, now_ns: int) -> None:
        """Note that the question is on its way; asked again soon if no answer comes."""
        self.due_ns = now_ns + RETRY_NS

    def on_answer(self, answer: Answer) -> bool:
        """Take the answer to `GET /time`; return whether it was a time."""
        text = answer.body.strip()
        if answer.outcome != Outcome.ANSWERED or answer.status != 200:
            return False
        if not text.isdigit() or len(text) > 12:
            return False
        venue_ns = int(text) * _NS_PER_S
        low_ns = venue_ns - answer.answered_ns
        high_ns = venue_ns + _NS_PER_S - answer.sent_ns
        if self._measured_ns:
            moved_ns = (answer.answered_ns - self._measured_ns) * DRIFT_PPM // 1_000_000
            closer = max(low_ns, self._low_ns - moved_ns), min(high_ns, self._high_ns + moved_ns)
            if closer[0] <= closer[1]:  # else a clock was set: only the newest answer counts
                low_ns, high_ns = closer
        self._low_ns, self._high_ns = low_ns, high_ns
        self._measured_ns = answer.answered_ns
        self._plan(answer.answered_ns, (answer.answered_ns - answer.sent_ns) // 2)
        return True

    def _plan(self, now_ns: int, way_ns: int) -> None:
        """Set when to ask next: so that the venue reads its clock at the turn of its second.

        way_ns: half the last round trip. A question that arrives there halves what is unknown; one
        that is sent there arrives later, and hardly more than the half already known is learnt.
        """
        if self._high_ns - self._low_ns <= PRECISION_NS or self._narrowings >= NARROWINGS_MAX:
            self._narrowings = 0
            self.due_ns = now_ns + CHECK_NS
            return
        self._narrowings += 1
        arrival_ns = now_ns + way_ns + (self._low_ns + self._high_ns) // 2
        until_turn_ns = _NS_PER_S - arrival_ns % _NS_PER_S
        is_soon = until_turn_ns < SPACING_NS_MIN
        self.due_ns = now_ns + until_turn_ns + is_soon * _NS_PER_S
