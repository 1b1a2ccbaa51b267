"""The venue's seconds: L2 signatures carry a timestamp the venue compares with its own clock."""

from __future__ import annotations

from signer.http import Answer, Outcome

_NS_PER_S = 1_000_000_000
# `GET /time` has whole seconds: a smaller difference is rounding, not skew.
SKEW_S_MIN = 2


class VenueClock:
    """How far the venue's clock is ahead of ours, in seconds."""

    __slots__ = ("skew_s",)

    def __init__(self) -> None:
        self.skew_s = 0

    def venue_s(self, now_ns: int) -> int:
        """Return the venue's present in epoch seconds. Hot path."""
        return now_ns // _NS_PER_S + self.skew_s

    def on_answer(self, answer: Answer) -> bool:
        """Take the answer to `GET /time`; return whether it was a time."""
        text = answer.body.strip()
        if answer.outcome != Outcome.ANSWERED or answer.status != 200 or len(text) > 12:
            return False
        if not text.isdigit():
            return False
        # The venue read its clock between our send and its answer: compare with the middle.
        middle_ns = (answer.sent_ns + answer.answered_ns) // 2
        skew_s = int(text) - middle_ns // _NS_PER_S
        self.skew_s = skew_s if abs(skew_s) >= SKEW_S_MIN else 0
        return True
