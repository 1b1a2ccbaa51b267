"""The account's messages to ORDER_STATE and FILL records: only what is news, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from engine.host.secrets import Account
from engine.wire.codes import Flag, Kind, Liquidity, Source
from engine.wire.records import RECORD_WORDS, new, words
from feeds.dedupe import Fills, Orders
from feeds.instruments import Instruments
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


class Head(msgspec.Struct):
    """What tells the objects apart: `event_type`, or `type` where the stream leaves it out."""

    event_type: str = ""
    type: str = ""


@dataclass(slots=True)
class News:
    """What a message said that was not known before.

    rows: int64[1, 16] each.  foreign: about tokens not in the registry.  partless: trades in which
    no part was found to be ours, so that only reading back can tell.
    """

    rows: list[np.ndarray] = field(default_factory=list)
    fills: int = 0
    order_states: int = 0
    duplicates: int = 0
    foreign: int = 0
    partless: int = 0
    unknown_events: int = 0

    def records(self) -> np.ndarray:
        """Return all records in order, int64[n, 16]."""
        return np.concatenate(self.rows) if self.rows else np.empty((0, RECORD_WORDS), np.int64)


class UserDecoder:
    """Reads the account's objects, streamed or read back, with one memory of what was told."""

    def __init__(self, instruments: Instruments, account: Account) -> None:
        self._instruments = instruments
        self._identity = Identity.of(account)
        self._orders = Orders()
        self._fills = Fills()
        self._head = msgspec.json.Decoder(Head)
        self._list = msgspec.json.Decoder(list[msgspec.Raw])
        self._order = msgspec.json.Decoder(OrderObject)
        self._trade = msgspec.json.Decoder(TradeObject)

    def decode(self, frame: bytes, local_ns: int) -> News:
        """Return the news of a streamed frame; MalformedFrame if any part of it makes no sense."""
        found = Shape(shape(np.frombuffer(frame, np.uint8)))
        if found is not Shape.FINE:
            raise MalformedFrame(f"shape refused: {found.name.lower()}")
        news = News()
        values: list[OrderValue | FillValue] = []
        try:
            is_list = frame.lstrip()[:1] == b"["
            for raw in self._list.decode(frame) if is_list else [frame]:
                head = self._head.decode(raw)
                event = (head.event_type or head.type).lower()
                if event == "trade":
                    parts = fill_values(self._trade.decode(raw), self._identity)
                    news.partless += not parts
                    values += parts
                elif event == "order" or event in ORDER_TYPES:
                    values.append(order_value(self._order.decode(raw)))
                else:
                    news.unknown_events += 1
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise MalformedFrame(f"frame refused: {error}") from None
        self._tell(values, Flag.NONE, Source.CLOB_USER, local_ns, news)
        return news

    def read_back(self, orders: Sequence[Any], trades: Sequence[Any], local_ns: int) -> News:
        """Return the news in decoded REST objects; MalformedFrame if one of them makes no sense."""
        news = News()
        values: list[OrderValue | FillValue] = []
        try:
            for trade in msgspec.convert(trades, list[TradeObject]):
                values += fill_values(trade, self._identity)
            values += [order_value(each) for each in msgspec.convert(orders, list[OrderObject])]
        except (msgspec.ValidationError, ValueError) as error:
            raise MalformedFrame(f"answer refused: {error}") from None
        self._tell(values, Flag.SNAPSHOT, Source.CLOB_PRIVATE, local_ns, news)
        return news

    def live_orders(self) -> list[bytes]:
        """Return the hashes of orders last told as not ended."""
        return self._orders.live()

    def read_from_s(self, overlap_s: int) -> int:
        """Return from which epoch second on trades must be read again, 0 = all."""
        return self._fills.read_from_s(overlap_s)

    def _tell(
        self,
        values: Sequence[OrderValue | FillValue],
        flags: Flag,
        source: Source,
        local_ns: int,
        news: News,
    ) -> None:
        """Make records of what is news; nothing is remembered of tokens that are not ours yet."""
        for value in values:
            instrument = self._instruments.find(value.token_id)
            if instrument is None:
                news.foreign += 1
                continue
            if isinstance(value, FillValue):
                records = self._fill(value)
                news.fills += records is not None
            else:
                records = self._order_state(value)
                news.order_states += records is not None
            if records is None:
                news.duplicates += 1
                continue
            records["instrument"] = instrument.index
            records["flags"] = flags
            records["source"] = source
            records["venue_ns"] = value.venue_ns
            records["local_ns"] = local_ns
            news.rows.append(words(records))

    def _order_state(self, value: OrderValue) -> np.ndarray | None:
        told = self._orders.news(value.order_hash, value.status, value.matched)
        if told is None:
            return None
        record = new(Kind.ORDER_STATE)
        record["order_hash"] = np.void(value.order_hash)
        record["price"], record["size"], record["matched"] = value.price, value.size, told.matched
        record["status"], record["side"] = told.status, value.side
        return record

    def _fill(self, value: FillValue) -> np.ndarray | None:
        key = (value.trade_id, value.order_hash, value.repeat)
        if not self._fills.is_news(key, value.settlement, value.matched_s):
            return None
        record = new(Kind.FILL)
        record["order_hash"], record["trade_id"] = (
            np.void(value.order_hash),
            np.void(value.trade_id),
        )
        record["price"], record["size"] = value.price, value.size
        record["fee"] = 0 if value.liquidity == Liquidity.MAKER else FEE_UNSAID
        record["side"], record["liquidity"] = value.side, value.liquidity
        record["settlement"], record["leg"] = value.settlement, value.leg
        return record
