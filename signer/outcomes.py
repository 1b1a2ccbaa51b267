"""How orders go on after they were signed: each change of state is made, logged and reported here.

Evidence comes from three places: the answer to the order's own request, the answer to a cancel, and
look-ups. Whoever brings it, the order log has it before the core does. What an order's answer says
of the venue's mood goes to `Admission`, and of money that stayed ours to `Spending`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine.bus.counters import CounterFile
from engine.wire.codes import Kind, OrderStatus, Reason, Side
from signer import tally
from signer.admission import Admission
from signer.amounts import ONE
from signer.cancels import Cancels
from signer.http import Answer
from signer.log_format import Entry, EntryKind
from signer.look_ups import LookUps
from signer.order_log import OrderLog
from signer.orders import Orders, OrderState, SentOrder
from signer.rails.port import Rail
from signer.ratelimit import RateLimits
from signer.reports import Reporter
from signer.responses import Fate, Verdict, classify_look_up, classify_order
from signer.spending import Spending
from signer.sweep import Sweep

_UNAUTHORIZED = 401
SETTLING_MAX = 4  # look-ups on the way, beyond which nobody asks how much a cancelled order filled


class Outcomes:
    """The only writer of an order's state."""

    __slots__ = (
        "_admission",
        "_counters",
        "_is_quiet",
        "_limits",
        "_log",
        "_now_ns",
        "_orders",
        "_rail",
        "_report",
        "_resend_age_ns_max",
        "_run_id",
        "_spending",
        "cancels",
        "look_ups",
        "sweep",
    )

    def __init__(
        self,
        rail: Rail,
        orders: Orders,
        log: OrderLog,
        report: Reporter,
        counters: CounterFile,
        admission: Admission,
        limits: RateLimits,
        spending: Spending,
        now_ns: Callable[[], int],
        *,
        run_id: int,
        lifetime_ns: int,
        resend_age_ns_max: int,
        is_quiet: Callable[[], bool],
    ) -> None:
        """lifetime_ns: how long a request we gave up may still arrive at the venue.

        resend_age_ns_max: an order signed longer ago is not sent again.
        is_quiet: whether nothing that could trade may be sent, the same bytes included.
        """
        self._rail = rail
        self._orders = orders
        self._log = log
        self._report = report
        self._counters = counters
        self._admission = admission
        self._limits = limits
        self._spending = spending
        self._now_ns = now_ns
        self._run_id = run_id
        self._resend_age_ns_max = resend_age_ns_max
        self._is_quiet = is_quiet
        self.look_ups = LookUps(
            rail,
            limits,
            now_ns,
            lifetime_ns,
            self.on_evidence,
            self._send_again,
            lambda order: self.cancels.cancel(order),
        )
        self.sweep = Sweep(self.look_ups)
        self.cancels = Cancels(rail, limits, orders, self.look_ups, now_ns, self.on_evidence)

    def on_answer(self, order: SentOrder, answer: Answer) -> None:
        """Take the answer to the order's own request."""
        self.on_verdict(order, classify_order(answer, order.order_hash), answer)

    def on_verdict(self, order: SentOrder, verdict: Verdict, answer: Answer) -> None:
        """Take what an answer, its own or that of its batch, means for an order."""
        order.stamps = order.stamps._replace(sent_ns=answer.sent_ns, answered_ns=answer.answered_ns)
        self._admission.on_verdict(verdict, answer)
        if order.state is OrderState.ENDED:  # a cancel of everything was answered first
            return
        if verdict.fate == Fate.ACCEPTED:
            self._accept(order, verdict.status, verdict.making, verdict.taking)
        elif verdict.fate == Fate.REFUSED:
            if answer.status != _UNAUTHORIZED or not self._retry_auth(order):
                self.reject(order, verdict.reason, answer.status)
        else:
            self._counters.add(tally.REQUEST_ERRORS)
            self.doubt(order, verdict.reason, answer.status)
            if order.cancel_is_wanted:
                self.cancels.cancel(order)

    def on_evidence(self, order: SentOrder, verdict: Verdict) -> None:
        """Take what a look-up or a cancel has proved."""
        was_live = order.state is OrderState.LIVE
        if verdict.fate == Fate.ENDED:
            if order.is_doomed and verdict.matched < 0 and not order.is_canceled:
                order.is_canceled = True  # how much it filled is asked for first
                self.look_ups.begin(order)
            else:
                self._finish(order, verdict.matched, verdict.reason)
        elif verdict.fate == Fate.REFUSED:
            if was_live or order.is_known:  # it may have filled
                self._finish(order, verdict.matched, verdict.reason)
            else:
                self.reject(order, verdict.reason, 0)
        else:
            order.denied_ns = 0
            if not was_live:
                usd = verdict.matched * order.price // ONE
                making, taking = usd, verdict.matched
                if order.side == Side.SELL:
                    making, taking = taking, making
                self._accept(order, verdict.status, making, taking)
            elif verdict.status != OrderStatus.MATCHED and order.cancel_is_wanted:
                self.cancels.repeat(order)
            is_resting = not (was_live or order.is_at_once)
            if verdict.status == OrderStatus.MATCHED and (
                is_resting or order.state is OrderState.LIVE
            ):
                self._finish(order, verdict.matched, Reason.FILLED)

    def revive(self, order: SentOrder) -> None:
        """Cancel an order that is alive after its end, by hash, until it has ended again."""
        self._counters.add(tally.ORDERS_REVIVED)
        self._spending.restore(order.released, order.signed_ns)
        order.released = 0
        order.doom()
        self._orders.move(order, OrderState.LIVE)
        self.record(EntryKind.UNKNOWN, order, reason=Reason.REVIVED)
        self.cancels.cancel(order)

    def _retry_auth(self, order: SentOrder) -> bool:
        """Send an order again whose credentials were refused; False = let it go.

        The venue refuses good credentials now and then. It has not looked at the order, and gets
        the same bytes once more, at once.
        """
        if order.auth_retried or order.cancel_is_wanted or not self._may_send_again(order):
            return False
        order.auth_retried = True
        self._counters.add(tally.ORDERS_RESENT)
        self._rail.send_order(order.body, partial(self.on_answer, order))
        return True

    def _send_again(self, order: SentOrder) -> bool:
        """Send the bytes of an order that was not found again; False where that is not allowed."""
        if order.cancel_is_wanted or not self._may_send_again(order):
            return False
        self._counters.add(tally.ORDERS_RESENT)
        self._rail.send_order(order.body, partial(self._on_sent_again, order))
        return True

    def _may_send_again(self, order: SentOrder) -> bool:
        now_ns = self._now_ns()
        return (
            bool(order.body)
            and now_ns - order.signed_ns <= self._resend_age_ns_max
            and not self._is_quiet()
            and not self._admission.objection(order.side, 0, now_ns)
            and self._limits.take_order(now_ns)
        )

    def _on_sent_again(self, order: SentOrder, answer: Answer) -> None:
        verdict = classify_order(answer, order.order_hash)
        self._admission.on_verdict(verdict, answer)
        if verdict.fate == Fate.ACCEPTED:
            self.look_ups.on_accepted_again(order)
            if order.state is not OrderState.LIVE:
                self._accept(order, verdict.status, verdict.making, verdict.taking)
        else:
            self.look_ups.on_sent_again(order, verdict)

    def _accept(self, order: SentOrder, status: int, making: int, taking: int) -> None:
        self._orders.move(order, OrderState.LIVE)
        at_once = taking if order.side == Side.BUY else making
        is_matched = status == OrderStatus.MATCHED
        self.record(EntryKind.ACKED, order, matched=at_once if is_matched else -1)
        self._counters.add(tally.ACKS)
        self._report.ack(
            order.instrument, order.trace, order.order_id, making, taking, order.stamps, status
        )
        if is_matched and (order.is_at_once or at_once >= order.size):
            self._orders.move(order, OrderState.ENDED)
            self._settle(order, at_once)
        elif order.is_at_once:
            self.look_ups.begin(order)
        elif order.cancel_is_wanted:
            self.cancels.cancel(order)
        else:
            self.sweep.note(order, self._now_ns())

    def reject(self, order: SentOrder, reason: int, http_status: int) -> None:
        """End an order that certainly is not live."""
        self._release(order, order.stake)
        self._orders.move(order, OrderState.ENDED)
        self.record(EntryKind.REJECTED, order, reason=reason, http_status=http_status)
        self._counters.add(tally.REJECTS)
        self._report.refusal(
            Kind.REJECT,
            order.instrument,
            order.trace,
            order.order_id,
            reason,
            http_status,
            order.stamps,
        )

    def doubt(self, order: SentOrder, reason: int, http_status: int) -> None:
        """Call an order UNKNOWN and look it up until there is evidence."""
        self._orders.move(order, OrderState.UNKNOWN)
        self.record(EntryKind.UNKNOWN, order, reason=reason, http_status=http_status)
        self._counters.add(tally.UNKNOWNS)
        self._report.refusal(
            Kind.UNKNOWN,
            order.instrument,
            order.trace,
            order.order_id,
            reason,
            http_status,
            order.stamps,
        )
        self.look_ups.begin(order)

    def _finish(self, order: SentOrder, matched: int, reason: int) -> None:
        self._orders.move(order, OrderState.ENDED)
        self.record(EntryKind.DONE, order, reason=reason, matched=matched)
        self._counters.add(tally.DONES)
        self._report.done(order.instrument, order.trace, order.order_id, matched, reason)
        if matched >= 0:
            self._settle(order, matched)
        elif self._spending.is_limited and self._rail.looking_up < SETTLING_MAX:
            self._rail.look_up(order.order_hash, partial(self._on_final, order))

    def _on_final(self, order: SentOrder, answer: Answer) -> None:
        """How much a cancelled order had filled; asked once, and all of it counts until known."""
        verdict = classify_look_up(answer, order.order_hash)
        if verdict.fate == Fate.ENDED and verdict.matched >= 0:
            self.record(EntryKind.DONE, order, reason=verdict.reason, matched=verdict.matched)
            self._settle(order, verdict.matched)

    def _settle(self, order: SentOrder, matched: int) -> None:
        """Give back what an order that is over has not spent."""
        unfilled = max(0, order.size - matched)
        self._release(order, order.stake * unfilled // order.size)

    def _release(self, order: SentOrder, stake: int) -> None:
        self._spending.release(stake - order.released, order.signed_ns)
        order.released = stake

    def record(
        self,
        kind: EntryKind,
        order: SentOrder,
        *,
        reason: int = 0,
        http_status: int = 0,
        matched: int = -1,
    ) -> bool:
        """Write an entry of an order to the log; False when it is not certain to be there."""
        return self._log.append(
            Entry(
                kind,
                order.attempt,
                order.instrument,
                self._run_id,
                order.order_id,
                self._now_ns(),
                order.order_hash,
                reason,
                http_status,
                0,
                matched,
            )
        )
