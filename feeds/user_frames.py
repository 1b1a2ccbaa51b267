"""The account's messages to ORDER_STATE and FILL records: only what is news, record by record.

One record that makes no sense costs nothing but itself: the others of its message or answer are
told, and it is kept as a line for the error log, in which no secret of ours is quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from engine.host.secrets import Account
from engine.wire.codes import Flag, Kind, Liquidity, Source
from engine.wire.records import RECORD_WORDS, new, words
from feeds.dedupe import Fills, Moment, Orders
from feeds.instruments import Instrument, Instruments
from feeds.json_shape import Shape, shape
from feeds.port import MalformedFrame
from feeds.user_objects import (
    FEE_UNSAID,
    FillValue,
    Identity,
    OrderObject,
    OrderValue,
    TradeObject,
    fill_values,
    order_value,
)

ORDER_TYPES = frozenset({"placement", "update", "cancellation"})
REASONS_MAX = 8  # of one message: the rest is only counted
NOTHING_KNOWN: frozenset[str] = frozenset()

Value = OrderValue | FillValue


class Head(msgspec.Struct):
    """What tells the objects apart: `event_type`, or `type` where the stream leaves it out."""

    event_type: str = ""
    type: str = ""


@dataclass(slots=True)
class News:
    """What a message said that was not known before.

    rows: int64[1, 16] each.  foreign: about tokens not in the registry, which foreign_tokens names.
    traded: instruments with a fill, news or not.  partless: trades in which no part was found to be
    ours, so that only reading back can tell.  unreadable: records nothing was taken from; reasons
    says why, of the first ones.
    """

    rows: list[np.ndarray] = field(default_factory=list)
    fills: int = 0
    order_states: int = 0
    duplicates: int = 0
    foreign: int = 0
    partless: int = 0
    unknown_events: int = 0
    unreadable: int = 0
    reasons: list[str] = field(default_factory=list)
    foreign_tokens: set[str] = field(default_factory=set)
    traded: set[int] = field(default_factory=set)

    def records(self) -> np.ndarray:
        """Return all records in order, int64[n, 16]."""
        return np.concatenate(self.rows) if self.rows else np.empty((0, RECORD_WORDS), np.int64)


@dataclass(frozen=True, slots=True)
class _Told:
    """How values came: what their records say of it."""

    flags: Flag
    source: Source
    local_ns: int
    asked_ns: int
    index_max: int | None


class UserDecoder:
    """Reads the account's objects, streamed or read back, with one memory of what was told."""

    def __init__(self, instruments: Instruments, account: Account) -> None:
        self._instruments = instruments
        self._identity = Identity.of(account)
        api = account.api
        self._secrets = [each for each in (api.key, api.secret, api.passphrase) if each]
        self._orders = Orders()
        self._fills = Fills()
        self._head = msgspec.json.Decoder(Head)
        self._list = msgspec.json.Decoder(list[msgspec.Raw])
        self._order = msgspec.json.Decoder(OrderObject)
        self._trade = msgspec.json.Decoder(TradeObject)

    def decode(self, frame: bytes, local_ns: int) -> News:
        """Return the news of a streamed frame; MalformedFrame if nothing in it can be read."""
        found = Shape(shape(np.frombuffer(frame, np.uint8)))
        if found is not Shape.FINE:
            raise MalformedFrame(f"shape refused: {found.name.lower()}")
        news = News()
        try:
            is_list = frame.lstrip()[:1] == b"["
            events = self._list.decode(frame) if is_list else [frame]
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise MalformedFrame(f"frame refused: {self._clean(error)}") from None
        values = self._readable(events, self._event, news)
        if news.unreadable and news.unreadable == len(events):
            raise MalformedFrame(f"frame refused: {news.reasons[0]}")
        self._tell(values, _Told(Flag.NONE, Source.CLOB_USER, local_ns, local_ns, None), news)
        return news

    def read_back(
        self,
        orders: Sequence[Any],
        trades: Sequence[Any],
        local_ns: int,
        *,
        asked_ns: int | None = None,
        index_max: int | None = None,
        settled: Collection[str] = NOTHING_KNOWN,
    ) -> News:
        """Return the news in decoded REST objects.

        asked_ns: when the first question was asked; an order whose end was told since is not alive
        by these answers.  index_max: the last instrument the core knows of; later ones are foreign
        yet.  settled: tokens at which nothing is at risk, whose records are left out unread.
        """
        news = News()
        values = self._readable(
            [each for each in trades if not _is_about(each, settled)], self._read_trade, news
        )
        values += self._readable(
            [each for each in orders if not _is_about(each, settled)], _read_order, news
        )
        asked = local_ns if asked_ns is None else asked_ns
        told = _Told(Flag.SNAPSHOT, Source.CLOB_PRIVATE, local_ns, asked, index_max)
        self._tell(values, told, news)
        return news

    def live_orders(self) -> list[bytes]:
        """Return the hashes of orders last told as not ended."""
        return self._orders.live()

    def read_from_s(self, overlap_s: int) -> int:
        """Return from which epoch second on trades must be read again, 0 = all."""
        return self._fills.read_from_s(overlap_s)

    def _readable(
        self, objects: Sequence[Any], read: Callable[[Any, News], list[Value]], news: News
    ) -> list[Value]:
        """Return the values of those objects that can be read; the others are counted."""
        values: list[Value] = []
        for each in objects:
            try:
                values += read(each, news)
            except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
                news.unreadable += 1
                if len(news.reasons) < REASONS_MAX:
                    news.reasons.append(self._clean(error))
                unknown = {each for each in _tokens_of(each) if not self._instruments.find(each)}
                news.foreign_tokens |= unknown
        return values

    def _event(self, raw: bytes | msgspec.Raw, news: News) -> list[Value]:
        head = self._head.decode(raw)
        event = (head.event_type or head.type).lower()
        if event == "trade":
            parts = fill_values(self._trade.decode(raw), self._identity)
            news.partless += not parts
            return [*parts]
        if event == "order" or event in ORDER_TYPES:
            return [order_value(self._order.decode(raw))]
        news.unknown_events += 1
        return []

    def _read_trade(self, trade: Any, news: News) -> list[Value]:
        parts = fill_values(msgspec.convert(trade, TradeObject), self._identity)
        news.partless += not parts
        return [*parts]

    def _clean(self, error: Exception) -> str:
        """Return an error's text without the account's names at the venue."""
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def _tell(self, values: Sequence[Value], told: _Told, news: News) -> None:
        """Make records of what is news; nothing is remembered of tokens that are not ours yet."""
        for value in values:
            instrument = self._instruments.find(value.token_id)
            if instrument is None or instrument.index > (told.index_max or instrument.index):
                news.foreign += 1
                news.foreign_tokens.add(value.token_id)
                continue
            if isinstance(value, FillValue):
                news.traded.add(instrument.index)
                record = self._fill(value)
                news.fills += record is not None
            else:
                record = self._order_state(value, told)
                news.order_states += record is not None
            if record is None:
                news.duplicates += 1
            else:
                news.rows.append(_row(record, instrument, value, told))

    def _order_state(self, value: OrderValue, how: _Told) -> np.ndarray | None:
        """Return what is news of an order; one that is alive is told so at every read-back.

        The core may have concluded meanwhile that it is dead, and this feed is not told.
        """
        told = self._orders.news(
            value.order_hash,
            value.status,
            value.matched,
            Moment(how.asked_ns, value.venue_ns),
            repeats_life=bool(how.flags & Flag.SNAPSHOT),
        )
        if told is None:
            return None
        record = new(Kind.ORDER_STATE)
        record["order_hash"] = np.void(value.order_hash)
        record["price"], record["size"], record["matched"] = value.price, value.size, told.matched
        record["status"], record["side"] = told.status, value.side
        return record

    def _fill(self, value: FillValue) -> np.ndarray | None:
        key = (value.trade_id, value.order_hash, value.repeat)
        claims = value.price, value.size, value.side, value.token_id
        if not self._fills.is_news(key, value.settlement, value.matched_s, claims):
            return None
        record = new(Kind.FILL)
        record["order_hash"], record["trade_id"] = (
            np.void(value.order_hash),
            np.void(value.trade_id),
        )
        record["price"], record["size"] = value.price, value.size
        record["fee"] = 0 if value.liquidity == Liquidity.MAKER else FEE_UNSAID
        record["side"], record["liquidity"] = value.side, value.liquidity
        record["settlement"], record["leg"] = value.settlement, value.repeat
        return record


def _row(record: np.ndarray, instrument: Instrument, value: Value, told: _Told) -> np.ndarray:
    record["instrument"] = instrument.index
    record["flags"], record["source"] = told.flags, told.source
    # An answer shows an order as it was when it was asked for, or later.
    local_ns = told.asked_ns if isinstance(value, OrderValue) else told.local_ns
    record["venue_ns"], record["local_ns"] = value.venue_ns, local_ns
    return words(record)


def _read_order(order: Any, news: News) -> list[Value]:  # noqa: ARG001
    return [order_value(msgspec.convert(order, OrderObject))]


def _tokens_of(record: Any) -> set[str]:
    """Return the tokens a decoded record names, as far as it can be read."""
    if not isinstance(record, Mapping):
        return set()
    legs = record.get("maker_orders")
    named = [record, *(legs if isinstance(legs, list) else [])]
    tokens = {each.get("asset_id") for each in named if isinstance(each, Mapping)}
    return {each for each in tokens if isinstance(each, str)}


def _is_about(record: Any, settled: Collection[str]) -> bool:
    """Return whether a record names tokens, and settled ones alone."""
    tokens = _tokens_of(record) if settled else set()
    return bool(tokens) and all(each in settled for each in tokens)
