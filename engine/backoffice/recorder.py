"""The recorder: drains the tape ring into the tape file, and keeps what is derived from it fresh.

```
 tape ring ── poll ──> tape file ── fdatasync ──> projection (SQLite)
   [duty loop, in batches]     [keeper thread, every SYNC_S]
```
The duty loop does nothing but copy, so the ring is drained whatever database and syncs are doing.
A disk that takes no bytes holds it up: what was polled waits, and the ring keeps what comes after
until it laps. The counters say for how long; the supervisor halts a run that cannot be recorded.
The keeper reads the file like anyone else. Records the recorder never saw are a GAP on the tape.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np

from engine.backoffice.catalog import SLUG_FILE
from engine.backoffice.projector import Projector
from engine.backoffice.store.sqlite import projected_run
from engine.bus.counters import CounterFile
from engine.bus.ring import BroadcastReader
from engine.core.params import from_settings
from engine.host.runfile import RunFile
from engine.tape.format import TapeHeader
from engine.tape.reader import TapeReader
from engine.tape.writer import TapeWriter
from engine.wire.records import RECORD_WORDS

COUNTERS = (
    "records",
    "bytes",
    "gaps",
    "lost",
    "lag",
    "lag_ns",
    "torn_bytes",
    "syncs",
    "sync_ns_max",
    "sqlite_rows",
    "tape_errors",
    "tape_errno",
    "tape_stalled_ms",
)
TAPE_FILE = "tape.ht"
DATABASE_FILE = "halftick.db"
SYNC_S = 0.5
RETRY_NS = 100_000_000  # between two tries to write what a disk does not take
_POLL_ROWS = 8192
_LOCAL_NS_WORD = 3


class RecorderDuty:
    """Owns the tape file of a run. The counters, in order, are COUNTERS after the process's own."""

    name = "recorder"

    def __init__(self, runtime: RunFile, counters: CounterFile) -> None:
        self._runtime = runtime
        self._clock = runtime.clock()
        self._counters = counters
        self._at = {name: counters.index(name) for name in COUNTERS}
        self._rows = np.zeros((_POLL_ROWS, RECORD_WORDS), np.int64)
        self._polled = 0
        self._waiting = 0  # rows that were polled and are not on the tape
        self._first = 0  # the tape's sequence of the first of them
        self._failed_ns = 0  # since when the disk takes nothing, 0 = it does
        self._retry_ns = 0
        self._ring: BroadcastReader | None = None
        self._tape: TapeWriter | None = None
        self._keeper: Keeper | None = None

    def start(self) -> None:
        """Open ring and tape and start the keeper. Raises TapeError, BusError, OSError."""
        runtime = self._runtime
        path = runtime.state(TAPE_FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        make_way(path.parent, runtime.run_id)
        params = from_settings(runtime.settings, run_seed=runtime.run_id)
        header = TapeHeader(
            run_id=runtime.run_id,
            start_ns=self._clock.now_ns(),
            clock_offset_ns=runtime.clock_offset_ns,
            params_text=params.to_json(),
        )
        self._ring = BroadcastReader(runtime.ring("tape"), runtime.run_id, from_start=True)
        self._tape = TapeWriter(path, header)
        self._count("torn_bytes", self._tape.cut_bytes)
        uses_database = bool(runtime.settings["recorder"]["sqlite"])
        self._keeper = Keeper(runtime, self._tape, self._counters, uses_database=uses_database)
        self._keeper.start()

    def work(self) -> int:
        """Write what the ring holds to the tape, one batch; return the records handled."""
        assert self._ring is not None
        assert self._tape is not None
        assert self._keeper is not None
        count = self._waiting
        if count:
            if self._clock.now_ns() < self._retry_ns:
                return 0
        else:
            count = self._ring.poll(self._rows)
        if count:
            self._record_or_wait(self._ring, self._tape, count)
        elif self._counters.get(self._at["lag"]):
            self._set_lag(0, 0)
        self._keeper.raise_failure()
        return count

    def drain(self) -> bool:
        """Return whether everything published so far is on the tape."""
        return self._ring is None or (self._ring.lag == 0 and not self._waiting)

    def _record_or_wait(self, ring: BroadcastReader, tape: TapeWriter, count: int) -> None:
        """Record what was polled; if the disk does not take it, keep it, say so and raise."""
        if not self._waiting:
            self._waiting = count
            # The ring numbers its records as the core does: whatever was polled or lost before.
            self._first = self._polled + ring.lost
            self._polled += count
        try:
            self._record(tape, self._rows[:count], self._first)
        except OSError as error:
            now_ns = self._clock.now_ns()
            self._failed_ns = self._failed_ns or now_ns
            self._retry_ns = now_ns + RETRY_NS
            self._count("tape_errors", 1)
            self._counters.set(self._at["tape_errno"], error.errno or 0)
            stalled_ms = (now_ns - self._failed_ns) // 1_000_000
            self._counters.set(self._at["tape_stalled_ms"], max(1, stalled_ms))
            raise
        self._waiting = 0
        self._set_lag(ring.lag, self._clock.now_ns() - int(self._rows[count - 1, _LOCAL_NS_WORD]))
        if self._failed_ns:
            self._failed_ns = 0
            self._counters.set(self._at["tape_errno"], 0)
            self._counters.set(self._at["tape_stalled_ms"], 0)

    def close(self) -> None:
        """Let the keeper finish, then close ring and tape."""
        try:
            if self._keeper is not None:
                self._keeper.stop()
        finally:
            if self._tape is not None:
                self._tape.close()
            if self._ring is not None:
                self._ring.close()

    def _record(self, tape: TapeWriter, rows: np.ndarray, first: int) -> None:
        """Append polled rows, after a GAP for what is missing, without what is there already."""
        lost = first - tape.next_sequence
        written = tape.bytes_written
        if lost > 0:
            tape.append_gap(tape.next_sequence, lost, int(rows[0, _LOCAL_NS_WORD]))
            self._count("gaps", 1)
            self._count("lost", lost)
        known = min(max(-lost, 0), len(rows))
        tape.append(rows[known:], first + known)
        self._count("records", len(rows) - known)
        self._count("bytes", tape.bytes_written - written)

    def _count(self, name: str, n: int) -> None:
        self._counters.add(self._at[name], n)

    def _set_lag(self, records: int, age_ns: int) -> None:
        self._counters.set(self._at["lag"], records)
        self._counters.set(self._at["lag_ns"], age_ns)


class Keeper:
    """A thread that makes the tape durable and everything derived from it current."""

    def __init__(
        self, runtime: RunFile, tape: TapeWriter, counters: CounterFile, *, uses_database: bool
    ) -> None:
        self._runtime = runtime
        self._tape = tape
        self._counters = counters
        self._at = {name: counters.index(name) for name in COUNTERS}
        self._uses_database = uses_database
        self._projector: Projector | None = None
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Do everything once more, for the last records, and end; raise what went wrong in it."""
        self._stop.set()
        self._thread.join()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise, once, what went wrong in the thread since the last call."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stop.wait(SYNC_S)
            # A full disk or a locked database must not end the thread: the duty loop counts and
            # reports the failure, and the next round tries again from what the database holds.
            try:
                self._keep()
            except Exception as error:  # noqa: BLE001
                self._failure = error
                self._let_go()
        self._let_go()

    def _keep(self) -> None:
        began_ns = time.monotonic_ns()
        self._tape.sync()
        took_ns = time.monotonic_ns() - began_ns
        self._counters.add(self._at["syncs"], 1)
        slowest_ns = self._counters.get(self._at["sync_ns_max"])
        self._counters.set(self._at["sync_ns_max"], max(slowest_ns, took_ns))
        keep_slugs(self._runtime)
        if self._uses_database:
            if self._projector is None:
                database = self._runtime.state(DATABASE_FILE)
                self._projector = Projector.to_sqlite(self._tape.path, database)
            self._counters.add(self._at["sqlite_rows"], self._projector.catch_up())

    def _let_go(self) -> None:
        if self._projector is not None:
            self._projector.close()
            self._projector = None


def keep_slugs(runtime: RunFile) -> None:
    """Copy the slug file of the feeds beside the tape, where it outlives the run."""
    source, target = runtime.runtime_dir / SLUG_FILE, runtime.state(SLUG_FILE)
    if not source.exists():
        return
    if not target.exists() or source.stat().st_mtime_ns != target.stat().st_mtime_ns:
        shutil.copy2(source, target)


def make_way(directory: Path, run_id: int) -> None:
    """Move what earlier runs left in `directory` out of the way, under those runs' own names.

    Raises TapeError or StoreError where a file is there and is something else: nothing is ever
    overwritten.
    """
    tape, database, slugs = (directory / n for n in (TAPE_FILE, DATABASE_FILE, SLUG_FILE))
    # An empty file is a tape whose recorder died before it wrote anything.
    if tape.exists() and tape.stat().st_size:
        with TapeReader(tape) as reader:
            earlier = reader.header.run_id
        if earlier != run_id:
            _set_aside(tape, f"{earlier:016x}")
            _set_aside(slugs, f"{earlier:016x}")
    if database.exists() and (owner := projected_run(database)) != f"{run_id:016x}":
        _set_aside(database, owner)


def _set_aside(path: Path, owner: str) -> None:
    if path.exists():
        path.rename(path.with_stem(f"{path.stem}-{owner}"))
