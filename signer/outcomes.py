"""How orders go on after they were signed: each change of state is made, logged and reported here.

Evidence comes from three places: the answer to the order's own request, the answer to a cancel, and
look-ups. Whoever brings it, the order log has it before the core does.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.bus.counters import CounterFile
from engine.wire.codes import Kind, OrderStatus, Reason, Side
from signer import tally
from signer.amounts import ONE
from signer.cancels import Cancels
from signer.http import Answer
from signer.log_format import Entry, EntryKind
from signer.look_ups import LookUps
from signer.order_log import OrderLog
from signer.orders import Orders, OrderState, SentOrder
from signer.rails.port import Rail
from signer.reports import Reporter
from signer.responses import Fate, Verdict, classify_order


class Outcomes:
    """The only writer of an order's state."""

    __slots__ = (
        "_counters",
        "_log",
        "_now_ns",
        "_orders",
        "_report",
        "_run_id",
        "cancels",
        "look_ups",
    )

    def __init__(
        self,
        rail: Rail,
        orders: Orders,
        log: OrderLog,
        report: Reporter,
        counters: CounterFile,
        now_ns: Callable[[], int],
        *,
        run_id: int,
        lifetime_ns: int,
    ) -> None:
        """lifetime_ns: how long a request we gave up may still arrive at the venue."""
        self._orders = orders
        self._log = log
        self._report = report
        self._counters = counters
        self._now_ns = now_ns
        self._run_id = run_id
        self.look_ups = LookUps(rail, now_ns, lifetime_ns, self.on_evidence)
        self.cancels = Cancels(rail, orders, self.look_ups, now_ns, self.on_evidence)

    def on_answer(self, order: SentOrder, answer: Answer) -> None:
        """Take the answer to the order's own request."""
        order.stamps = order.stamps._replace(sent_ns=answer.sent_ns, answered_ns=answer.answered_ns)
        if order.state is OrderState.ENDED:  # a cancel of everything was answered first
            return
        verdict = classify_order(answer, order.order_hash)
        if verdict.fate == Fate.ACCEPTED:
            self._accept(order, verdict.status, verdict.making, verdict.taking)
        elif verdict.fate == Fate.REFUSED:
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
            self._finish(order, verdict.matched, verdict.reason)
        elif verdict.fate == Fate.REFUSED:
            if was_live:
                self._finish(order, verdict.matched, verdict.reason)
            else:
                self.reject(order, verdict.reason, 0)
        else:
            if not was_live:
                usd = verdict.matched * order.price // ONE
                making, taking = usd, verdict.matched
                if order.side == Side.SELL:
                    making, taking = taking, making
                self._accept(order, verdict.status, making, taking)
            elif verdict.status != OrderStatus.MATCHED and order.cancel_is_wanted:
                self.cancels.repeat(order)
            if verdict.status == OrderStatus.MATCHED and order.state is OrderState.LIVE:
                self._finish(order, verdict.matched, Reason.FILLED)

    def _accept(self, order: SentOrder, status: int, making: int, taking: int) -> None:
        self._orders.move(order, OrderState.LIVE)
        self.record(EntryKind.ACKED, order)
        self._counters.add(tally.ACKS)
        self._report.ack(
            order.instrument, order.trace, order.order_id, making, taking, order.stamps, status
        )
        if order.is_at_once:
            if status == OrderStatus.MATCHED:
                self._orders.move(order, OrderState.ENDED)
            else:
                self.look_ups.begin(order)
        elif order.cancel_is_wanted and status != OrderStatus.MATCHED:
            self.cancels.cancel(order)

    def reject(self, order: SentOrder, reason: int, http_status: int) -> None:
        """End an order that certainly is not live."""
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

    def record(
        self,
        kind: EntryKind,
        order: SentOrder,
        *,
        reason: int = 0,
        http_status: int = 0,
        matched: int = -1,
        body: bytes = b"",
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
                matched,
                body,
            )
        )
