"""The signer at work: the core's commands in, signed orders out, evidence back.

One order, in order: policy, signature, order log, SIGNED to the core, bytes to the venue. What the
venue answers becomes ACK, REJECT or UNKNOWN; an UNKNOWN is looked up until there is evidence, and
keeps its reservation in the core meanwhile. Nothing is signed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from engine.bus.counters import CounterFile
from engine.bus.ring import QueueReader, QueueWriter
from engine.host.runfile import RunFile
from engine.host.secrets import Account
from engine.wire.codes import Connection, Kind, Reason
from engine.wire.records import RECORD_WORDS
from signer import tally
from signer.admission import Admission
from signer.amounts import ONE
from signer.auth import ApiCredentials, L2Signer
from signer.batches import Batch
from signer.commands import Arm, Cancel, Commands, NewOrder
from signer.core_watch import CoreWatch
from signer.heartbeat import Heartbeat
from signer.http import Endpoint
from signer.instruments import Instruments
from signer.ladder import Ladder
from signer.log_watch import LogWatch
from signer.order_log import OrderLog
from signer.order_path import OrderPath
from signer.orders import Orders, OrderState, RevivedOrder, SentOrder
from signer.outcomes import Outcomes
from signer.policy import Policy
from signer.rails.clob import ClobRail, Observers
from signer.ratelimit import RateLimits
from signer.recovery import recover
from signer.reports import Reporter, Stamps
from signer.settings import SignerSettings
from signer.strategies import number_of
from signer.wallets import Wallet
from signer.warm_up import DryRun

BATCH_RECORDS_MAX = 64
ORDER_LOG_NAME = "orders.log"
# What every round looks at; a member of an enum is looked up through its class, slowly.
_NEW_ORDER, _ARM = int(Kind.NEW_ORDER), int(Kind.ARM)
_OK, _CORE_SILENT = int(Reason.OK), int(Reason.CORE_SILENT)


class SignerDuty:
    """Everything the signer does, one bounded round at a time. Lives in a running event loop."""

    name = "signer"

    def __init__(
        self, runtime: RunFile, account: Account, wallet: Wallet, counters: CounterFile
    ) -> None:
        """Keep what start() needs; ValueError for a venue URL or secret that cannot be used."""
        self._runtime = runtime
        self._settings = SignerSettings.of(runtime.settings)
        self._now_ns = runtime.clock().now_ns
        self._counters = counters
        self._wallet = wallet
        self._policy = Policy(self._settings.limits)
        self._orders = Orders()
        self._admission = Admission(self._settings.admission)
        self._limits = RateLimits(self._settings.rates)
        self._rail = self._make_rail(account)
        self._is_batching = self._settings.order_batch_max > 1
        # The request of a batch can be written only when its orders are known.
        source = None if self._is_batching else self._rail
        self._ladder = Ladder(wallet, account.api.key, self._settings.rungs, source)
        self._instruments = Instruments(self._settings, self._ladder)
        self._heartbeat = Heartbeat(
            self._rail,
            self._settings.heartbeat_ns,
            self._settings.heartbeat_gap_ns,
            self._on_heartbeat_gap,
        )
        self._core = CoreWatch(runtime.counters("core"), self._settings.core_silence_ns_max)
        # Commands are read where they were polled: the rows from `_next` on wait for their turn.
        self._rows = np.zeros((BATCH_RECORDS_MAX, RECORD_WORDS), np.int64)
        self._commands = Commands(self._rows)
        self._next, self._polled = 0, 0
        self._polled_ns = 0
        self._open_shown = 0
        self._was_connected = False
        self._is_reconciling = False
        self._is_draining = False
        self._note: Callable[[str, BaseException], None] = lambda _where, _error: None
        self._open = ExitStack()

    def on_fenced(self, note: Callable[[str, BaseException], None]) -> None:
        """Write down by `note` what went wrong and is survived."""
        self._note = note

    def start(self) -> None:
        """Open the order log, attach to the rings, begin to connect and to look up what is open."""
        settings, run_id = self._settings, self._runtime.run_id
        self._dry_run = DryRun(
            self._wallet.signature_type,
            with_nonces=settings.rungs.nonces > 0,
            with_presigned=settings.rungs.presigned > 0,
            now_ns=self._now_ns,
        )
        self._dry_run.warm_up()
        self._open.callback(self._dry_run.close)
        self._open.callback(self._wallet.key.wipe)
        self._open.callback(self._ladder.close)
        self._ladder.prepare()
        self._exec = QueueWriter(self._runtime.ring("exec"), run_id)
        self._open.callback(self._exec.close)
        self._ring = QueueReader(self._runtime.ring("orders"), run_id)
        self._open.callback(self._ring.close)
        self._log = OrderLog(self._runtime.state(ORDER_LOG_NAME), strict=settings.order_log_strict)
        self._open.callback(self._log.close)
        self._log_watch = LogWatch(
            self._log, self._admission, self._counters, settings.order_log_lag_ns_max, self._note
        )
        for close in (self._core.close, self._count, self._rail.close):
            self._open.callback(close)
        self._report = Reporter(self._exec, self._now_ns)
        self._outcomes = Outcomes(
            self._rail,
            self._orders,
            self._log,
            self._report,
            self._counters,
            self._admission,
            self._limits,
            self._policy.spending,
            self._now_ns,
            run_id=run_id,
            lifetime_ns=settings.request_timeout_ns,
            resend_age_ns_max=settings.resend_age_ns_max,
            is_quiet=lambda: self._is_draining or self._core.is_silent,
        )
        self._path = OrderPath(
            self._policy,
            self._admission,
            self._limits,
            self._ladder,
            self._orders,
            self._log,
            self._report,
            self._rail,
            self._now_ns,
            run_id=run_id,
            age_ns_max=settings.order_age_ns_max,
            strategy_keys=settings.strategy_keys,
            on_answer=self._outcomes.on_answer,
            on_refused=self._on_refused,
            on_unsent=lambda order, reason: self._outcomes.reject(order, reason, 0),
        )
        self._batch = Batch(self._rail, self._outcomes.on_verdict)
        self._cancels, self._look_ups = self._outcomes.cancels, self._outcomes.look_ups
        self._sweep = self._outcomes.sweep
        self._counters.set(tally.LOG_TORN_BYTES, self._log.torn_bytes)
        self._recover()
        self._rail.start()

    def work(self) -> int:
        """Hot path. Do one round; return how much was done."""
        worked = self._report.flush()
        if self._next == self._polled and not self._report.waiting:
            self._poll()
        while self._next < self._polled:
            self._next += 1
            worked += 1
            self._obey(self._next - 1)
        if self._batch:
            self._send_batch()
        now_ns = self._now_ns()
        worked += self._rail.work(now_ns) + self._cancels.work(now_ns)
        worked += self._look_ups.work(now_ns) + self._sweep.work(now_ns) + self._beat(now_ns)
        if not self._is_draining:
            self._look_at_core(now_ns)
        self._log_watch.look(now_ns)
        if self._rail.is_connected is not self._was_connected:
            self._on_rail_change()
        if not worked and not self._is_draining:
            worked = self._ladder.idle(now_ns)
        if worked or self._orders.open_count != self._open_shown:
            self._count()
        return worked

    def is_called_for(self) -> bool:
        """Hot path. Whether the core has said something, or waits to hear something."""
        return self._next < self._polled or self._ring.has_news or self._report.waiting > 0

    def keep_warm(self) -> None:
        """Do one slice of a dry run; for a round in which there was nothing to do."""
        self._dry_run.step()

    def drain(self) -> bool:
        """Cancel what may be live; return whether every order has its evidence."""
        if not self._is_draining:
            self._is_draining = True
            self._path.hold = int(Reason.HALT_STOPPING)
            if self._orders.open_count:
                self._cancels.cancel_all()
        return (
            not self._orders.open_count
            and self._next == self._polled
            and not self._cancels.all_is_pending
            and not self._report.waiting
            and not self._look_ups.pending
        )

    def close(self) -> None:
        """Close connections, then the log, then the rings, and wipe the key."""
        self._open.close()

    def _poll(self) -> None:
        """Hot path."""
        if self._ring.has_news:
            self._next, self._polled = 0, self._ring.poll(self._rows)
            self._polled_ns = self._now_ns()
            if self._polled == 0:  # there is something that cannot be taken: a damaged command
                self._core.distrust()
                self._report.halt(Reason.HALT_RECORD_DAMAGED)

    def _obey(self, index: int) -> None:
        """Do what one record says. Hot path."""
        kind = self._commands.kind(index)
        if kind == _NEW_ORDER:
            self._on_new_order(self._commands.new_order(index))
        elif kind == _ARM:
            self._on_arm(self._commands.arm(index))
        elif kind == Kind.CANCEL:
            self._on_cancel(self._commands.cancel(index))
        elif kind == Kind.CANCEL_ALL:
            self._cancels.cancel_all()
        elif kind == Kind.INSTRUMENT:
            self._instruments.on_instrument(self._rows[index])
        elif kind == Kind.STATUS:
            self._instruments.on_status(self._rows[index])
        else:
            self._counters.add(tally.COMMANDS_UNKNOWN)

    def _on_cancel(self, cancel: Cancel) -> None:
        order = self._orders.get(cancel.order_id)
        if order is not None and order.state is not OrderState.ENDED:
            self._cancels.cancel(order)
        elif order is not None and cancel.reason == Reason.REVIVED:
            self._note("orders", RevivedOrder.of(order))
            self._outcomes.revive(order)

    def _on_new_order(self, order: NewOrder) -> None:
        """Hot path."""
        known = self._orders.get(order.order_id)
        if known is not None:
            self._on_repeated(known)
            return
        instrument = self._instruments.get(order.instrument)
        if not self._is_batching:
            self._path.send(order, instrument, self._polled_ns)
            return
        sent = self._path.sign(order, instrument, self._polled_ns)
        if sent is not None:
            self._batch.add(sent)
            if len(self._batch) == self._settings.order_batch_max:
                self._send_batch()

    def _on_arm(self, arm: Arm) -> None:
        """Have an order signed ahead that may be asked for, if it would be signed then."""
        self._ladder.disarm(arm)
        instrument = self._instruments.get(arm.order.instrument)
        if not arm.is_engaged or instrument is None or instrument.refusal:
            return
        reason, amounts = self._policy.examine(arm.order, instrument.tick, instrument.size_min)
        if not reason:
            self._ladder.arm(arm, instrument.templates[arm.order.side], amounts)

    def _send_batch(self) -> None:
        self._counters.add(tally.BATCHES_SENT, len(self._batch) > 1)
        self._batch.send()

    def _on_refused(self, order: NewOrder, reason: int, polled_ns: int) -> None:
        """An order that will not be sent."""
        self._counters.add(tally.REJECTS)
        self._report.refusal(
            Kind.REJECT,
            order.instrument,
            order.trace,
            order.order_id,
            reason,
            0,
            Stamps(polled_ns),
        )

    def _on_repeated(self, order: SentOrder) -> None:
        """The command of an order we have: say what became of it, by evidence, and sign nothing."""
        self._counters.add(tally.REPEATED_ORDERS)
        if order.state in (OrderState.LIVE, OrderState.ENDED):
            self._outcomes.doubt(order, Reason.ORDER_LOG, 0)

    def _recover(self) -> None:
        """Tell the core of earlier lives before anything else, and go on with what may be live."""
        recovered = recover(self._log.found, self._runtime.run_id, self._now_ns())
        self._log.found.clear()
        for stake, signed_ns in recovered.stakes:
            self._policy.spending.restore(stake, signed_ns)
        for told in recovered.told:
            strategy = number_of(told.strategy_key, self._settings.strategy_keys)
            self._report.recovered(*told._replace(strategy_key=strategy))
        self._report.all_recovered()
        self._counters.set(tally.ORDERS_RECOVERED, len(recovered.told))
        has_doomed = False
        for order in recovered.orders:
            self._orders.add(order)
            if order.state is OrderState.LIVE and not (order.is_at_once or order.is_doomed):
                self._sweep.note(order, self._now_ns())
            elif order.state is not OrderState.ENDED:
                self._look_ups.begin(order)
            has_doomed |= order.is_doomed
        if has_doomed:
            self._cancels.cancel_all()

    def _look_at_core(self, now_ns: int) -> None:
        if self._core.look(now_ns):
            self._counters.add(tally.CORE_SILENT)
            if self._orders.open_count:
                self._cancels.cancel_all()
        self._path.hold = _CORE_SILENT if self._core.is_silent else _OK

    def _beat(self, now_ns: int) -> int:
        """Keep the venue from cancelling everything; with a silent core, let it."""
        if not self._settings.heartbeat_ns:
            return 0
        worked = self._heartbeat.work(now_ns, is_silent=self._core.is_silent)
        if self._is_reconciling and not self._look_ups.pending:
            self._is_reconciling = False
        heart = self._heartbeat
        self._admission.beat_until_ns = 0 if self._is_reconciling else heart.alive_until_ns
        return worked

    def _on_heartbeat_gap(self) -> None:
        """The venue may have cancelled everything: nothing is live until it says so."""
        self._is_reconciling = True
        for order in self._orders.in_state(OrderState.LIVE):
            if not order.is_doomed:  # it is looked up already
                self._outcomes.doubt(order, Reason.HEARTBEAT_GAP, 0)

    def _on_clock(self) -> None:
        """The clocks have been compared."""
        skew_ns = self._rail.clock.skew_ns
        self._admission.on_clock(skew_ns)
        warn_ns = self._settings.clock_skew_ns_warn
        self._counters.add(tally.CLOCK_WARNINGS, 0 < warn_ns < abs(skew_ns))

    def _make_rail(self, account: Account) -> ClobRail:
        api = account.api
        credentials = ApiCredentials(api.key, api.secret, api.passphrase)
        return ClobRail(
            Endpoint.of(self._settings.rest_url),
            L2Signer(credentials, self._wallet.key.address),
            self._now_ns,
            connections=self._settings.connections,
            timeout_ns=self._settings.request_timeout_ns,
            observers=Observers.of(self._admission, self._limits, self._on_clock),
            has_heartbeat=self._settings.heartbeat_ns > 0,
        )

    def _on_rail_change(self) -> None:
        self._was_connected = self._rail.is_connected
        connection = Connection.CONNECTED if self._was_connected else Connection.DISCONNECTED
        self._report.rail_status(connection, self._rail.connects, self._rail.errors)
        self._count()

    def _count(self) -> None:
        """Show the numbers that others keep."""
        show, path, ladder = self._counters.set, self._path, self._ladder
        self._open_shown = self._orders.open_count
        show(tally.ORDERS_OPEN, self._open_shown)
        show(tally.ORDERS_SIGNED, sum(ladder.signed))
        show(tally.ORDERS_SENT, path.sent_count)
        show(tally.SIGN_NS_LAST, path.sign_ns_last)
        show(tally.SIGN_NS_MAX, path.sign_ns_max)
        show(tally.CANCELS_SENT, self._cancels.sent)
        show(tally.CANCEL_ALLS, self._cancels.all_sent)
        show(tally.SENT_READY, self._rail.sent_ready)
        show(tally.DESCRIPTORS_SHORT, self._rail.is_short)
        show(tally.CONNECTS, self._rail.connects)
        show(tally.LOOKUPS, self._look_ups.asked)
        show(tally.CLOCK_SKEW_MS, self._rail.clock.skew_ns // 1_000_000)
        show(tally.LATCHED_REASON, self._admission.latch)
        show(tally.HEARTBEATS, self._heartbeat.accepted)
        show(tally.HEARTBEAT_GAPS, self._heartbeat.gaps)
        show(tally.SPENT_TODAY_USD, self._policy.spending.today // ONE)
        show(tally.LOG_BYTES, self._log.bytes_written)
        for index, signed in zip(tally.BY_RUNG, ladder.signed, strict=True):
            show(index, signed)
        show(tally.NONCES_LEFT, ladder.nonces_left)
        show(tally.PRESIGNED_LEFT, ladder.presigned_left)
        show(tally.PRESIGNED_DROPPED, ladder.dropped)
