"""The database is a function of the tape: interrupted or not, and equal to the summary."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from replay.tape_builder import TapeBuilder, demo_tape, fill, instrument

from engine.backoffice.projector import Projector
from engine.backoffice.store.port import StoreError
from engine.backoffice.summary import summarize
from engine.tape.reader import TapeReader
from engine.tape.writer import TapeWriter
from engine.wire.codes import Settlement

TABLES = (
    *("strategies", "markets", "instruments", "orders", "fills", "decisions", "touches"),
    *("equity", "latency", "positions"),
)


def query(database: Path, text: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    with closing(sqlite3.connect(database)) as db:
        return db.execute(text).fetchall()


def content(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in it, in a fixed order."""
    return {table: sorted(query(database, f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def project(tape: Path, database: Path) -> int:
    """Bring a database up to date; return the rows written."""
    projector = Projector.to_sqlite(tape, database)
    try:
        return projector.catch_up()
    finally:
        projector.close()


def test_the_database_agrees_with_the_summary(tmp_path: Path):
    """Orders, fills, fees, profit and latency are the same numbers in both."""
    tape = demo_tape(tmp_path, markets=3)
    project(tape, tmp_path / "h.db")
    summary = summarize(tape)
    total = summary.total
    database = tmp_path / "h.db"
    assert query(database, "SELECT count(*) FROM orders") == [(total.orders,)]
    assert query(database, "SELECT count(*), sum(fee), sum(notional) FROM fills") == [
        (total.fills, total.fees, total.volume)
    ]
    assert query(database, "SELECT equity FROM equity ORDER BY local_s DESC LIMIT 1") == [
        (total.pnl,)
    ]
    assert sorted(query(database, "SELECT tick_to_trade FROM latency")) == [
        (ns,) for ns in sorted(summary.latency.samples_ns.tolist())
    ]
    assert query(database, "SELECT slug FROM markets ORDER BY open_s") == [
        (market.slug,) for market in summary.markets
    ]


@pytest.mark.parametrize("pieces", [2, 7, 40])
def test_an_interrupted_projection_equals_one_in_a_single_go(tmp_path: Path, pieces: int):
    """Wherever the projector was stopped and started again, the tables are the same."""
    whole = demo_tape(tmp_path, markets=2)
    project(whole, tmp_path / "whole.db")
    with TapeReader(whole) as reader:
        rows = next(reader.slices(limit=len(reader))).rows
        header = reader.header
    part = tmp_path / "part.ht"
    size = -(-len(rows) // pieces)
    for start in range(0, len(rows), size):
        writer = TapeWriter(part, header)
        writer.append(rows[start : start + size], start)
        writer.close()
        project(part, tmp_path / "part.db")
    assert content(tmp_path / "part.db") == content(tmp_path / "whole.db")


def test_projecting_again_changes_nothing(tmp_path: Path):
    """A database that is up to date stays as it is."""
    tape = demo_tape(tmp_path, markets=1)
    project(tape, tmp_path / "h.db")
    before = content(tmp_path / "h.db")
    assert project(tape, tmp_path / "h.db") == 0
    assert content(tmp_path / "h.db") == before


def test_a_failed_fill_leaves_the_positions(tmp_path: Path):
    """The fill stays in the table as failed, and counts no longer."""
    tape = TapeBuilder()
    tape.batch([instrument(1, 0, 0), instrument(2, 1, 0)])
    tape.batch([fill(1, 1, 400_000, 5_000_000), fill(2, 1, 400_000, 3_000_000)])
    tape.batch([fill(1, 1, 400_000, 5_000_000, settlement=Settlement.FAILED)])
    project(tape.write(tmp_path / "t.ht"), tmp_path / "h.db")
    assert query(tmp_path / "h.db", "SELECT fills, shares FROM positions") == [(1, 3_000_000)]
    assert query(tmp_path / "h.db", "SELECT settlement FROM fills ORDER BY size DESC") == [
        (Settlement.FAILED,),
        (Settlement.MATCHED,),
    ]


def test_a_database_of_another_run_is_refused(tmp_path: Path):
    """Two runs are never mixed in one database."""
    (tmp_path / "a").mkdir()
    project(demo_tape(tmp_path / "a", markets=1), tmp_path / "h.db")
    other = TapeBuilder()
    other.header = type(other.header)(2, other.header.start_ns, 0, "{}")
    with pytest.raises(StoreError, match="another run: file="):
        project(other.write(tmp_path / "b.ht"), tmp_path / "h.db")


def test_a_database_from_the_future_is_refused(tmp_path: Path):
    """A schema this program does not know is left alone."""
    tape = demo_tape(tmp_path, markets=1)
    with closing(sqlite3.connect(tmp_path / "h.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version=99"):
        project(tape, tmp_path / "h.db")
