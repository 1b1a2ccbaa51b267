"""The way of one order: policy, signature, order log, SIGNED to the core, bytes to the venue.

Nothing here is a process, a file or a socket: the duty walks real orders along this path, and the
dry run walks orders along it that are nobody's. What is shown as a counter is a plain number here,
for it is written down when the bytes have left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from engine.wire.codes import Reason, Tif
from signer.admission import Admission
from signer.commands import NewOrder
from signer.http import Answer, AnswerHandler
from signer.instruments import Instrument
from signer.ladder import Ladder
from signer.log_format import Entry, EntryKind
from signer.orders import Orders, SentOrder
from signer.policy import Policy
from signer.ratelimit import RateLimits
from signer.reports import Reporter, Stamps
from signer.templates import NO_REQUESTS, Requests

_SIGNED = int(EntryKind.SIGNED)
_OK, _ORDER_LOG = int(Reason.OK), int(Reason.ORDER_LOG)
_ORDER_AGE, _RING_FULL = int(Reason.ORDER_AGE), int(Reason.RING_FULL)
_POLICY_TOKEN, _VENUE_RATE = int(Reason.POLICY_TOKEN), int(Reason.VENUE_RATE)
_AT_ONCE = frozenset((int(Tif.FOK), int(Tif.FAK)))


class Journal(Protocol):
    """Where an order is written down before it is sent."""

    def append(self, entry: Entry) -> bool:
        """Write an entry; False when it is not certain to survive this process. Hot path."""
        ...


class Sender(Protocol):
    """Where an order's bytes go."""

    def send_order(
        self, body: bytes, handler: AnswerHandler, ready: Requests = NO_REQUESTS
    ) -> None:
        """Send the exact body of a signed order, in the ready request if it suits. Hot path."""
        ...


class OrderPath:
    """What an order passes, in order.

    hold: why no order may be sent at all, or OK; the owner's to change.
    sent_count, sign_ns_last, sign_ns_max: what became of the orders so far.
    """

    __slots__ = (
        "_admission",
        "_age_ns_max",
        "_journal",
        "_ladder",
        "_limits",
        "_now_ns",
        "_on_answer",
        "_on_refused",
        "_on_unsent",
        "_orders",
        "_policy",
        "_report",
        "_run_id",
        "_sender",
        "_strategy_keys",
        "hold",
        "sent_count",
        "sign_ns_last",
        "sign_ns_max",
    )

    def __init__(
        self,
        policy: Policy,
        admission: Admission,
        limits: RateLimits,
        ladder: Ladder,
        orders: Orders,
        journal: Journal,
        report: Reporter,
        sender: Sender,
        now_ns: Callable[[], int],
        *,
        run_id: int,
        age_ns_max: int,
        strategy_keys: Sequence[int],
        on_answer: Callable[[SentOrder, Answer], None],
        on_refused: Callable[[NewOrder, int, int], None],
        on_unsent: Callable[[SentOrder, int], None],
    ) -> None:
        """age_ns_max: how long ago an order may have been decided when it is sent.

        strategy_keys: of each strategy's name, by its number; 256 of them.

        on_answer: takes the venue's answer to an order.  on_refused: takes an order that is not
        signed or not in the journal, the reason, and when it was polled.  on_unsent: takes one that
        is in the journal and was not sent after all, and the reason.
        """
        self._policy = policy
        self._admission = admission
        self._age_ns_max = age_ns_max
        self._limits = limits
        self._ladder = ladder
        self._orders = orders
        self._journal = journal
        self._report = report
        self._sender = sender
        self._strategy_keys = strategy_keys
        self._now_ns = now_ns
        self._run_id = run_id
        self._on_answer = on_answer
        self._on_refused = on_refused
        self._on_unsent = on_unsent
        self.hold = _OK
        self.sent_count = 0
        self.sign_ns_last = 0
        self.sign_ns_max = 0

    def send(self, order: NewOrder, instrument: Instrument | None, polled_ns: int) -> None:
        """Hot path. Sign a new order and send it, or say why not."""
        ready = self._sign(order, instrument, polled_ns)
        if ready is not None:
            sent, requests = ready
            self._sender.send_order(sent.body, partial(self._on_answer, sent), requests)
            self._count(sent)

    def sign(
        self, order: NewOrder, instrument: Instrument | None, polled_ns: int
    ) -> SentOrder | None:
        """Hot path. Return a new order, signed, logged, announced and now to be sent, or None."""
        ready = self._sign(order, instrument, polled_ns)
        if ready is None:
            return None
        self._count(ready[0])
        return ready[0]

    def _sign(
        self, order: NewOrder, instrument: Instrument | None, polled_ns: int
    ) -> tuple[SentOrder, Requests] | None:
        """Hot path. Do as `sign` says; return the requests that are ready for the order as well."""
        began_ns = self._now_ns()
        reason = self.hold or self._objection(order, instrument, began_ns)
        if reason or instrument is None:
            self._on_refused(order, reason, polled_ns)
            return None
        reason, amounts, stake = self._policy.check(
            order, instrument.tick, instrument.size_min, polled_ns
        )
        if not reason and not self._limits.take_order(began_ns):
            self._policy.spending.release(stake, began_ns)
            reason = _VENUE_RATE
        if reason:
            self._on_refused(order, reason, polled_ns)
            return None
        order_hash, body, _, _, requests = self._ladder.sign(
            order, instrument.templates[order.side], instrument.tick, amounts, began_ns
        )
        signed_ns = self._now_ns()
        if not self._journal.append(
            Entry(
                _SIGNED,
                order.attempt,
                order.instrument,
                self._run_id,
                order.order_id,
                signed_ns,
                order_hash,
                _OK,
                0,
                self._strategy_keys[order.strategy],
                -1,
                body,
            )
        ):
            self._policy.spending.release(stake, signed_ns)
            self._on_refused(order, _ORDER_LOG, polled_ns)
            return None
        logged_ns = self._now_ns()
        stamps = Stamps(polled_ns, signed_ns, logged_ns)
        # Asked again: the journal may have waited for its disk.
        is_late = logged_ns - order.decided_ns > self._age_ns_max
        is_announced = not is_late and self._report.signed(
            order.instrument,
            order.trace,
            order.order_id,
            order_hash,
            amounts.maker,
            amounts.taker,
            stamps,
            order.attempt,
        )
        sent = SentOrder(
            order.order_id,
            order.attempt,
            order_hash,
            order.instrument,
            order.trace,
            order.side,
            order.price,
            order.size,
            stake,
            order.tif in _AT_ONCE,
            body,
            signed_ns,
            stamps,
        )
        self._orders.add(sent)
        if not is_announced:
            self._on_unsent(sent, _ORDER_AGE if is_late else _RING_FULL)
            return None
        return sent, requests

    def _objection(self, order: NewOrder, instrument: Instrument | None, now_ns: int) -> int:
        """Hot path."""
        if instrument is None:
            return _POLICY_TOKEN
        limit_ns = self._age_ns_max
        if not -limit_ns <= now_ns - order.decided_ns <= limit_ns:
            return _ORDER_AGE  # this process stood still, or the core's clock is another one
        return instrument.refusal or self._admission.objection(order.side, order.post_only, now_ns)

    def _count(self, sent: SentOrder) -> None:
        """What nobody waits for: its turn comes when the bytes have left."""
        self.sent_count += 1
        self.sign_ns_last = signing_ns = sent.stamps.signed_ns - sent.stamps.polled_ns
        if signing_ns > self.sign_ns_max:
            self.sign_ns_max = signing_ns
