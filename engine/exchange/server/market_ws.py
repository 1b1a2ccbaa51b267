"""The market WebSocket: books and public trades, to everyone who names a token. No auth.

Every frame is formatted once, whatever the number of subscribers, and only if there is one.
Source: feeds.md §1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from engine.exchange.books import Change
from engine.exchange.listing import Listing
from engine.exchange.orders import Trade
from engine.exchange.schedule import Schedule
from engine.exchange.server import frames
from engine.exchange.server.outbox import NewPasses, Outbox

FRAME_BYTES_MAX = 1 << 18
PING, PONG = "PING", b"PONG"
NO_SUBSCRIPTION = b"invalid subscription payload"

Find = Callable[[int], tuple[Listing, int] | None]


class Subscriber:
    """One client and what he asked for. custom: touches, new and resolved markets too."""

    __slots__ = ("custom", "outbox", "tokens")

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.custom = False
        self.tokens: set[int] = set()


class MarketStream:
    """All subscribers of the market stream, and what is told to them."""

    __slots__ = (
        "_by_token",
        "_schedule",
        "_subscribers",
        "_touches",
        "find",
        "malformed",
        "new_passes",
    )

    def __init__(self, schedule: Schedule, find: Find) -> None:
        """find: which listing and outcome a token is."""
        self._schedule = schedule
        self._by_token: dict[int, dict[Subscriber, None]] = {}
        self._subscribers: dict[Subscriber, None] = {}
        self._touches: dict[int, tuple[int, int]] = {}
        self.find = find
        self.malformed = 0
        self.new_passes: NewPasses | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until he leaves; a first frame that is no subscription closes the
        socket with 1008, a PING too."""
        ws = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False, timeout=1.0)
        await ws.prepare(request)
        passes = self.new_passes(request) if self.new_passes is not None else None
        subscriber = Subscriber(Outbox(ws, passes))
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    self.malformed += 1
                elif subscriber in self._subscribers:
                    if message.data == PING:
                        subscriber.outbox.put(PONG)
                    else:
                        self._receive(subscriber, message.data)
                elif not self._admit(subscriber, message.data):
                    await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=NO_SUBSCRIPTION)
                    break
        finally:
            self._subscribers.pop(subscriber, None)
            for token in subscriber.tokens:
                self._by_token[token].pop(subscriber, None)
            await subscriber.outbox.close()
        return ws

    def books_changed(self, listing: Listing, changes: list[tuple[int, list[Change]]]) -> None:
        """Send one price_change for all of it."""
        audience = self._audience(listing)
        if audience:
            frame = frames.price_change_frame(listing, changes, self._schedule.now_ms)
            _send(audience, frame)
            self._send_touches(listing, audience)

    def books_replaced(self, listing: Listing, outcomes: list[int]) -> None:
        """Send whole books."""
        for outcome in outcomes:
            audience = self._by_token.get(listing.market.tokens[outcome])
            if audience:
                _send(audience, frames.spaced(frames.book_frame(listing, outcome)))

    def tick_changed(self, listing: Listing, old_tick: int) -> None:
        """Send the new grid for both tokens."""
        for outcome, token in enumerate(listing.market.tokens):
            audience = self._by_token.get(token)
            if audience:
                _send(
                    audience,
                    frames.tick_size_frame(listing, outcome, old_tick, self._schedule.now_ms),
                )

    def trade_printed(self, listing: Listing, trade: Trade) -> None:
        """Send a public trade."""
        order, fill = trade.order, trade.fill
        audience = self._by_token.get(order.token)
        if audience:
            outcome, side = order.terms.outcome, order.terms.side
            transaction, now_ms = trade.transaction_hash, self._schedule.now_ms
            _send(
                audience,
                frames.trade_frame(
                    listing, outcome, side, fill.price, fill.size, transaction, now_ms
                ),
            )

    def market_listed(self, listing: Listing) -> None:
        """Send the new market to all with custom features, whatever they subscribed to."""
        audience = dict.fromkeys(s for s in self._subscribers if s.custom)
        if audience:
            _send(audience, frames.new_market_frame(listing, self._schedule.now_ms))

    def market_resolved(self, listing: Listing) -> None:
        """Send the outcome to those with custom features."""
        audience = [s for s in self._audience(listing) if s.custom]
        if audience:
            _send(dict.fromkeys(audience), frames.resolved_frame(listing, self._schedule.now_ms))

    def _admit(self, subscriber: Subscriber, text: str) -> bool:
        """Take a client's first frame, which must be of a market subscription."""
        frame = _parsed(text)
        is_first = isinstance(frame, dict) and str(frame.get("type", "")).lower() == "market"
        if not is_first or not self._receive(subscriber, text):
            return False
        self._subscribers[subscriber] = None
        return True

    def _receive(self, subscriber: Subscriber, text: str) -> bool:
        """Act on a client's frame, or count one that is none of the protocol; return which."""
        frame = _parsed(text)
        request = _read(frame)
        if request is None:
            self.malformed += 1
            return False
        operation, tokens = request
        if operation == "unsubscribe":
            for token in tokens:
                subscriber.tokens.discard(token)
                self._by_token.get(token, {}).pop(subscriber, None)
            return True
        subscriber.custom = frame.get("custom_feature_enabled", subscriber.custom) is True
        known = [(token, found) for token in tokens if (found := self.find(token)) is not None]
        for token, _ in known:
            subscriber.tokens.add(token)
            self._by_token.setdefault(token, {})[subscriber] = None
        if frame.get("initial_dump", True) is not False:
            books = [frames.book_frame(*found) for _, found in known]
            subscriber.outbox.put(frames.dump_frame(books).encode())
        return True

    def _send_touches(self, listing: Listing, audience: dict[Subscriber, None]) -> None:
        custom = dict.fromkeys(s for s in audience if s.custom)
        if not custom:
            return
        for outcome, token in enumerate(listing.market.tokens):
            book = listing.pool.books[outcome]
            touch = (book.best_bid, book.best_ask)
            if self._touches.get(token) != touch:
                self._touches[token] = touch
                _send(custom, frames.touch_frame(listing, outcome, book, self._schedule.now_ms))

    def _audience(self, listing: Listing) -> dict[Subscriber, None]:
        up, down = listing.market.tokens
        return self._by_token.get(up, {}) | self._by_token.get(down, {})


def _send(audience: dict[Subscriber, None], frame: str) -> None:
    data = frame.encode()
    for subscriber in audience:
        subscriber.outbox.put(data)


def _parsed(text: str) -> Any:
    """Return decoded JSON, None for what is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _read(frame: Any) -> tuple[str, list[int]] | None:
    """Return (operation, tokens) of a client's frame, or None."""
    if not isinstance(frame, dict):
        return None
    kind = str(frame.get("type", "")).lower()
    operation = frame.get("operation", "subscribe" if kind == "market" else None)
    names = frame.get("assets_ids", [])
    if operation not in ("subscribe", "unsubscribe") or not isinstance(names, list):
        return None
    if not all(isinstance(n, str) and n.isascii() and n.isdigit() and len(n) < 79 for n in names):
        return None
    return operation, [int(name) for name in names]
