"""Cancels: repeated until there is evidence, for a cancel may be repeated and an order may not.

The venue's list is evidence for the orders in it. One that is in neither list, after a cancel of
everything or of itself, is looked up, and cancelled by hash while it is found alive.

An order whose own request has no answer yet is cancelled when it has one: before, the venue may not
know it, and "not found" would prove nothing. A cancel without a token waits, and the last tokens
are for a cancel of everything.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from engine.wire.codes import Reason
from signer.http import Answer
from signer.look_ups import LookUps
from signer.orders import Orders, OrderState, SentOrder
from signer.rails.port import Rail
from signer.ratelimit import RateLimits
from signer.responses import Fate, Verdict, classify_cancel, is_gone, is_held

RETRY_NS = 250_000_000
_CANCELED = Verdict(Fate.ENDED, Reason.CANCELED)


class Cancels:
    """Cancels of single orders and of everything."""

    __slots__ = (
        "_all_due_ns",
        "_all_is_in_flight",
        "_due",
        "_limits",
        "_look_ups",
        "_now_ns",
        "_on_evidence",
        "_orders",
        "_rail",
        "_ticket",
        "all_sent",
        "sent",
    )

    def __init__(
        self,
        rail: Rail,
        limits: RateLimits,
        orders: Orders,
        look_ups: LookUps,
        now_ns: Callable[[], int],
        on_evidence: Callable[[SentOrder, Verdict], None],
    ) -> None:
        self._rail = rail
        self._limits = limits
        self._orders = orders
        self._look_ups = look_ups
        self._now_ns = now_ns
        self._on_evidence = on_evidence
        self._due: list[tuple[int, int, SentOrder]] = []
        self._ticket = itertools.count()
        self._all_due_ns = 0
        self._all_is_in_flight = False
        self.sent = 0
        self.all_sent = 0

    @property
    def all_is_pending(self) -> bool:
        """Whether a cancel of everything has not been acknowledged yet."""
        return self._all_due_ns > 0 or self._all_is_in_flight

    def cancel(self, order: SentOrder) -> None:
        """Cancel an order, now or as soon as that is possible. Hot path."""
        order.cancel_is_wanted = True
        if order.state in (OrderState.LIVE, OrderState.UNKNOWN):
            self._send(order)

    def repeat(self, order: SentOrder) -> None:
        """Cancel an order again, a little later; once, however often it is asked for."""
        if order.cancel_is_due:
            return
        order.cancel_is_due = True
        heapq.heappush(self._due, (self._now_ns() + RETRY_NS, next(self._ticket), order))

    def cancel_all(self) -> None:
        """Cancel everything of the account; repeated until the venue says what it canceled."""
        for order in self._orders.in_state(
            OrderState.IN_FLIGHT, OrderState.UNKNOWN, OrderState.LIVE
        ):
            order.cancel_is_wanted = True
        self._send_all()

    def work(self, now_ns: int) -> int:
        """Repeat what was not answered; return how many were sent."""
        sent = 0
        while self._due and self._due[0][0] <= now_ns:
            order = heapq.heappop(self._due)[2]
            order.cancel_is_due = False
            self._send(order)
            sent += 1
        if self._all_due_ns and now_ns >= self._all_due_ns and not self._all_is_in_flight:
            self._send_all()
            sent += 1
        return sent

    def _send(self, order: SentOrder) -> None:
        if order.cancel_is_in_flight or order.state is OrderState.ENDED:
            return
        if not self._limits.take_cancel(self._now_ns()):
            self.repeat(order)
            return
        order.cancel_is_in_flight = True
        self.sent += 1
        self._rail.cancel_order(order.order_hash, partial(self._on_answer, order))

    def _send_all(self) -> None:
        now_ns = self._now_ns()
        if not self._limits.take_cancel_all(now_ns):
            self._all_due_ns = now_ns + RETRY_NS
            return
        self._all_is_in_flight = True
        self._all_due_ns = 0
        self.all_sent += 1
        resting = tuple(self._orders.in_state(OrderState.LIVE))
        self._rail.cancel_all(partial(self._on_all_answer, resting))

    def _on_answer(self, order: SentOrder, answer: Answer) -> None:
        order.cancel_is_in_flight = False
        if order.state is OrderState.ENDED:
            return
        verdict = classify_cancel(answer)
        digits = order.order_hash.hex()
        if digits in verdict.canceled:
            self._on_evidence(order, _CANCELED)
        elif verdict.is_final:
            self._on_refusal(order, verdict.refused.get(digits, ""))
        else:
            self.repeat(order)

    def _on_all_answer(self, resting: tuple[SentOrder, ...], answer: Answer) -> None:
        """resting: the orders that were live when everything was to be cancelled."""
        self._all_is_in_flight = False
        verdict = classify_cancel(answer)
        if not verdict.is_final:
            self._all_due_ns = self._now_ns() + RETRY_NS
            return
        self._limits.spend_cancels(len(verdict.canceled))
        for digits in verdict.canceled:
            order = self._orders.by_hash(digits)
            if order is not None and order.state is not OrderState.ENDED:
                self._on_evidence(order, _CANCELED)
        for digits, why in verdict.refused.items():
            order = self._orders.by_hash(digits)
            if order is not None and order.state in (OrderState.LIVE, OrderState.UNKNOWN):
                self._on_refusal(order, why)
        for order in resting:
            # In neither list: filled, or overlooked. If a look finds it, it is cancelled by hash.
            if order.state is OrderState.LIVE and order.order_hash.hex() not in verdict.refused:
                self._look_ups.begin(order)

    def _on_refusal(self, order: SentOrder, why: str) -> None:
        """An answer that did not cancel an order. why: the venue's words, "" = it did not say."""
        if is_held(why):
            self.repeat(order)
            return
        if is_gone(why):
            order.denied_ns = self._now_ns()
        else:
            self.repeat(order)
        # Filled, gone, or not there yet: only a look at it can tell.
        self._look_ups.begin(order)
