"""RTDS: the venue's open socket for prices (deprecated) and for everybody's trades.

`{"action":"subscribe","subscriptions":[{"topic","type","filters"}]}`; `filters` is JSON in a
string, without spaces: with one, the backfill comes and then silence. Text `PING` has no PONG; the
server sends empty strings. Source: feeds.md §3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from engine.exchange.orders import Trade
from engine.exchange.reference_prices import Observation, ReferencePrices
from engine.exchange.server.data_api import fill_row
from engine.exchange.server.outbox import NewPasses, Outbox
from engine.exchange.texts import MICROS, decimal_text
from engine.exchange.venue import Venue
from engine.wire.codes import Liquidity

FRAME_BYTES_MAX = 1 << 18
E18_PER_MICRO = 10**12
WINDOWS_S = {"crypto_prices_twap_thirty": 30, "crypto_prices_twap_sixty": 60}
BINANCE, CHAINLINK = "crypto_prices", "crypto_prices_chainlink"
PRICE_TOPICS = (BINANCE, CHAINLINK, *WINDOWS_S)
TRADE_TYPES = ("trades", "orders_matched")  # the latter: takers only


@dataclass(frozen=True, slots=True)
class Subscription:
    """One entry. symbol, slug: "" = all.  is_mute: its filter had a space in it."""

    topic: str
    kind: str
    symbol: str = ""
    slug: str = ""
    is_mute: bool = False


class Rtds:
    """All clients of the socket."""

    __slots__ = ("_clients", "_prices", "_venue", "new_passes")

    def __init__(self, prices: ReferencePrices, venue: Venue) -> None:
        self._prices = prices
        self._venue = venue
        self._clients: dict[Outbox, dict[Subscription, None]] = {}
        self.new_passes: NewPasses | None = None
        prices.listen(self._observed)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until he leaves."""
        ws = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False, timeout=1.0)
        await ws.prepare(request)
        outbox = Outbox(ws, self.new_passes(request) if self.new_passes is not None else None)
        self._clients[outbox] = {}
        outbox.put(b"")
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._receive(outbox, message.data)
        finally:
            self._clients.pop(outbox, None)
            await outbox.close()
        return ws

    def trade_changed(self, trade: Trade) -> None:
        """Hear of a trade; tell of it when it is new."""
        if trade.updated_ms != trade.matched_ms or not self._clients:
            return
        row = fill_row(trade)
        payload = {
            "asset": row["token_id"],
            "conditionId": row["condition_id"],
            "eventSlug": row["event_slug"],
            "slug": row["slug"],
            "title": row["title"],
            "outcome": row["outcome"],
            "outcomeIndex": row["outcome_index"],
            "price": row["price"],
            "size": row["size"],
            "side": row["side"],
            "proxyWallet": row["proxy_wallet"],
            "timestamp": row["timestamp"],
            "transactionHash": row["transaction_hash"],
            **dict.fromkeys(("name", "pseudonym", "bio", "icon", "profileImage"), ""),
        }
        kinds = TRADE_TYPES if trade.fill.liquidity == Liquidity.TAKER else TRADE_TYPES[:1]
        for kind in kinds:
            self._tell("activity", kind, payload, slug=str(row["slug"]))

    def _receive(self, outbox: Outbox, text: str) -> None:
        if text == "PING":
            outbox.put(b"")
            return
        try:
            entries = [_read(entry) for entry in orjson.loads(text)["subscriptions"]]
            action = orjson.loads(text)["action"]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            body = {"message": f"invalid request: {error}"[:200]}
            outbox.put(orjson.dumps({"body": body, "statusCode": 400}))
            return
        for entry in entries:
            if action == "subscribe":
                self._clients[outbox][entry] = None
                self._backfill(outbox, entry)
            else:
                self._clients[outbox].pop(entry, None)

    def _backfill(self, outbox: Outbox, entry: Subscription) -> None:
        """Send what was observed of one symbol of a spot topic, as points without exact values."""
        if entry.topic not in (BINANCE, CHAINLINK) or not entry.symbol:
            return
        points = self._prices.history(_canonical(entry.symbol))
        data = [{"timestamp": at_ms, "value": value / MICROS} for at_ms, value in points]
        payload = {"data": data, "symbol": entry.symbol}
        outbox.put(self._frame(BINANCE, "subscribe", payload))

    def _observed(self, symbol: str, observation: Observation) -> None:
        if not self._clients:
            return
        base = symbol.removesuffix("usd")
        spot = {"timestamp": observation.at_ms, "value": observation.value / MICROS}
        exact = decimal_text(observation.value)
        binance = {"symbol": f"{base}usdt", **spot, "full_accuracy_value": exact}
        self._tell(BINANCE, "update", binance, symbol=f"{base}usdt")
        name = f"{base}/usd"
        exact = str(observation.value * E18_PER_MICRO)
        chainlink = {"symbol": name, **spot, "full_accuracy_value": exact}
        self._tell(CHAINLINK, "update", chainlink, symbol=name)
        for topic, window_s in WINDOWS_S.items():
            mean = self._prices.mean(symbol, window_s)
            assert mean is not None, "a price was just observed"
            payload = {
                "full_accuracy_value": str(mean.value * E18_PER_MICRO),
                "symbol": name,
                "timestamp": mean.at_ms,
                "value": mean.value / MICROS,
                "window_s": window_s,
            }
            self._tell(topic, "update", payload, symbol=name)

    def _tell(
        self, topic: str, kind: str, payload: dict[str, Any], *, symbol: str = "", slug: str = ""
    ) -> None:
        frame = b""
        for outbox, entries in self._clients.items():
            if any(_wants(entry, topic, kind, symbol, slug) for entry in entries):
                frame = frame or self._frame(topic, kind, payload)
                outbox.put(frame)

    def _frame(self, topic: str, kind: str, payload: dict[str, Any]) -> bytes:
        now_ms = self._venue.schedule.now_ms
        return orjson.dumps({"payload": payload, "timestamp": now_ms, "topic": topic, "type": kind})


def _wants(entry: Subscription, topic: str, kind: str, symbol: str, slug: str) -> bool:
    return (
        entry.topic == topic
        and entry.kind in ("*", kind)
        and entry.symbol in ("", symbol)
        and entry.slug in ("", slug)
        and not entry.is_mute
    )


def _read(entry: Any) -> Subscription:
    """Return one entry of a frame; ValueError, KeyError or TypeError for anything else."""
    topic, kind, filters = str(entry["topic"]), str(entry["type"]), entry.get("filters") or "{}"
    wanted = orjson.loads(filters)
    if topic not in (*PRICE_TOPICS, "activity"):
        raise ValueError(f"unknown topic: {topic:.40}")
    slug = wanted.get("event_slug") or wanted.get("market_slug") or ""
    symbol = str(wanted.get("symbol") or "")
    return Subscription(topic, kind, symbol, str(slug), " " in filters)


def _canonical(symbol: str) -> str:
    """Return our name of a symbol: btcusdt and btc/usd are both btcusd."""
    return symbol.lower().replace("/", "").replace("usdt", "usd")
