"""A slow look at what rests: fills are told to the core and not to the signer.

Without it an order that was filled counts as open here for ever, and a halt or a gap in the
heartbeats would have to look all of them up at once.
"""

from __future__ import annotations

from collections import deque

from signer.look_ups import LookUps
from signer.orders import OrderState, SentOrder

REST_NS = 30_000_000_000  # how long an order rests before it is looked at, and between two looks
PACE_NS = 100_000_000  # between two looks at all: a fifth of what the venue's route allows


class Sweep:
    """The resting orders, the one that has been looked at least lately first."""

    __slots__ = ("_due_ns", "_look_ups", "_resting")

    def __init__(self, look_ups: LookUps) -> None:
        self._look_ups = look_ups
        self._resting: deque[tuple[int, SentOrder]] = deque()
        self._due_ns = 0

    def note(self, order: SentOrder, now_ns: int) -> None:
        """Take an order that rests at the venue from now on."""
        self._resting.append((now_ns + REST_NS, order))

    def work(self, now_ns: int) -> int:
        """Look at one order whose turn it is; return how many were looked at. Hot path."""
        if not self._resting or now_ns < self._due_ns or now_ns < self._resting[0][0]:
            return 0
        order = self._resting.popleft()[1]
        if order.state is OrderState.ENDED:
            return 1
        self._due_ns = now_ns + PACE_NS
        self._look_ups.begin(order)
        self.note(order, now_ns)
        return 1
