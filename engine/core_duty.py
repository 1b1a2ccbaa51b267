"""The core process: poll rings, give every record the next tape sequence, step, publish.

Rings are polled private before execution, and applied execution before private: whoever reads a
fill has then already read the SIGNED record that names its order, for it was published first. A
mere look tells whether a ring is worth a poll; at `exec` the core looks only after it has polled
`private`: what it acquired there makes the look find that SIGNED.

A batch with commands goes onto the tape only when the core is worked again, so that the signer may
come first where both share a thread (`fused`). What was signed is in the order log before a byte of
it leaves, and that log alone says what may be live after a crash; elsewhere the signer has always
been at work while the core wrote its tape. The next batch is polled after the last one is written,
so nothing an order causes can stand on the tape before the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.bus.apart import CAPACITY, RingsApart
from engine.bus.counters import CounterFile
from engine.bus.ring import BroadcastReader, BroadcastWriter, QueueReader, QueueWriter
from engine.bus.wait import Sleeper
from engine.core import kernel, outbox
from engine.core.batch import Batch
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.core.rehearsal import Rehearsal
from engine.core.snapshots import Snapshots
from engine.host.clock import Clock
from engine.host.runfile import RunFile
from engine.wire.codes import Kind, Reason, Source
from engine.wire.records import RECORD_WORDS, new, words

NAP_US = 1_000  # who naps is woken by what comes, so this bounds its heartbeat alone
TIMER_NS = 50_000_000  # the core hears of time at least this often
GAUGES_NS = 20_000_000  # how often the slower counters are refreshed
GAUGES_BUSY = 5  # … and by how much that may be late while there is something else to do
QUEUE_ROWS = 512  # at most this many records of each queue a batch
MARKET_DATA_ROWS = 2048
INPUTS_MAX = 4 * QUEUE_ROWS + MARKET_DATA_ROWS

COUNTERS = (
    "sequence",
    "batches",
    "commands",
    "orders_opened",
    "orders_open",
    "orders_armed",
    "orders_unknown",
    "fills",
    "halted",
    "md_lost",
    "snapshots_wanted",
    "foreign_reports",
    "contradictions",
    "orders_external",
    "orders_revived",
    "is_recovered",
    "fills_unseen",
    "tokens_unexplained",
    "unexplained_shares_micros",
    "equity_micros",
    "cash_micros",
    "cash_venue_micros",
    "cash_flow_micros",
    "exposure_micros",
    "instruments",
    "instruments_refused",
    "markets_open",
    "markets_halted",
    "markets_without_book",
    "rows_refused",
    "position_up",
    "position_down",
    "venue_ns",
)


class Step(NamedTuple):
    """A step that is not yet on the tape. out: valid until the next step."""

    inputs: int
    out: np.ndarray
    now_ns: int
    sent_ns: int


class CoreDuty:
    """Owns the Engine and every ring the core reads or writes."""

    name = "core"

    def __init__(self, runtime: RunFile, params: EngineParams, counters: CounterFile) -> None:
        self._runtime = runtime
        self._clock: Clock = runtime.clock()
        self._counters = counters
        self._at = {name: counters.index(name) for name in COUNTERS}
        self.engine = Engine(params)
        self._rehearsal = Rehearsal(params)
        self._snapshots = Snapshots()
        self._sequence = 0
        self._stepped_ns = 0
        self._gauged_ns = 0
        self._batch = Batch(INPUTS_MAX)
        self._private_rows = np.zeros((QUEUE_ROWS, RECORD_WORDS), np.int64)
        self._commands = np.zeros((outbox.CAPACITY, RECORD_WORDS), np.int64)
        self._unwritten: Step | None = None
        self._note: Callable[[str, BaseException], None] = _raise
        self._pending: list[np.ndarray] = []  # records the host itself has for the next batch

    def on_fenced(self, note: Callable[[str, BaseException], None]) -> None:
        """Be given what to call with an error that a strategy has raised."""
        self._note = note

    def start(self) -> None:
        """Attach every ring."""
        run_id = self._runtime.run_id
        ring = self._runtime.ring
        groups = sorted(self._runtime.settings["feeds"])
        self._control = QueueReader(ring("control"), run_id)
        self._private = QueueReader(ring("private"), run_id)
        self._exec = QueueReader(ring("exec"), run_id)
        self._market_data = [
            BroadcastReader(ring(f"md.{group}"), run_id, from_start=True) for group in groups
        ]
        self._lost = [0] * len(groups)
        self._readers: tuple[QueueReader | BroadcastReader, ...] = (
            self._control,
            self._private,
            self._exec,
            *self._market_data,
        )
        self._sleeper = Sleeper(self._readers)
        self._orders = QueueWriter(ring("orders"), run_id)
        self._tape = BroadcastWriter(ring("tape"), run_id)
        self._apart = RingsApart(self._runtime.runtime_dir)

    def work(self) -> int:
        """Hot path. Apply what has arrived, or the passing of time; return the records handled."""
        if self._unwritten is not None:
            self._write_tape()
        count = self._poll()
        now_ns = self._clock.now_ns()
        is_due = self.engine.is_unasked or now_ns - self._stepped_ns >= TIMER_NS
        if count == 0 and not is_due:
            if now_ns - self._gauged_ns > GAUGES_NS:
                self._gauge(now_ns)
            return 0
        self._stepped_ns = now_ns
        out = self.engine.step(self._batch.inputs[:count], self._sequence + 1, now_ns)
        if len(out):
            self._send(out)
        self._unwritten = Step(count, out, now_ns, self._clock.now_ns())
        if len(out) == 0:
            self._write_tape()
        if self.engine.failures:
            self._note_failures()
        if now_ns - self._gauged_ns > GAUGES_NS * GAUGES_BUSY:
            self._gauge(now_ns)
        return count + len(out)

    def is_called_for(self) -> bool:
        """Hot path. Whether a ring has something, or a batch is not yet on the tape."""
        if self._unwritten is not None or self.engine.is_unasked or self._pending:
            return True
        for reader in self._readers:  # noqa: SIM110  a generator takes longer than the looks
            if reader.has_news:
                return True
        return False

    def keep_warm(self) -> None:
        """Hot path. Poll, decide and order in a world apart; what comes of it goes nowhere."""
        count = kernel.pick_commands(self._rehearsal.run(), self._commands)
        self._apart.run(self._commands[: min(count, CAPACITY)])

    def nap(self, duration_us: int) -> None:
        """Sleep until a ring has something, for `duration_us` or a little longer at most."""
        self._sleeper.sleep(max(duration_us, NAP_US))

    def close(self) -> None:
        """Detach from every ring."""
        if self._unwritten is not None:
            self._write_tape()
        self._gauge(self._clock.now_ns())
        self._sleeper.close()
        for end in (self._control, self._private, self._exec, self._orders, self._tape):
            end.close()
        for reader in self._market_data:
            reader.close()
        self._apart.close()

    def _poll(self) -> int:
        """Fill the batch in the order facts are applied; return its length."""
        rows = self._batch.inputs
        n = n_private = 0
        if self._private.has_news:
            n_private = self._private.poll(self._private_rows) or self._distrust()
        if self._control.has_news:
            n = self._control.poll(rows[:QUEUE_ROWS]) or self._distrust()
        if self._exec.has_news:
            n += self._exec.poll(rows[n : n + QUEUE_ROWS]) or self._distrust()
        if n_private:
            rows[n : n + n_private] = self._private_rows[:n_private]
            n += n_private
        if self._pending:
            for row in self._pending:
                rows[n] = row
                n += 1
            self._pending.clear()
        for index, reader in enumerate(self._market_data):
            if not reader.has_news:
                continue
            got = reader.poll(rows[n:-1])
            if reader.lost != self._lost[index]:
                rows[n + 1 : n + 1 + got] = rows[n : n + got].copy()
                rows[n] = self._gap(index, reader.lost - self._lost[index])
                self._lost[index] = reader.lost
                n += 1
            n += got
        return n

    def _distrust(self) -> int:
        """Halt, for a queue has news that cannot be taken: a record of it is damaged. Return 0."""
        self._pending.append(self._halt(Reason.HALT_RECORD_DAMAGED))
        return 0

    def _send(self, out: np.ndarray) -> None:
        """Offer the commands to the signer; a full ring halts the core in its next batch."""
        count = kernel.pick_commands(out, self._commands)
        if count and not self._orders.offer(self._commands[:count]):
            self._pending.append(self._halt(Reason.HALT_RING_FULL))

    def _write_tape(self) -> None:
        """Write the last step as it is replayed: TIMER, inputs, outputs, TIMER.

        Nobody waits now: what the engine has put off is done as well.
        """
        step, self._unwritten = self._unwritten, None
        assert step is not None, "there is no step to write"
        rows = self._batch.framed(step.inputs, step.out, self._sequence, step.now_ns, step.sent_ns)
        self._tape.publish(rows)
        self._sequence += len(rows)
        if len(step.out):
            self.engine.settle()

    def _note_failures(self) -> None:
        for where, error in self.engine.failures:
            self._note(f"{self.name}: {where}", error)
        self.engine.failures.clear()

    def _gap(self, ring: int, lost: int) -> np.ndarray:
        """Return a GAP record; it also asks the feed for new snapshots."""
        self._counters.add(self._at["snapshots_wanted"])
        self._counters.add(self._at["md_lost"], lost)
        record = new(Kind.GAP)
        record["source"] = Source.CORE
        record["local_ns"] = self._clock.now_ns()
        record["ring"], record["lost"] = ring, lost
        return words(record)[0]

    def _halt(self, reason: Reason) -> np.ndarray:
        record = new(Kind.HALT)
        record["source"] = Source.CORE
        record["local_ns"] = self._clock.now_ns()
        record["reason"], record["engaged"] = reason, 1
        return words(record)[0]

    def _gauge(self, now_ns: int) -> None:
        """Show the state of the core to whoever looks at its counters."""
        self._gauged_ns = now_ns
        state = self.engine.gauges()
        state["sequence"] = self._sequence
        for name, value in state.items():
            self._counters.set(self._at[name], value)
        if self._snapshots.are_wanted(state["rows_refused"], state["markets_without_book"], now_ns):
            self._counters.add(self._at["snapshots_wanted"])


def _raise(_where: str, error: BaseException) -> None:
    """Where nobody notes errors, every one is fatal."""
    raise error
