"""Orders whose outcome was not seen, asked for by hash until there is evidence.

Time and transport errors prove nothing. An order is alive if the venue knows it, and dead if the
venue did not know it twice, at least one request lifetime apart: by then its request can no longer
arrive.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from engine.wire.codes import OrderStatus, Reason
from signer.http import Answer
from signer.orders import OrderState, SentOrder
from signer.rails.port import Rail
from signer.responses import Fate, Verdict, classify_look_up

RETRY_NS_MIN = 100_000_000
RETRY_NS_MAX = 2_000_000_000
IN_FLIGHT_MAX = 8


class LookUps:
    """What to ask for, and when."""

    __slots__ = (
        "_due",
        "_in_flight",
        "_lifetime_ns",
        "_now_ns",
        "_on_evidence",
        "_rail",
        "_ticket",
        "asked",
    )

    def __init__(
        self,
        rail: Rail,
        now_ns: Callable[[], int],
        lifetime_ns: int,
        on_evidence: Callable[[SentOrder, Verdict], None],
    ) -> None:
        """lifetime_ns: how long a request may still arrive at the venue after we gave it up."""
        self._rail = rail
        self._now_ns = now_ns
        self._lifetime_ns = lifetime_ns
        self._on_evidence = on_evidence
        self._due: list[tuple[int, int, SentOrder]] = []
        self._in_flight = 0
        self._ticket = itertools.count()  # orders due at one moment do not compare
        self.asked = 0

    @property
    def pending(self) -> int:
        """Orders still without evidence."""
        return len(self._due) + self._in_flight

    def begin(self, order: SentOrder, delay_ns: int = 0) -> None:
        """Ask for an order until there is evidence; a second call changes nothing."""
        if order.is_looked_up:
            return
        order.is_looked_up = True
        order.asks = 0
        order.missing_ns = 0
        self._push(order, delay_ns)

    def work(self, now_ns: int) -> int:
        """Send the requests that are due; return how many."""
        sent = 0
        while self._due and self._due[0][0] <= now_ns and self._in_flight < IN_FLIGHT_MAX:
            order = heapq.heappop(self._due)[2]
            if order.state is OrderState.ENDED:
                order.is_looked_up = False
                continue
            self._in_flight += 1
            self.asked += 1
            sent += 1
            self._rail.look_up(order.order_hash, partial(self._on_answer, order))
        return sent

    def _on_answer(self, order: SentOrder, answer: Answer) -> None:
        self._in_flight -= 1
        if order.state is OrderState.ENDED:
            order.is_looked_up = False
            return
        verdict = classify_look_up(answer, order.order_hash)
        if verdict.fate == Fate.UNKNOWN or self._is_pending(order, verdict):
            self._retry(order)
        elif verdict.reason == Reason.VENUE_NOT_FOUND:
            self._on_missing(order, verdict)
        else:
            order.is_looked_up = False
            self._on_evidence(order, verdict)

    @staticmethod
    def _is_pending(order: SentOrder, verdict: Verdict) -> bool:
        """Whether the venue has an order that must end at once, and has not ended it."""
        return (
            order.is_at_once
            and verdict.fate == Fate.ACCEPTED
            and verdict.status != OrderStatus.MATCHED
        )

    def _on_missing(self, order: SentOrder, verdict: Verdict) -> None:
        now_ns = self._now_ns()
        order.missing_ns = order.missing_ns or now_ns
        left_ns = order.missing_ns + self._lifetime_ns - now_ns
        if left_ns > 0:
            self._push(order, left_ns)
        else:
            order.is_looked_up = False
            self._on_evidence(order, verdict)

    def _retry(self, order: SentOrder) -> None:
        self._push(order, min(RETRY_NS_MIN << min(order.asks, 8), RETRY_NS_MAX))
        order.asks += 1

    def _push(self, order: SentOrder, delay_ns: int) -> None:
        heapq.heappush(self._due, (self._now_ns() + delay_ns, next(self._ticket), order))
