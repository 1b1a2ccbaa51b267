"""The projection in SQLite: one file, write-ahead log, one writer, any number of readers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from engine.backoffice.catalog import Catalog, Listing
from engine.backoffice.fills import Fill
from engine.backoffice.ledger import Records, Step
from engine.backoffice.store.port import StoreError
from engine.backoffice.touches import SECOND_NS
from engine.tape.format import TapeHeader
from engine.wire.codes import Kind, Reason

_MIGRATIONS = ("0001_init.sql",)
_BUSY_S = 5.0
_REASONS = {int(reason): reason.name for reason in Reason}
_OPENED = (
    *("trace", "instrument", "strategy", "leg", "side", "tif", "post_only"),
    *("price", "size", "budget", "trigger_ns", "decided_ns"),
)
_STAGES = ("polled_ns", "signed_ns", "logged_ns", "sent_ns", "answered_ns")
_REPORTS = (Kind.SIGNED, Kind.ACK, Kind.REJECT, Kind.UNKNOWN, Kind.DONE)


class SqliteStore:
    """A projection in one file; see `engine.backoffice.store.port.Store`."""

    def __init__(
        self, path: Path, header: TapeHeader, strategies: Mapping[int, str], catalog: Catalog
    ) -> None:
        """Open or create the projection of the tape with this header.

        Raises StoreError for a database that is something else or belongs to another run.
        """
        self._path = path
        self._catalog = catalog
        self._run_id = f"{header.run_id:016x}"
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"database cannot be opened: file={path}, {error}") from None
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
            self._enrol(header, strategies)
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(f"database cannot be used: file={path}, {error}") from None
        except StoreError:
            self._db.close()
            raise

    def entries(self) -> int:
        """Return how many entries of the tape are already in it."""
        row = self._db.execute("SELECT entries FROM projection").fetchone()
        return int(row[0])

    def write(self, step: Step, entries: int) -> int:
        """Write a step in one transaction; return the rows written."""
        before = self._db.total_changes
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._write(step)
                self._db.execute(
                    "UPDATE projection SET entries = ?, lost = lost + ?, damaged = damaged + ?",
                    (entries, step.lost, step.damaged),
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"database refuses: file={self._path}, {error}") from None
        return self._db.total_changes - before

    def close(self) -> None:
        """Fold the write-ahead log back into the file and close."""
        self._db.close()

    def _migrate(self) -> None:
        """Bring the schema up to date; `user_version` counts the migrations applied."""
        done = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if done > len(_MIGRATIONS):
            raise StoreError(
                f"database is newer than this program: file={self._path}, "
                f"version={done}, known={len(_MIGRATIONS)}"
            )
        folder = resources.files("engine.backoffice.store") / "sql" / "sqlite"
        for number, name in enumerate(_MIGRATIONS[done:], start=done + 1):
            text = (folder / name).read_text()
            self._db.executescript(f"BEGIN;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")

    def _enrol(self, header: TapeHeader, strategies: Mapping[int, str]) -> None:
        found = self._db.execute("SELECT run_id FROM projection").fetchall()
        if found and found != [(self._run_id,)]:
            raise StoreError(
                f"database belongs to another run: file={self._path}, "
                f"run={found[0][0]}, ours={self._run_id}"
            )
        self._db.execute(
            "INSERT OR IGNORE INTO projection VALUES (?, ?, ?, 0, 0, 0)",
            (self._run_id, header.params_sha256.hex(), header.start_ns),
        )
        self._db.executemany("INSERT OR REPLACE INTO strategies VALUES (?, ?)", strategies.items())

    def _write(self, step: Step) -> None:
        execute = self._db.executemany
        if step.listings:
            unique = {listing.index: listing for listing in step.listings}.values()
            execute(_MARKET, map(self._market, unique))
            execute(_PAYOUT, [_payout(listing) for listing in unique if listing.is_resolved])
            execute(_INSTRUMENT, map(_instrument, unique))
        if Kind.NEW_ORDER in step.records:
            execute(_ORDER, _opened(step.records[Kind.NEW_ORDER]))
        if step.published:
            stamps = [(stamp, f"{order_id:016x}") for order_id, stamp in step.published]
            execute("UPDATE orders SET published_ns = ? WHERE order_id = ?", stamps)
        for kind, record in _reports(step):
            self._report(kind, record)
        if step.movements:
            execute(_FILL, (_fill(movement.fill) for movement in step.movements))
        if Kind.DECISION in step.records:
            execute(_DECISION, _decisions(step.records[Kind.DECISION].rows))
        if len(step.touches):
            execute(_TOUCH, _touches(step.touches))
        if step.equity:
            points = ((p.local_ns // SECOND_NS, p.venue_ns, p.cash, p.equity) for p in step.equity)
            execute("INSERT OR REPLACE INTO equity VALUES (?, ?, ?, ?)", points)

    def _report(self, kind: Kind, record: np.void) -> None:
        order_id = f"{int(record['order_id']):016x}"
        if kind is Kind.SIGNED:
            hashed = "0x" + record["order_hash"].tobytes().hex()
            self._db.execute(_SIGNED, (hashed, order_id))
        elif kind is Kind.DONE:
            self._db.execute(_DONE, (_reason(int(record["reason"])), order_id))
        else:
            reason = 0 if kind is Kind.ACK else int(record["reason"])
            stamps = [int(record[name]) for name in _STAGES]
            self._db.execute(_ANSWERED, (kind.name, _reason(reason), order_id))
            self._db.execute(_STAMPED, (*stamps, order_id))

    def _market(self, listing: Listing) -> tuple[Any, ...]:
        slug = self._catalog.slug(listing.index)
        window = (listing.open_s, listing.close_s, listing.status)
        return listing.condition_id, slug, int(listing.neg_risk), *window


def projected_run(path: Path) -> str:
    """Return the run a database is the projection of, "none" where it is empty.

    Raises StoreError for what is no such database. A log left by a crash is folded in.
    """
    try:
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            if db.execute("PRAGMA user_version").fetchone() == (0,):
                return "none"
            row = db.execute("SELECT run_id FROM projection").fetchone()
            return str(row[0]) if row else "none"
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreError(f"database cannot be used: file={path}, {error}") from None


_MARKET = """INSERT INTO markets VALUES (?, ?, ?, ?, ?, ?, NULL)
ON CONFLICT DO UPDATE SET slug = excluded.slug, status = excluded.status"""
_PAYOUT = "UPDATE markets SET payout_up = ? WHERE condition_id = ?"
_INSTRUMENT = "INSERT OR REPLACE INTO instruments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ORDER = f"""INSERT OR IGNORE INTO orders (order_id, sequence, state, reason, {", ".join(_OPENED)})
VALUES (?, ?, 'NEW_ORDER', 'OK'{", ?" * len(_OPENED)})"""  # noqa: S608  names of ours
_SIGNED = "UPDATE orders SET state = 'SIGNED', order_hash = ? WHERE order_id = ?"
_ANSWERED = "UPDATE orders SET state = ?, reason = ? WHERE order_id = ?"
_STAMPED = f"""UPDATE orders SET {", ".join(f"{name} = ?" for name in _STAGES)}
WHERE order_id = ? AND sent_ns = 0"""  # noqa: S608  names of ours
_DONE = "UPDATE orders SET state = 'DONE', reason = ? WHERE order_id = ?"
_FILL = """INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET settlement = excluded.settlement"""
_DECISION = """INSERT INTO decisions VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count"""
_TOUCH = "INSERT OR REPLACE INTO touches VALUES (?, ?, ?, ?, ?)"


def _reason(number: int) -> str:
    return _REASONS.get(number, str(number))


def _payout(listing: Listing) -> tuple[int, str]:
    payout_up = listing.payout if listing.outcome == 0 else 1_000_000 - listing.payout
    return payout_up, listing.condition_id


def _instrument(listing: Listing) -> tuple[Any, ...]:
    fee = (listing.fee_curve, listing.fee_rate_ppm, listing.fee_exponent)
    kin = (listing.condition_id, listing.outcome, listing.complement, listing.tick)
    return listing.index, listing.token_id, *kin, *fee


def _opened(records: Records) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of new orders, column by column out of the records."""
    rows = records.rows
    ids = [f"{order_id:016x}" for order_id in rows["order_id"].tolist()]
    columns = [rows[name].tolist() for name in _OPENED]
    return zip(ids, records.sequences.tolist(), *columns, strict=True)


