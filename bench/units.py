"""The units of work by which two versions of this project are compared, and a process to time them.

`python bench/units.py` serves the version it lies in (`peers.lines` has the protocol): `digests`
says what each unit computed, so that a version that does less is not called faster, and `time`
returns nanoseconds a call. The process never compares anything: `gate.py` does.
"""

from __future__ import annotations

import gc
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from core_driver import UP as UP_INDEX
from core_driver import book as book_records
from core_driver import levels
from feeds_support import DOWN, UP, book, change, compact, price_change, registry, spaced
from peers.lines import serve
from signing import FULL, ORDERS, Desk

from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.core import kernel
from engine.core.world.books import Books
from engine.math.units import text_from_micros
from engine.wire.codes import Side
from engine.wire.records import RECORD_WORDS, words
from feeds import clob_scan

LOCAL_NS = 1_800_000_000_000_000_000
RUN_ID = 1
RING_RECORDS = 256
BOOK_FRAMES = 400
BOOKS = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """What is timed. calls: how many make up a sample of some hundred microseconds."""

    call: Callable[[], object]
    calls: int
    digest: Callable[[], str]


def decode() -> Unit:
    """A burst of frames as a busy market sends them: one change, two, ten, and a book."""
    entries = [
        change(UP if k % 2 else DOWN, f"0.{30 + k}", f"{10 + k}.5", "BUY" if k % 2 else "SELL")
        for k in range(10)
    ]
    bids, asks = (
        [(f"0.{k}", f"{100 + k}.25") for k in ks] for ks in (range(10, 50), range(51, 91))
    )
    texts = [spaced(price_change(*entries[:n])) for n in (1, 2, 2, 10)]
    frames = [np.frombuffer(text, np.uint8) for text in (*texts, compact(book(bids, asks)))]
    table = registry().table
    out = np.zeros((64, RECORD_WORDS), np.int64)

    def call() -> int:
        rows = 0
        for frame in frames:
            rows += clob_scan.scan(frame, LOCAL_NS, table.slots, table.rows, out)
        return rows

    return Unit(call, 8, lambda: f"{call()} {_digest(out)}")


def book_apply() -> Unit:
    """Frames of five changes around the touch, a third of them removals, applied in one call."""
    chance = random.Random(1)
    frames = []
    for _ in range(BOOK_FRAMES):
        changes = []
        for _ in range(5):
            side = chance.choice(list(Side))
            cell = chance.randint(30, 49) if side == Side.BUY else chance.randint(51, 70)
            size = 0 if chance.random() < 0.35 else chance.randint(1, 50_000) * 10_000
            changes.append((text_from_micros(cell * 10_000), text_from_micros(size), side))
        frames.append(words(levels(UP_INDEX, changes, 0, 0)))
    rows = np.concatenate(frames)
    books, dirty = Books(BOOKS), np.zeros(BOOKS, np.int64)
    arrays = books.sizes, books.bits, books.tops, dirty
    sides = {f"0.{k:02}": "1" for k in range(1, 50)}, {f"0.{k}": "1" for k in range(51, 100)}
    first = words(book_records(UP_INDEX, *sides))
    kernel.apply_market_data(first, 0, len(first), 1, *arrays)

    def call() -> int:
        applied: int = kernel.apply_market_data(rows, 0, len(rows), 1, *arrays)
        return applied

    return Unit(call, 4, lambda: f"{call()} {_digest(books.sizes)} {_digest(books.bits)}")


def sign() -> Unit:
    """A decided order to its whole request with a full, deterministic signature."""
    desk = Desk(FULL)
    return Unit(desk.request, 3, lambda: _requests(desk))


def ring() -> Unit:
    """A queue's records offered and polled again, eight at a time and many at a time."""
    handle, name = tempfile.mkstemp(prefix="halftick-gate-", dir=_shared_memory())
    os.close(handle)
    path = Path(name)
    path.unlink()
    create_ring(path, Discipline.QUEUE, 1024, RUN_ID)
    writer, reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
    path.unlink()
    rows = np.arange(RING_RECORDS * RECORD_WORDS, dtype=np.int64).reshape(-1, RECORD_WORDS)
    out = np.zeros_like(rows)
    some = rows[:8]

    def call() -> int:
        writer.offer(some)
        taken = reader.poll(out)
        writer.offer(rows)
        return taken + reader.poll(out)

    return Unit(call, 8, lambda: f"{call()} {_digest(out)}")


UNITS = {"decode": decode, "book": book_apply, "sign": sign, "ring": ring}


class Stand:
    """The units of this version, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Unit] = {}

    def digests(self, names: list[str]) -> dict[str, str]:
        """Make the units; return what each of them computed."""
        found = {name: self._unit(name).digest() for name in names}
        gc.collect()
        gc.freeze()
        gc.disable()
        return found

    def time(self, name: str, samples: int) -> list[float]:
        """Return nanoseconds a call, a value a sample."""
        unit = self._unit(name)
        spent = []
        for _ in range(samples):
            began_ns = time.perf_counter_ns()
            for _ in range(unit.calls):
                unit.call()
            spent.append((time.perf_counter_ns() - began_ns) / unit.calls)
        return spent

    def _unit(self, name: str) -> Unit:
        if name not in self._made:
            self._made[name] = UNITS[name]()
        return self._made[name]


def _requests(desk: Desk) -> str:
    return hashlib.sha256(b"".join(desk.request() for _ in range(ORDERS))).hexdigest()[:16]


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def _shared_memory() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def _root() -> Path:
    """Where the engine that is timed was imported from."""
    return Path(kernel.__file__).resolve().parents[2]


if __name__ == "__main__":
    stand = Stand()
    serve({"root": lambda: str(_root()), "digests": stand.digests, "time": stand.time})
