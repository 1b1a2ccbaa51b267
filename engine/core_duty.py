"""The core process: poll rings, give every record the next tape sequence, step, publish.

Rings are polled private before execution, and applied execution before private: whoever reads a
fill has then already read the SIGNED record that names its order, for it was published first.
"""

from __future__ import annotations

import numpy as np

from engine.bus.counters import CounterFile
from engine.bus.ring import BroadcastReader, BroadcastWriter, QueueReader, QueueWriter
from engine.bus.wait import Sleeper
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.host.clock import Clock
from engine.host.runfile import RunFile
from engine.wire.codes import Flag, Kind, Reason, Source
from engine.wire.records import RECORD_WORDS, new, pack_word0, words

NAP_US = 1_000  # who naps is woken by what comes, so this bounds its heartbeat alone
TIMER_NS = 50_000_000  # the core hears of time at least this often
GAUGES_NS = 20_000_000  # how often the slower counters are refreshed
QUEUE_ROWS = 512  # at most this many records of each queue a batch
MARKET_DATA_ROWS = 2048

COUNTERS = (
    "sequence",
    "batches",
    "commands",
    "orders_opened",
    "orders_open",
    "orders_unknown",
    "fills",
    "halted",
    "md_lost",
    "snapshots_wanted",
    "foreign_reports",
    "equity_micros",
    "cash_flow_micros",
    "exposure_micros",
    "instruments",
    "instruments_refused",
    "markets_open",
    "position_up",
    "position_down",
    "venue_ns",
)


class CoreDuty:
    """Owns the Engine and every ring the core reads or writes."""

    name = "core"

    def __init__(self, runtime: RunFile, params: EngineParams, counters: CounterFile) -> None:
        self._runtime = runtime
        self._clock: Clock = runtime.clock()
        self._counters = counters
        self._at = {name: counters.index(name) for name in COUNTERS}
        self.engine = Engine(params)
        self._sequence = 0
        self._stepped_ns = 0
        self._gauged_ns = 0
        self._batch = np.zeros((4 * QUEUE_ROWS + MARKET_DATA_ROWS, RECORD_WORDS), np.int64)
        self._private_rows = np.zeros((QUEUE_ROWS, RECORD_WORDS), np.int64)
        self._timer = words(new(Kind.TIMER, 2))
        self._pending: list[np.ndarray] = []  # records the host itself has for the next batch

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
        self._sleeper = Sleeper([self._control, self._private, self._exec, *self._market_data])
        self._orders = QueueWriter(ring("orders"), run_id)
        self._tape = BroadcastWriter(ring("tape"), run_id)

    def work(self) -> int:
        """Hot path. Apply what has arrived, or the passing of time; return the records handled."""
        count = self._poll()
        now_ns = self._clock.now_ns()
        if count == 0 and now_ns - self._stepped_ns < TIMER_NS:
            return 0
        self._stepped_ns = now_ns
        batch = self._batch[:count]
        sequence = self._sequence
        out = self.engine.step(batch, sequence + 1, now_ns)
        if len(out):
            self._send(out)
        self._write_tape(batch, out, now_ns)
        if now_ns - self._gauged_ns > GAUGES_NS:
            self._gauged_ns = now_ns
            self._gauge()
        return count

    def nap(self, duration_us: int) -> None:
        """Sleep until a ring has something, for `duration_us` or a little longer at most."""
        self._sleeper.sleep(max(duration_us, NAP_US))

    def close(self) -> None:
        """Detach from every ring."""
        self._gauge()
        self._sleeper.close()
        for end in (self._control, self._private, self._exec, self._orders, self._tape):
            end.close()
        for reader in self._market_data:
            reader.close()

    def _poll(self) -> int:
        """Fill the batch in the order facts are applied; return its length."""
        batch = self._batch
        n_private = self._private.poll(self._private_rows)
        n = self._control.poll(batch[:QUEUE_ROWS])
        n += self._exec.poll(batch[n : n + QUEUE_ROWS])
        if n_private:
            batch[n : n + n_private] = self._private_rows[:n_private]
            n += n_private
        if self._pending:
            for row in self._pending:
                batch[n] = row
                n += 1
            self._pending.clear()
        for index, reader in enumerate(self._market_data):
            got = reader.poll(batch[n + 1 :])
            if reader.lost != self._lost[index]:
                batch[n] = self._gap(index, reader.lost - self._lost[index])
                self._lost[index] = reader.lost
                n += 1 + got
            elif got:
                batch[n : n + got] = batch[n + 1 : n + 1 + got].copy()
                n += got
        return n

    def _send(self, out: np.ndarray) -> None:
        """Offer the commands to the signer; a full ring halts the core in its next batch."""
        commands = out[(out[:, 0] & 0xFFFF) != Kind.DECISION]
        if len(commands) and not self._orders.offer(commands):
            self._pending.append(self._halt(Reason.HALT_RING_FULL))

    def _write_tape(self, batch: np.ndarray, out: np.ndarray, now_ns: int) -> None:
        """Write the batch as it is replayed: TIMER, inputs, outputs, TIMER."""
        opening, closing = self._timer[:1], self._timer[1:]
        opening[0, 0] = pack_word0(Kind.TIMER, Source.CORE, Flag.BATCH, 0)
        opening[0, 3] = now_ns
        opening[0, 4] = len(batch)
        closing[0, 0] = pack_word0(Kind.TIMER, Source.CORE, Flag.PUBLISHED, 0)
        closing[0, 1] = self._sequence
        closing[0, 3] = self._clock.now_ns()
        closing[0, 5] = len(out)
        self._tape.publish(opening)
        self._tape.publish(batch)
        self._tape.publish(out)
        self._tape.publish(closing)
        self._sequence += 2 + len(batch) + len(out)

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

    def _gauge(self) -> None:
        """Show the state of the core to whoever looks at its counters."""
        state = self.engine.gauges()
        state["sequence"] = self._sequence
        for name, value in state.items():
            self._counters.set(self._at[name], value)
