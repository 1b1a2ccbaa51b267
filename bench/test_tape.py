"""The tape: what it costs to keep every record, and to understand it afterwards.

The recorder has a fraction of a core beside the trading processes and must keep up with some
20,000 records a second; where it does not, the ring laps it and the core halts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from engine.backoffice.ledger import Ledger
from engine.backoffice.projector import Projector
from engine.tape.format import ENTRY_BYTES, TapeHeader, damaged, seal
from engine.tape.reader import TapeReader
from engine.tape.writer import TapeWriter
from engine.wire.codes import Flag, Kind
from engine.wire.records import new, words

BATCH = 4096
RECORDS = 1 << 16
HEADER = TapeHeader(run_id=1, start_ns=0, clock_offset_ns=0, params_text='{"instruments_max":64}')


def book_rows(count: int) -> np.ndarray:
    """Book changes of 36 instruments as a busy feed sends them, ten milliseconds apart."""
    random = np.random.default_rng(1)
    made = new(Kind.LEVELS, count)
    made["instrument"] = 1 + np.arange(count) % 36
    made["flags"] = Flag.LAST
    made["flags"][:36] = Flag.LAST | Flag.RESET
    made["levels"]["price"][:, 0] = random.integers(1, 50, count) * 10_000
    made["levels"]["price"][:, 1] = random.integers(51, 100, count) * 10_000
    made["levels"]["side"][:, 1] = 1
    made["levels"]["size"][:, :2] = random.integers(1, 500, (count, 2)) * 1_000_000
    made["venue_ns"] = made["local_ns"] = np.arange(count) * 10_000_000
    return words(made)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A tape of 65,536 book records."""
    writer = TapeWriter(tmp_path / "t.ht", HEADER)
    writer.append(book_rows(RECORDS), 0)
    writer.close()
    return tmp_path / "t.ht"


def test_seal(benchmark: BenchmarkFixture) -> None:
    """Numbering and checksumming 4,096 records: a slower seal is a recorder that gets lapped."""
    rows, out = book_rows(BATCH), np.zeros((BATCH, ENTRY_BYTES), np.uint8)
    benchmark(seal, rows, 0, out)
    benchmark.extra_info["units"] = BATCH
    assert not damaged(out).any()


def test_append(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """4,096 records into the file, without waiting for the disk."""
    writer = TapeWriter(tmp_path / "t.ht", HEADER)
    rows = book_rows(BATCH)
    benchmark(lambda: writer.append(rows, writer.next_sequence))
    benchmark.extra_info["units"] = BATCH
    writer.close()


def test_read(benchmark: BenchmarkFixture, tape: Path) -> None:
    """65,536 records out of the file, each checked: the floor of every replay."""

    def read() -> int:
        with TapeReader(tape) as reader:
            return sum(len(piece.rows) for piece in reader.slices())

    assert benchmark(read) == RECORDS
    benchmark.extra_info["units"] = RECORDS


def test_ledger(benchmark: BenchmarkFixture, tape: Path) -> None:
    """65,536 book records understood: books kept, touches sampled. What a report waits for."""

    def understand() -> int:
        ledger = Ledger(HEADER)
        with TapeReader(tape) as reader:
            return sum(len(ledger.apply(piece).touches) for piece in reader.slices())

    assert benchmark(understand) > 0
    benchmark.extra_info["units"] = RECORDS


def test_project(benchmark: BenchmarkFixture, tape: Path) -> None:
    """The same into SQLite: how fast a database is rebuilt, and how far it can fall behind."""

    def project() -> int:
        database = tape.with_name("h.db")
        database.unlink(missing_ok=True)
        projector = Projector.to_sqlite(tape, database)
        rows = projector.catch_up()
        projector.close()
        return rows

    assert benchmark(project) > 0
    benchmark.extra_info["units"] = RECORDS
