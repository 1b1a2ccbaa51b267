"""The core, top to bottom: a batch of records in, commands out. Control flow lives only here.

Pure: no clock, no I/O, no randomness. The same rows under the same parameters give the same
commands, byte for byte; that is what replay checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from engine.core import kernel
from engine.core.account import Account
from engine.core.orders.planner import MALFORMED, Planner
from engine.core.orders.submission import RECORDS
from engine.core.outbox import Outbox
from engine.core.params import EngineParams
from engine.core.reflex import FIRED, react
from engine.core.reports import LOCAL_NS_WORD, Reports
from engine.core.strategies.base import Event, State, Strategy
from engine.core.strategies.load import load_strategy
from engine.core.world.gauges import gauges_of, venue_ns_of
from engine.core.world.instruments import Market, instrument_from_record
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.math.units import MICROS
from engine.wire.codes import Connection, FeeCurve, Kind, MarketStatus, Reason, Source
from engine.wire.records import typed

SWEEP_NS = 100_000_000  # how often every market with something working is looked at anyway
SWEEPS_BUSY = 5  # … and by how much it may be late while there is market data to apply
_DONE = OrderState.DONE
NO_PAIR_EDGE = MICROS + 1  # a full set can never earn this much


class Engine:
    """One world, its strategies, and the step that moves them."""

    def __init__(self, params: EngineParams) -> None:
        self.params = params
        self.world = World(params)
        self._outbox = Outbox()
        self._planner = Planner(params, self._outbox)
        self._reports = Reports(self.world)
        self._account = Account(self.world, self._reports.recovery)
        self._strategies: list[tuple[Strategy, State]] = []
        for number, chosen in enumerate(params.strategies, start=1):
            strategy = load_strategy(chosen)
            state = State(number, self.world, strategy.initial())
            self._strategies.append((strategy, state))
        edges = [s.pair_edge for s, _ in self._strategies if s.pair_edge is not None]
        edge = min(edges, default=NO_PAIR_EDGE)
        # The kernel scales it up: what is beyond any edge there is must not wrap.
        self._pair_edge = max(-NO_PAIR_EDGE, min(edge, NO_PAIR_EDGE))
        self._follows_touch = int(any(s.follows_touch for s, _ in self._strategies))
        capacity = self.world.books.capacity
        self._dirty = np.zeros(capacity, np.int64)
        self._triggers = np.zeros((capacity, kernel.TRIGGER_COLUMNS), np.int64)
        self._hits = np.zeros((capacity, kernel.HIT_COLUMNS), np.int64)
        books, facts = self.world.books, self.world.facts
        self._react_with = (
            books.sizes,
            books.bits,
            books.tops,
            self._dirty,
            self._planner.armed.rows,
            self._planner.seed,
            facts.instruments,
            facts.account,
            self._triggers,
            self._hits,
        )
        self._watched: list[int] = []  # the market of each row of the triggers
        self._events: dict[int, Event] = {}
        self._handlers: dict[int, Callable[[np.ndarray, int], None]] = {
            Kind.INSTRUMENT: self._on_instrument,
            Kind.STATUS: self._on_status,
            Kind.FEED_STATUS: self._on_feed_status,
            Kind.HALT: self._on_halt,
            Kind.GAP: self._on_gap,
            Kind.BALANCE: self._on_balance,
            Kind.UNKNOWN: self._on_unknown,
        }
        # What strategies have raised and the venue has contradicted, and where; the process that
        # steps the engine takes it out of here.
        self.failures: list[tuple[str, Exception]] = []
        # Whether the next step is due at once: an armed take has fired in this one, and its order
        # leaves before anybody is asked what to do now.
        self.is_unasked = False
        self._swept_ns = 0
        self._venue_ns = 0
        self._batches = 0
        self._commands = 0

    def step(self, rows: np.ndarray, base_sequence: int, now_ns: int) -> np.ndarray:
        """Apply one batch and return the commands and decisions it leads to.

        rows: int64[n, 16], inputs in tape order, the first with sequence `base_sequence`.
        now_ns: the stamp of the batch.  Returns int64[m, 16], valid until the next step.
        """
        world = self.world
        if self._outbox.count:
            self.settle()
        if not self.is_unasked:
            self._planner.begin()
        world.now_ns = now_ns
        self._outbox.clear(now_ns)
        self._react(rows, base_sequence)
        if not self.is_unasked:
            self._sweep(base_sequence - 1, is_quiet=len(rows) == 0)
            events = self._events
            if events:
                for number in sorted(events):
                    self._ask(events[number])
                events.clear()
        if self._outbox.count == 0:
            world.reckon()  # nobody waits for this step; the next may be somebody's tick
        self._batches += 1
        self._commands += self._outbox.count
        return self._outbox.rows

    def settle(self) -> None:
        """Do what the last step has left for when its commands are on their way.

        Whoever sends them calls it then; the next step does, where nobody has.
        """
        for event in self._planner.settle(self.world):
            self._events[event.market.number] = event

    def _react(self, rows: np.ndarray, base_sequence: int) -> None:
        """Hot path. Make every row of the batch part of the world, in order; then fire what is
        armed or, where nothing was, turn the triggers that hold into events."""
        outbox, armed, constants = self._outbox, self._planner.armed, self._react_with
        now_ns = self.world.now_ns
        i, stop = 0, len(rows)
        while True:
            count = len(armed)
            out, at = outbox.room(RECORDS * count)
            sizes = count, len(self._watched), at
            i = react(rows, i, stop, base_sequence, now_ns, *sizes, out, *constants)
            if not 0 <= i < stop:
                break
            self._apply_by_name(rows[i], base_sequence + i)
            i += 1
        found = i - stop
        self.is_unasked = i < 0 or found >= FIRED
        if self.is_unasked:
            outbox.count += RECORDS * (-1 - i if i < 0 else found - FIRED)
            if i < 0:
                self.settle()  # who was refused is told in this step
        elif found:
            markets = self.world.instruments.markets
            for number, trace, local_ns in self._hits[:found].tolist():
                self._events[number] = Event(markets[number], trace, local_ns)

    def _apply_by_name(self, row: np.ndarray, sequence: int) -> None:
        handler = self._handlers.get(int(row[0]) & 0xFFFF)
        if handler is not None:
            handler(row, sequence)
        else:
            self._on_report(row, sequence)

    def _on_report(self, row: np.ndarray, sequence: int) -> None:
        """Take a report of the private or execution streams, and see to the orders it changed."""
        self._see_to(self._reports.apply(row), sequence, int(row[LOCAL_NS_WORD]))

    def _see_to(self, changed: Iterable[Order], sequence: int, local_ns: int) -> None:
        reports = self._reports
        if not reports.recovery.is_idle:
            reports.recovery.on_report(local_ns)
        for order in changed:
            market = self.world.instruments.market_of(order.instrument)
            if market is None:
                assert order.instrument == 0, f"an order has no market: {order}"
                continue
            event = Event(market, sequence, local_ns, order.reason)
            self._events[market.number] = event
            if order.state == _DONE:
                order.ended_ns = local_ns
                self._planner.on_ended(self.world, order, event)
            elif order.is_revived:
                self._planner.cancel_revived(order, sequence)
            if reports.contradicted:
                self._on_contradiction(event)

    def _on_contradiction(self, event: Event) -> None:
        """The venue has said of a fill in this market what cannot be: nothing more goes into it."""
        for order, wrong in self._reports.contradicted:
            self._halt_market(event, order.strategy, Reason.CONTRADICTION, ValueError(wrong))
        self._reports.contradicted.clear()

    def _on_unknown(self, row: np.ndarray, sequence: int) -> None:
        """An order whose id at the venue is not our hash: we do not know what we signed. Halt."""
        if int(typed(row, Kind.UNKNOWN)[0]["reason"]) == Reason.HALT_HASH_MISMATCH:
            self.world.halted = int(Reason.HALT_HASH_MISMATCH)
            self._planner.pull_all(self.world, Reason.HALT_HASH_MISMATCH, sequence)
        self._on_report(row, sequence)

    def _on_gap(self, _row: np.ndarray, sequence: int) -> None:
        self.world.books.forget_all()
        self._wake_all(sequence)

    def _on_balance(self, row: np.ndarray, _sequence: int) -> None:
        wrong = self._account.on_balance(typed(row, Kind.BALANCE)[0])
        if wrong is not None:
            self.failures.append(("account", wrong))

    def _on_instrument(self, row: np.ndarray, sequence: int) -> None:
        instrument = instrument_from_record(typed(row, Kind.INSTRUMENT)[0])
        if not 0 < instrument.index < self.world.books.capacity:
            self.world.instruments.refused += 1
            return
        market = self.world.accept(instrument)
        self._outbox.forward(row, sequence)
        if market is not None:
            self._watch(market)
            for index in (market.up.index, market.down.index):
                self._see_to(self._reports.announced(index), sequence, int(row[LOCAL_NS_WORD]))

    def _on_status(self, row: np.ndarray, sequence: int) -> None:
        record = typed(row, Kind.STATUS)[0]
        index = int(record["instrument"])
        market = self.world.instruments.market_of(index)
        if market is None:
            return
        tick, status, payout = int(record["tick"]), int(record["status"]), int(record["payout"])
        if tick > 0:
            self.world.set_tick(index, tick)
        if tick > 0 or status == MarketStatus.RESOLVED:
            self._outbox.forward(row, sequence)
        if status != MarketStatus.UNKNOWN and status > market.status:
            self.world.set_status(market, status)
        if status == MarketStatus.RESOLVED and payout >= 0 and market.payout_up < 0:
            market.payout_up = payout if index == market.up.index else MICROS - payout
            self._unwatch(market)
            for order in self._reports.resolve(market):
                self._planner.on_ended(self.world, order, Event(market, sequence, int(row[3])))
        self._events[market.number] = Event(market, sequence, int(row[3]))

    def _on_feed_status(self, row: np.ndarray, sequence: int) -> None:
        """A connection that does not deliver: its books are unbelievable, or our fills unseen.

        A market feed that names an instrument speaks of that book alone.
        """
        record = typed(row, Kind.FEED_STATUS)[0]
        connected = int(record["connection"]) == Connection.CONNECTED
        if record["feed"] == Source.CLOB_USER:
            if self._account.on_private_feed(record, is_connected=connected):
                self._wake_all(sequence)  # what was refused for want of it may be wanted still
        elif record["feed"] == Source.CLOB_MARKET and not connected:
            index = int(record["instrument"])
            if 0 < index < self.world.books.capacity:
                self.world.books.forget(index)
            else:  # none is named, or one that is nobody's: then it may be any
                self.world.books.forget_all()
            self._wake_all(sequence)

    def _on_halt(self, row: np.ndarray, sequence: int) -> None:
        record = typed(row, Kind.HALT)[0]
        self.world.halted = int(record["reason"]) if record["engaged"] else 0
        if self.world.halted:
            self._planner.pull_all(self.world, Reason(self.world.halted), sequence)

    def _watch(self, market: Market) -> None:
        """Give a new market its row of triggers."""
        number = len(self._watched)
        self._watched.append(market.number)
        row = self._triggers[number]
        row[:] = 0  # it may have been another market's: the touch that one last had is news here
        row[kernel.MARKET] = market.number
        row[kernel.UP] = market.up.index
        row[kernel.DOWN] = market.down.index
        known = market.up.fee_curve in (FeeCurve.FREE, FeeCurve.V2)
        row[kernel.RATE_PPM] = market.up.fee_rate_ppm
        row[kernel.PAIR_EDGE] = self._pair_edge if known else NO_PAIR_EDGE
        row[kernel.MOVED] = self._follows_touch

    def _unwatch(self, market: Market) -> None:
        """Look no more at a market that is over; give back its triggers and its books' memory."""
        del self.world.instruments.unresolved[market.number]
        number, last = self._watched.index(market.number), len(self._watched) - 1
        self._watched[number] = self._watched[last]
        self._watched.pop()
        self._triggers[number] = self._triggers[last]
        for instrument in (market.up, market.down):
            self.world.books.release(instrument.index)

    def _sweep(self, trace: int, *, is_quiet: bool) -> None:
        """Look now and then at every market with something working, whatever its books do.

        Books grow stale and windows end in silence, so quotes must be pulled without a tick. A busy
        batch leaves it to the next quiet one: nobody's tick should pay for it.
        """
        now_ns = self.world.now_ns
        due_ns = SWEEP_NS if is_quiet else SWEEP_NS * SWEEPS_BUSY
        if now_ns - self._swept_ns < due_ns:
            return
        self._swept_ns = now_ns
        if self._reports.unnamed.count:
            self._see_to(self._reports.adopt_strangers(), trace, now_ns)
        if self._planner.refusals.waiting:
            for refused, reason in self._planner.refusals.due(now_ns):
                self._events[refused.number] = Event(refused, trace, now_ns, reason)
        for index in self.world.orders.instruments_working():
            market = self.world.instruments.market_of(index)
            if market is not None and market.number not in self._events:
                self._events[market.number] = Event(market, trace, now_ns)

    def _wake_all(self, trace: int) -> None:
        for market in self.world.instruments.unresolved.values():
            self._events[market.number] = Event(market, trace, self.world.now_ns)

    def _ask(self, event: Event) -> None:
        """Ask every strategy about one market and carry out its intents."""
        world = self.world
        if world.halted:
            return
        if event.market.is_halted:
            self._planner.leave(world, event)
            return
        for strategy, state in self._strategies:
            try:
                intents = strategy.decide(state, event)
            except Exception as error:  # noqa: BLE001  not our code: it costs a market, not the run
                self._fence(state.strategy, event, error)
                return
            if not intents:
                continue
            try:
                self._planner.apply(world, state.strategy, event, intents)
            except MALFORMED as error:
                wrong = ValueError(f"intents make no sense: {error}: intents={intents!r:.500}")
                self._fence(state.strategy, event, wrong)
                return
        self._planner.refresh(world, event)

    def _fence(self, strategy: int, event: Event, error: Exception) -> None:
        """Halt the market that a strategy failed on; all others trade on."""
        self._halt_market(event, strategy, Reason.STRATEGY_FAILED, error)

    def _halt_market(self, event: Event, strategy: int, reason: Reason, error: Exception) -> None:
        market = event.market
        self.world.halt_market(market, reason)
        self._planner.fence(self.world, strategy, event, reason)
        name = self.params.strategies[strategy - 1].name if strategy else "elsewhere"
        pair = market.up.index, market.down.index
        where = f"strategy={name}, market={market.number}, instruments={pair[0]},{pair[1]}"
        self.failures.append((where, error))

    def gauges(self) -> dict[str, int]:
        """Return what an operator wants to see, as integers (money in micros)."""
        self._venue_ns = venue_ns_of(self.world, self._venue_ns)
        return {
            "batches": self._batches,
            "commands": self._commands,
            "fills": self._reports.fills,
            "foreign_reports": self._reports.foreign,
            "contradictions": self._reports.contradictions,
            "orders_external": self._reports.external,
            "orders_revived": self._reports.revived,
            "venue_ns": self._venue_ns,
            **gauges_of(self.world),
        }
