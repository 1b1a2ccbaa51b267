"""The patient decoder of the market channel: every frame the scanner does not take.

A frame is all or nothing: either all of its records come back, or MalformedFrame is raised and
nothing in the registry has changed. Event types nobody told us about are counted and skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from engine.wire.codes import Flag, Kind, MarketStatus, Side, Source
from engine.wire.records import LEVELS_PER_RECORD, new, words
from feeds.clob_levels import LEVELS_PER_BOOK_MAX, PRICE_UNIT
from feeds.instruments import Instruments, status_row
from feeds.json_shape import Shape, shape
from feeds.numbers import MICROS, micros, token_number, venue_ns
from feeds.port import MalformedFrame

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
HASH_DIGITS = 40
IGNORED_EVENTS = frozenset({"new_market"})
# Events that say nothing about the levels of a book: refusing one leaves the books right.
BOOKLESS_EVENTS = frozenset({"last_trade_price", "best_bid_ask", "new_market", "market_resolved"})

Stamp = str | int
Level = tuple[int, int, int]  # side, price, size: micros


class LevelText(msgspec.Struct):
    """One level of a book."""

    price: str
    size: str


class Book(msgspec.Struct):
    """A full replacement of one token's book; bids ascend, asks descend."""

    asset_id: str
    timestamp: Stamp
    bids: list[LevelText]
    asks: list[LevelText]
    hash: str = ""
    tick_size: str = ""


class Change(msgspec.Struct):
    """A new absolute size at one price; best_bid and best_ask after the whole batch."""

    asset_id: str
    price: str
    size: str
    side: str
    hash: str = ""
    best_bid: str = ""
    best_ask: str = ""


class PriceChange(msgspec.Struct):
    """Some changes, usually of both tokens of a market."""

    timestamp: Stamp
    price_changes: list[Change]


class LastTrade(msgspec.Struct):
    """A public trade, in the taker's token and side."""

    asset_id: str
    price: str
    size: str
    side: str
    timestamp: Stamp


class TickSizeChange(msgspec.Struct):
    """The grid of a token's prices has changed."""

    asset_id: str
    new_tick_size: str
    timestamp: Stamp


class BestBidAsk(msgspec.Struct):
    """The touch, where the venue cares to say it."""

    asset_id: str
    best_bid: str
    best_ask: str
    timestamp: Stamp


class MarketResolved(msgspec.Struct):
    """The end of a market."""

    assets_ids: list[str]
    winning_asset_id: str
    timestamp: Stamp


class Head(msgspec.Struct):
    """What every event has."""

    event_type: str


@dataclass(slots=True)
class Decoded:
    """What a frame said. rows: int64[n, 16] each, in order; the rest is to be remembered."""

    rows: list[np.ndarray] = field(default_factory=list)
    ticks: dict[int, int] = field(default_factory=dict)
    resolved: dict[int, int] = field(default_factory=dict)
    books: list[int] = field(default_factory=list)
    unknown_events: int = 0
    unknown_ids: int = 0

    def records(self) -> np.ndarray:
        """Return all records in order, int64[n, 16]."""
        return np.concatenate(self.rows) if self.rows else np.empty((0, 16), np.int64)


