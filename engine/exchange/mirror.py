"""Drives a venue from live market data: paper trading. The clock is real time.

The books come from the ring the market feed writes, the same records the core reads. The ring is
made after the venue is up, so the mirror waits for it. A book is shown when its frame is complete,
and forgotten (no orders are accepted on it) when records were lost or the connection dropped,
until the feed sends a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.bus.ring import BroadcastReader, RingError
from engine.bus.shm import BusError
from engine.exchange.books import Levels
from engine.exchange.listing import Listing
from engine.exchange.market import FeeRule, Market
from engine.exchange.player import Progress
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.host.clock import Clock
from engine.host.errors import RefuseError
from engine.host.runfile import RunFile
from engine.wire.codes import Connection, Flag, Kind, MarketStatus, Side, Source
from engine.wire.records import RECORD_WORDS, typed

TURN_S = 0.001
ATTACH_S = 0.05
BATCH_RECORDS_MAX = 1_024


class Feed:
    """One instrument as it is being told: `bids` and `asks` between two complete frames."""

    __slots__ = ("asks", "bids", "is_whole", "listing", "outcome")

    def __init__(self, listing: Listing, outcome: int) -> None:
        self.listing = listing
        self.outcome = outcome
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.is_whole = False


class Mirror:
    """Reads a broadcast ring and shows a venue what it says. Turns are loop callbacks."""

    __slots__ = (
        "_apply",
        "_clock",
        "_feeds",
        "_first_ms",
        "_halves",
        "_handle",
        "_lost",
        "_path",
        "_played",
        "_reader",
        "_rows",
        "_run_id",
        "_venue",
    )

    def __init__(self, path: Path, run_id: int, venue: Venue) -> None:
        """path: the ring, which may not exist yet.  run_id: its owner's, 0 = that of the
        run file beside it."""
        self._path = path
        self._run_id = run_id
        self._venue = venue
        self._clock = Clock.anchored()
        self._first_ms = self._now_ms
        venue.schedule.advance(self._first_ms)
        self._reader: BroadcastReader | None = None
        self._rows = np.zeros((BATCH_RECORDS_MAX, RECORD_WORDS), np.int64)
        self._halves: dict[bytes, Any] = {}  # the first instrument seen of each condition
        self._feeds: dict[int, Feed] = {}
        self._lost = 0
        self._played = 0
        self._handle: asyncio.Handle | None = None
        self._apply: dict[int, Callable[[Any], None]] = {
            Kind.INSTRUMENT: self._instrument,
            Kind.LEVELS: self._levels,
            Kind.TRADE: self._trade,
            Kind.STATUS: self._status,
            Kind.FEED_STATUS: self._feed_status,
        }

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._handle is None:
            self._turn()

    def stop(self) -> None:
        """End for good and leave the ring."""
        if self._handle is not None:
            self._handle.cancel()
        if self._reader is not None:
            self._reader.close()

    def progress(self) -> Progress:
        """Return what was read so far; it is never done."""
        now_ms = self._now_ms
        played = self._played
        return Progress(now_ms, self._first_ms, now_ms, played, played, False, "")

    def feed(self, rows: np.ndarray) -> None:
        """Show what these records say, int64[n, 16], in order."""
        for row in rows:
            kind = int(row[0]) & 0xFFFF
            apply = self._apply.get(kind)
            if apply is not None:
                apply(typed(row[None, :], Kind(kind))[0])
        self._played += len(rows)

    def _turn(self) -> None:
        wait_s = TURN_S
        if self._reader is None:
            self._reader = self._attach()
            wait_s = ATTACH_S if self._reader is None else TURN_S
        self._venue.schedule.advance(self._now_ms)
        if self._reader is not None:
            count = self._reader.poll(self._rows)
            if self._reader.lost != self._lost:
                self._lost = self._reader.lost
                self._forget()
            self.feed(self._rows[:count])
        self._handle = asyncio.get_running_loop().call_later(wait_s, self._turn)

    def _attach(self) -> BroadcastReader | None:
        try:
            run_id = self._run_id or RunFile.load(self._path.parent).run_id
            return BroadcastReader(self._path, run_id, from_start=True)
        except (BusError, RingError, RefuseError):
            return None  # not made yet, or not all of it

    @property
    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _instrument(self, record: Any) -> None:
        """List a market once both of its tokens are known."""
        condition = record["condition_id"].tobytes()
        first = self._halves.setdefault(condition, record.copy())
        outcome = int(record["outcome"])
        if int(first["outcome"]) == outcome or int(record["instrument"]) in self._feeds:
            return
        up, down = (first, record) if outcome else (record, first)
        condition_id = "0x" + condition.hex()
        listing = self._venue.open_market(
            Market(
                slug=condition_id,
                condition_id=condition_id,
                question="",
                tokens=(_token(up), _token(down)),
                start_ms=int(record["open_s"]) * 1_000,
                end_ms=int(record["close_s"]) * 1_000,
                tick=int(record["tick"]),
                min_size=int(record["min_size_cents"]) * 10_000,
                neg_risk=bool(record["neg_risk"]),
                generation=int(record["generation"]),
                fee=FeeRule(
                    int(record["fee_curve"]),
                    int(record["fee_rate_ppm"]),
                    int(record["fee_exponent"]),
                ),
            )
        )
        for half in (up, down):
            self._feeds[int(half["instrument"])] = Feed(listing, int(half["outcome"]))

    def _levels(self, record: Any) -> None:
        """Collect a frame; show the book after its last record."""
        feed = self._feeds.get(int(record["instrument"]))
        if feed is None:
            return
        flags = int(record["flags"])
        if flags & Flag.RESET:
            feed.bids, feed.asks, feed.is_whole = {}, {}, True
        for price, side, size in record["levels"][["price", "side", "size"]].tolist():
            if not 0 < price < MICROS:
                continue
            levels = feed.bids if side == Side.BUY else feed.asks
            if size > 0:
                levels[price] = size
            else:
                levels.pop(price, None)
        if feed.is_whole and flags & Flag.LAST:
            self._venue.show(feed.listing, [(feed.outcome, dict(feed.bids), dict(feed.asks))])

    def _trade(self, record: Any) -> None:
        feed = self._feeds.get(int(record["instrument"]))
        price, size, side = (int(record[name]) for name in ("price", "size", "side"))
        if feed is not None and feed.is_whole and 0 < price < MICROS and size > 0:
            self._venue.show_trade(feed.listing, feed.outcome, side, price, size)

    def _status(self, record: Any) -> None:
        """Follow tick changes, closing and resolution."""
        feed = self._feeds.get(int(record["instrument"]))
        if feed is None:
            return
        listing, tick, payout = feed.listing, int(record["tick"]), int(record["payout"])
        if tick:
            listing.tick = tick
        if int(record["status"]) == MarketStatus.RESOLVED and 0 <= payout <= MICROS:
            other = MICROS - payout
            self._venue.resolve(listing, (other, payout) if feed.outcome else (payout, other))
        elif int(record["status"]) == MarketStatus.CLOSED:
            self._venue.close(listing)

    def _feed_status(self, record: Any) -> None:
        lost = int(record["connection"]) == Connection.DISCONNECTED
        if lost and int(record["source"]) == Source.CLOB_MARKET:
            self._forget()

    def _forget(self) -> None:
        """Believe no book until the feed has sent it whole."""
        for feed in self._feeds.values():
            feed.is_whole = False
            feed.listing.pool.books[feed.outcome].forget()


def _token(record: Any) -> int:
    return int.from_bytes(record["token_id"].tobytes(), "big")
