"""Orders whose outcome was not seen, asked for by hash until there is evidence.

Time and transport errors prove nothing, and "not found" alone proves little: the request may still
be on its way. An order the venue has had is never dead because it is not found. One it may never
have had is sent again, the same bytes under the same hash, which cannot make a second order:

```
looked up ──found──────────────────────────────────────────────▶ what it says
    └─not found─▶ sent again ──accepted────────────────────────▶ LIVE
                      ├─not seen─▶ looked up again
                      └─refused──▶ not found twice, a request's lifetime apart ──▶ dead
```
Where nothing may be sent (halt, old order, cancel wanted), or nothing is learnt by it (the venue
refused before it looked, or in words that are not known here), a cancel by hash takes its place.
What was on its way has arrived after a lifetime or never will; then the cancel, which would end it,
and one more look must find nothing:

```
not found ──a lifetime──▶ not found ──▶ cancelled by hash ──"not found"──▶ not found ──▶ dead
                                                └─acknowledged─▶ ended
```
Time alone ends no order: a venue that does not answer leaves it UNKNOWN.
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
from signer.ratelimit import RateLimits
from signer.responses import AT_THE_DOOR, Fate, Verdict, classify_look_up

RETRY_NS_MIN = 100_000_000
RETRY_NS_MAX = 2_000_000_000
IN_FLIGHT_MAX = 8
# What the venue has had it may be slow to find: only then is it cancelled for being missing.
KNOWN_MISSING_NS = 4_000_000_000
# The venue has answered, and would answer a third copy of the bytes in the same way.
_LEARNT_NOTHING = frozenset(
    (Reason.VENUE_REJECTED, Reason.VENUE_ERROR, Reason.VENUE_VERSION, Reason.UNREADABLE_ANSWER)
)


class LookUps:
    """What to ask for, and when."""

    __slots__ = (
        "_cancel",
        "_due",
        "_in_flight",
        "_lifetime_ns",
        "_limits",
        "_now_ns",
        "_on_evidence",
        "_rail",
        "_send_again",
        "_ticket",
        "asked",
    )

    def __init__(
        self,
        rail: Rail,
        limits: RateLimits,
        now_ns: Callable[[], int],
        lifetime_ns: int,
        on_evidence: Callable[[SentOrder, Verdict], None],
        send_again: Callable[[SentOrder], bool],
        cancel: Callable[[SentOrder], None],
    ) -> None:
        """lifetime_ns: how long a request may still arrive at the venue after we gave it up.

        send_again: sends an order's bytes again if that is allowed, and reports to `on_sent_again`.
        """
        self._rail = rail
        self._limits = limits
        self._now_ns = now_ns
        self._lifetime_ns = lifetime_ns
        self._on_evidence = on_evidence
        self._send_again = send_again
        self._cancel = cancel
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
            if self._due[0][2].state is not OrderState.ENDED and not self._limits.take_look_up(
                now_ns
            ):
                break
            order = heapq.heappop(self._due)[2]
            if order.state is OrderState.ENDED:
                order.is_looked_up = False
                continue
            self._in_flight += 1
            self.asked += 1
            sent += 1
            self._rail.look_up(order.order_hash, partial(self._on_answer, order))
        return sent

    def on_sent_again(self, order: SentOrder, verdict: Verdict) -> None:
        """Take what became of an order's bytes that were sent again, unless it was accepted."""
        self._in_flight -= 1
        if verdict.fate == Fate.REFUSED and verdict.reason not in AT_THE_DOOR:
            order.refusal = verdict.reason
            self._push(order, 0)
        else:
            order.is_known |= verdict.reason == Reason.VENUE_DUPLICATED
            order.is_strange |= verdict.reason in _LEARNT_NOTHING
            self._retry(order)

    def on_accepted_again(self, order: SentOrder) -> None:
        """An order that was sent again is live: there is nothing left to ask."""
        self._in_flight -= 1
        order.is_looked_up = False

    def _on_answer(self, order: SentOrder, answer: Answer) -> None:
        self._in_flight -= 1
        if order.state is OrderState.ENDED:
            order.is_looked_up = False
            return
        verdict = classify_look_up(answer, order.order_hash)
        if verdict.fate == Fate.UNKNOWN or self._is_pending(order, verdict):
            self._retry(order)
        elif verdict.reason == Reason.VENUE_NOT_FOUND:
            self._on_missing(order)
        else:
            self._conclude(order, verdict)

    @staticmethod
    def _is_pending(order: SentOrder, verdict: Verdict) -> bool:
        """Whether the venue has an order that must end at once, and has not ended it."""
        return (
            order.is_at_once
            and verdict.fate == Fate.ACCEPTED
            and verdict.status != OrderStatus.MATCHED
        )

    def _on_missing(self, order: SentOrder) -> None:
        if order.is_canceled:  # acknowledged, and the venue does not keep it
            self._conclude(order, Verdict(Fate.ENDED, Reason.CANCELED))
            return
        is_new = not (order.is_known or order.is_strange or order.refusal)
        if is_new and self._send_again(order):
            self._in_flight += 1
            order.missing_ns = order.denied_ns = 0
            return
        now_ns = self._now_ns()
        order.missing_ns = order.missing_ns or now_ns
        waits_ns = self._lifetime_ns
        if order.is_known and not order.denied_ns:
            waits_ns = max(waits_ns, KNOWN_MISSING_NS)
        arrived_ns = order.missing_ns + waits_ns
        if now_ns < arrived_ns:
            left_ns = arrived_ns - now_ns
            if order.is_known:  # it must be there: looked for all the while
                left_ns = min(left_ns, self._backoff_ns(order))
            self._push(order, left_ns)
        elif order.denied_ns >= arrived_ns or (order.refusal and not order.is_known):
            self._conclude(order, Verdict(Fate.REFUSED, order.refusal or Reason.VENUE_NOT_FOUND))
        else:
            self._cancel(order)
            self._retry(order)

    def _conclude(self, order: SentOrder, verdict: Verdict) -> None:
        order.is_looked_up = False
        self._on_evidence(order, verdict)

    def _retry(self, order: SentOrder) -> None:
        self._push(order, self._backoff_ns(order))

    @staticmethod
    def _backoff_ns(order: SentOrder) -> int:
        order.asks += 1
        return min(RETRY_NS_MIN << min(order.asks - 1, 8), RETRY_NS_MAX)

    def _push(self, order: SentOrder, delay_ns: int) -> None:
        heapq.heappush(self._due, (self._now_ns() + delay_ns, next(self._ticket), order))