def level_rows(
    index: int,
    levels: Sequence[Level],
    claim: tuple[int, int] | None,
    *,
    hash_prefix: int,
    is_book: bool,
    stamp_ns: int,
    local_ns: int,
) -> np.ndarray:
    """Return the LEVELS records of one instrument in one frame, int64[n, 16], n >= 1.

    claim: the venue's best bid and ask after the frame, micros; None where it does not say.
    """
    count = max(1, -(-len(levels) // LEVELS_PER_RECORD))
    records = new(Kind.LEVELS, count)
    records["source"] = Source.CLOB_MARKET
    records["instrument"] = index
    records["venue_ns"] = stamp_ns
    records["local_ns"] = local_ns
    cells = records["levels"]
    for k, (side, price, size) in enumerate(levels):
        cell = cells[k // LEVELS_PER_RECORD, k % LEVELS_PER_RECORD]
        cell["side"], cell["price"], cell["size"] = side, price, size
    if is_book:
        records["flags"][0] |= Flag.RESET
    records["flags"][-1] |= Flag.LAST
    records["hash_prefix"][-1] = hash_prefix
    if claim is not None:
        records["flags"][-1] |= Flag.TOUCH
        records["best_bid"][-1], records["best_ask"][-1] = claim
    return words(records)


def level_of(side: Side, price: str, size: str) -> Level:
    """Return a level in micros; ValueError for a price off (0, 1) or finer than any tick."""
    price_micros = micros(price)
    if not 0 < price_micros < MICROS or price_micros % PRICE_UNIT:
        raise ValueError(f"price must be inside (0, 1) and on a grid: price={price!r}")
    return int(side), price_micros, micros(size)


def touch_price(text: str) -> int:
    """Return a best price in micros; the empty side's 0 and 1 included."""
    price = micros(text)
    if price > MICROS:
        raise ValueError(f"best price must not exceed 1: price={text!r}")
    return price


def side_of(text: str) -> Side:
    """Return BUY or SELL; ValueError for anything else."""
    if text not in SIDES:
        raise ValueError(f"side must be BUY or SELL: side={text[:20]!r}")
    return SIDES[text]


def hash_prefix(text: str) -> int:
    """Return the first eight bytes of a book hash, 0 where it is no hash (a hint, never more)."""
    digits = text[:16]
    if len(text) != HASH_DIGITS or not all(c in "0123456789abcdef" for c in digits):
        return 0
    return int(digits, 16)


class PatientDecoder:
    """Reads frames by their types, one struct for each event the venue documents."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._head = msgspec.json.Decoder(Head)
        self._list = msgspec.json.Decoder(list[msgspec.Raw])
        self._readers: dict[str, tuple[Any, Callable[[Any, int, Decoded], None]]] = {
            "book": (msgspec.json.Decoder(Book), self._book),
            "price_change": (msgspec.json.Decoder(PriceChange), self._price_change),
            "last_trade_price": (msgspec.json.Decoder(LastTrade), self._trade),
            "tick_size_change": (msgspec.json.Decoder(TickSizeChange), self._tick),
            "best_bid_ask": (msgspec.json.Decoder(BestBidAsk), self._touch),
            "market_resolved": (msgspec.json.Decoder(MarketResolved), self._resolved),
        }

    def decode(self, frame: bytes, local_ns: int) -> Decoded:
        """Return everything a frame says; MalformedFrame if any part of it makes no sense."""
        found = Shape(shape(np.frombuffer(frame, np.uint8)))
        if found is not Shape.FINE:
            raise MalformedFrame(f"shape refused: {found.name.lower()}")
        event = ""
        decoded = Decoded()
        try:
            frame.decode("utf-8")
            is_list = frame.lstrip()[:1] == b"["
            for raw in self._list.decode(frame) if is_list else [frame]:
                event = self._head.decode(raw).event_type
                self._event(event, raw, local_ns, decoded)
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            reason = f"{event or 'frame'} refused: {error}"
            raise MalformedFrame(reason, is_book_lost=event not in BOOKLESS_EVENTS) from None
        return decoded

    def _event(self, event: str, raw: Any, local_ns: int, decoded: Decoded) -> None:
        reader = self._readers.get(event)
        if reader is not None:
            decoder, read = reader
            read(decoder.decode(raw), local_ns, decoded)
        elif event not in IGNORED_EVENTS:
            decoded.unknown_events += 1

    def _index(self, token_id: str, decoded: Decoded) -> int:
        token_number(token_id)
        index = self._instruments.table.find(token_id)
        if index == 0:
            decoded.unknown_ids += 1
        return index

    def _tick_row(
        self, index: int, text: str, stamp_ns: int, local_ns: int, decoded: Decoded
    ) -> None:
        tick = micros(text)
        if not 0 < tick < MICROS:
            raise ValueError(f"tick must be inside (0, 1): tick={text!r}")
        if tick == decoded.ticks.get(index, self._instruments.tick(index)):
            return
        decoded.ticks[index] = tick
        known = self._instruments.get(index)
        decoded.rows.append(
            status_row(
                index,
                known.status,
                source=Source.CLOB_MARKET,
                local_ns=local_ns,
                venue_ns=stamp_ns,
                tick=tick,
                payout=known.payout,
            )
        )

    def _book(self, book: Book, local_ns: int, decoded: Decoded) -> None:
        stamp_ns = venue_ns(book.timestamp)
        if len(book.bids) + len(book.asks) > LEVELS_PER_BOOK_MAX:
            raise ValueError(f"book too long: levels={len(book.bids) + len(book.asks)}")
        bids = [level_of(Side.BUY, each.price, each.size) for each in book.bids]
        asks = [level_of(Side.SELL, each.price, each.size) for each in book.asks]
        index = self._index(book.asset_id, decoded)
        if index == 0:
            return
        if book.tick_size:
            self._tick_row(index, book.tick_size, stamp_ns, local_ns, decoded)
        best_bid = max((price for _, price, size in bids if size), default=0)
        best_ask = min((price for _, price, size in asks if size), default=MICROS)
        decoded.books.append(index)
        decoded.rows.append(
            level_rows(
                index,
                bids + asks,
                (best_bid, best_ask),
                hash_prefix=hash_prefix(book.hash),
                is_book=True,
                stamp_ns=stamp_ns,
                local_ns=local_ns,
            )
        )

    def _price_change(self, change: PriceChange, local_ns: int, decoded: Decoded) -> None:
        stamp_ns = venue_ns(change.timestamp)
        levels: dict[int, list[Level]] = {}
        last: dict[int, Change] = {}
        for entry in change.price_changes:
            level = level_of(side_of(entry.side), entry.price, entry.size)
            index = self._index(entry.asset_id, decoded)
            if index:
                levels.setdefault(index, []).append(level)
                last[index] = entry
        for index, changed in levels.items():
            entry = last[index]
            claim = None
            if entry.best_bid and entry.best_ask:
                claim = touch_price(entry.best_bid), touch_price(entry.best_ask)
            decoded.rows.append(
                level_rows(
                    index,
                    changed,
                    claim,
                    hash_prefix=hash_prefix(entry.hash),
                    is_book=False,
                    stamp_ns=stamp_ns,
                    local_ns=local_ns,
                )
            )

    def _trade(self, trade: LastTrade, local_ns: int, decoded: Decoded) -> None:
        record = new(Kind.TRADE)
        record["venue_ns"] = venue_ns(trade.timestamp)
        record["side"], record["price"], record["size"] = level_of(
            side_of(trade.side), trade.price, trade.size
        )
        self._market_record(record, trade.asset_id, local_ns, decoded)

    def _touch(self, touch: BestBidAsk, local_ns: int, decoded: Decoded) -> None:
        record = new(Kind.BBO)
        record["venue_ns"] = venue_ns(touch.timestamp)
        record["bid"], record["ask"] = touch_price(touch.best_bid), touch_price(touch.best_ask)
        self._market_record(record, touch.asset_id, local_ns, decoded)

    def _market_record(
        self, record: np.ndarray, token_id: str, local_ns: int, decoded: Decoded
    ) -> None:
        index = self._index(token_id, decoded)
        if index:
            record["source"] = Source.CLOB_MARKET
            record["instrument"] = index
            record["local_ns"] = local_ns
            decoded.rows.append(words(record))

    def _tick(self, change: TickSizeChange, local_ns: int, decoded: Decoded) -> None:
        stamp_ns = venue_ns(change.timestamp)
        index = self._index(change.asset_id, decoded)
        if index:
            self._tick_row(index, change.new_tick_size, stamp_ns, local_ns, decoded)

    def _resolved(self, end: MarketResolved, local_ns: int, decoded: Decoded) -> None:
        stamp_ns = venue_ns(end.timestamp)
        if end.winning_asset_id not in end.assets_ids:
            raise ValueError(f"winner is no token of the market: token={end.winning_asset_id[:80]}")
        for token_id in end.assets_ids:
            index = self._index(token_id, decoded)
            if index == 0 or self._instruments.get(index).is_resolved:
                continue
            payout = MICROS if token_id == end.winning_asset_id else 0
            decoded.resolved[index] = payout
            decoded.rows.append(
                status_row(
                    index,
                    MarketStatus.RESOLVED,
                    source=Source.CLOB_MARKET,
                    local_ns=local_ns,
                    venue_ns=stamp_ns,
                    payout=payout,
                )
            )
