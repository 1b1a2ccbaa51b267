"""Paper trading: the venue's books are those the market feed writes to its ring."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from deadlines import PATIENCE_S
from exchange_support import BIDS, CONDITION, levels

from engine.bus.ring import BroadcastWriter, Discipline, create_ring
from engine.exchange.accounts import Accounts
from engine.exchange.events import Silence
from engine.exchange.mirror import Mirror
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Schedule
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.host.runfile import RunFile
from engine.wire.codes import Connection, FeeCurve, Flag, Kind, MarketStatus, Side, Source
from engine.wire.records import new, words

FAR_S = 4_000_000_000
WHOLE = Flag.RESET | Flag.LAST


def instruments() -> np.ndarray:
    """Return the two INSTRUMENT records of a market, indices 1 and 2."""
    rows = new(Kind.INSTRUMENT, 2)
    for outcome, row in enumerate(rows):
        row["instrument"] = outcome + 1
        row["token_id"] = (77 + outcome).to_bytes(32, "big")
        row["condition_id"] = bytes.fromhex(CONDITION[2:])
        row["complement"] = 2 - outcome
        row["generation"] = 2
        row["outcome"] = outcome
        row["fee_curve"] = FeeCurve.V2
        row["fee_rate_ppm"] = 70_000
        row["fee_exponent"] = 1
        row["tick"] = 10_000
        row["min_size_cents"] = 500
        row["close_s"] = FAR_S
    return words(rows)


def level_rows(instrument: int, flags: int, rows: Any, side: Side = Side.BUY) -> np.ndarray:
    """Return one LEVELS record."""
    record = new(Kind.LEVELS)
    record["instrument"], record["flags"] = instrument, flags
    for place, (price, size) in enumerate(rows.items()):
        record["levels"][0, place] = (price, side, b"", size)
    return words(record)


def one(kind: Kind, **fields: int) -> np.ndarray:
    """Return one record of a kind."""
    record = new(kind)
    for name, value in fields.items():
        record[name] = value
    return words(record)


def mirror_of(path: Path = Path("absent.ring")) -> tuple[Mirror, Venue]:
    """Return a mirror and its venue."""
    venue = Venue(VenueRules(), Schedule(), Accounts("x"), TruthLedger(), Silence())
    return Mirror(path, 0, venue), venue


def test_books_follow_the_records():
    """A market is listed once both tokens are known; a book is shown after its last record."""
    mirror, venue = mirror_of()
    mirror.feed(instruments()[:1])
    assert venue.listings == {}
    mirror.feed(instruments())
    (listing,) = venue.listings.values()
    assert (listing.market.tokens, listing.market.min_size) == ((77, 78), 5_000_000)
    mirror.feed(level_rows(1, Flag.LAST, levels(BIDS)))
    assert not listing.pool.books[0].known
    mirror.feed(level_rows(1, WHOLE, levels(BIDS)))
    assert listing.pool.books[0].bids == levels(BIDS)
    mirror.feed(level_rows(1, Flag.LAST, {480_000: 0, 460_000: 5}))
    assert listing.pool.books[0].bids == {470_000: 50_000_000, 460_000: 5}


def test_a_lost_connection_forgets_the_books():
    """After a disconnect no book is believed until it came whole again."""
    mirror, venue = mirror_of()
    mirror.feed(instruments())
    mirror.feed(level_rows(1, WHOLE, levels(BIDS)))
    (listing,) = venue.listings.values()
    lost = {"source": Source.CLOB_MARKET, "connection": Connection.DISCONNECTED}
    mirror.feed(one(Kind.FEED_STATUS, **lost))
    mirror.feed(level_rows(1, Flag.LAST, {460_000: 5}))
    assert not listing.pool.books[0].known
    mirror.feed(level_rows(1, WHOLE, {460_000: 5}))
    assert listing.pool.books[0].bids == {460_000: 5}


def test_status_moves_tick_and_resolution():
    """STATUS carries the finer tick, and the payout of either token resolves the market."""
    mirror, venue = mirror_of()
    mirror.feed(instruments())
    (listing,) = venue.listings.values()
    mirror.feed(one(Kind.STATUS, instrument=1, status=MarketStatus.OPEN, tick=1_000, payout=-1))
    assert listing.tick == 1_000
    mirror.feed(one(Kind.STATUS, instrument=2, status=MarketStatus.CLOSED, payout=-1))
    assert listing.status == MarketStatus.CLOSED
    mirror.feed(one(Kind.STATUS, instrument=2, status=MarketStatus.RESOLVED, payout=1_000_000))
    assert listing.payouts == (0, 1_000_000)


async def test_the_mirror_waits_for_its_ring(tmp_path: Path):
    """The ring is made after the venue: the mirror attaches to it, with the run's own id."""
    path = tmp_path / "md.market.ring"
    mirror, venue = mirror_of(path)
    mirror.start()
    RunFile(42, 0, {}, str(tmp_path)).save(tmp_path)
    create_ring(path, Discipline.BROADCAST, 64, 42)
    writer = BroadcastWriter(path, 42)
    writer.publish(instruments())
    async with asyncio.timeout(PATIENCE_S):
        while not venue.listings:
            await asyncio.sleep(0.001)
    assert mirror.progress().played == 2
    mirror.stop()
    writer.close()