def _reports(step: Step) -> Iterable[tuple[Kind, np.void]]:
    """Return what the signer said of orders, in tape order: the last word counts."""
    said = [(seq, kind, record) for kind in _REPORTS for record, seq in step.of(kind)]
    said.sort(key=lambda report: report[0])
    return [(kind, record) for _, kind, record in said]


def _fill(fill: Fill) -> tuple[Any, ...]:
    names = ("0x" + fill.trade_id.hex(), "0x" + fill.order_hash.hex(), fill.leg, fill.sequence)
    what = (fill.instrument, fill.side, fill.liquidity, fill.settlement)
    money = (fill.price, fill.size, fill.notional, fill.fee)
    return *names, *what, *money, fill.venue_ns, fill.local_ns


def _decisions(rows: np.ndarray) -> Iterator[tuple[int, int, str, int]]:
    """Yield how often each (instrument, strategy, reason) was decided."""
    keys = np.stack([rows[n].astype(np.int64) for n in ("instrument", "strategy", "reason")])
    found, counts = np.unique(keys, axis=1, return_counts=True)
    for (instrument, strategy, reason), count in zip(
        found.T.tolist(), counts.tolist(), strict=True
    ):
        yield instrument, strategy, _reason(reason), count


def _touches(touches: np.ndarray) -> Iterator[tuple[int, ...]]:
    columns = (
        touches["instrument"],
        touches["venue_ns"] // SECOND_NS,
        touches["bid"],
        touches["ask"],
        touches["local_ns"],
    )
    return zip(*(column.tolist() for column in columns), strict=True)
