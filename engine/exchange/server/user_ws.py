"""The user WebSocket: an account's own orders and trades, as they change.

As a maker our leg is an entry of `maker_orders`; the top level is the taker's view, which may be of
the other token. Source: feeds.md §2.
"""

from __future__ import annotations

import hmac
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from engine.exchange.accounts import Accounts, ApiKey
from engine.exchange.events import OrderEvent
from engine.exchange.orders import Trade, VenueOrder
from engine.exchange.schedule import Schedule
from engine.exchange.server.market_ws import FRAME_BYTES_MAX, PING, PONG
from engine.exchange.server.outbox import NewPasses, Outbox
from engine.exchange.server.views import order_view, trade_view

POLICY_VIOLATION = 1008


class UserSubscriber:
    """One authenticated client. markets: the condition ids he wants, None = all."""

    __slots__ = ("key", "markets", "outbox")

    def __init__(self, key: ApiKey, outbox: Outbox, markets: set[str] | None) -> None:
        self.key = key
        self.outbox = outbox
        self.markets = markets

    def wants(self, order: VenueOrder) -> bool:
        """Whether an event of this order is for him."""
        if order.submission.trader != self.key.account.owner:
            return False
        return self.markets is None or order.submission.market.condition_id in self.markets


class UserStream:
    """All clients of the user stream, and what is told to them."""

    __slots__ = ("_accounts", "_schedule", "_subscribers", "malformed", "new_passes")

    def __init__(self, schedule: Schedule, accounts: Accounts) -> None:
        self._schedule = schedule
        self._accounts = accounts
        self._subscribers: dict[UserSubscriber, None] = {}
        self.malformed = 0
        self.new_passes: NewPasses | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until he leaves; a first frame without a valid key set closes the
        socket with 1008, a PING too."""
        ws = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False, timeout=1.0)
        await ws.prepare(request)
        passes = self.new_passes(request) if self.new_passes is not None else None
        outbox = Outbox(ws, passes)
        subscriber: UserSubscriber | None = None
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    self.malformed += 1
                elif subscriber is not None:
                    if message.data == PING:
                        outbox.put(PONG)
                    else:
                        self._receive(subscriber, message.data)
                else:
                    subscriber = self._authenticate(outbox, message.data)
                    if subscriber is None:
                        await ws.close(code=POLICY_VIOLATION, message=b"unauthorized")
                        break
                    self._subscribers[subscriber] = None
        finally:
            if subscriber is not None:
                self._subscribers.pop(subscriber, None)
            await outbox.close()
        return ws

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """Send an order event to the order's owner."""
        audience = [s for s in self._subscribers if s.wants(order)]
        if audience:
            view = order_view(order)
            view |= {
                "event_type": "order",
                "type": str(event),
                "timestamp": str(self._schedule.now_ms),
                "order_owner": order.submission.owner,
            }
            if detail:
                view |= {"status": f"CANCELED_{detail}", "size_matched": ""}
            _send(audience, view)

    def trade_changed(self, trade: Trade) -> None:
        """Send a trade event to the owner of our leg."""
        audience = [s for s in self._subscribers if s.wants(trade.order)]
        if audience:
            view = trade_view(trade)
            view |= {
                "event_type": "trade",
                "type": "TRADE",
                "timestamp": str(self._schedule.now_ms),
            }
            _send(audience, view)

    def _authenticate(self, outbox: Outbox, text: str) -> UserSubscriber | None:
        frame = _parse(text)
        auth = frame.get("auth")
        if str(frame.get("type", "")).lower() != "user" or not isinstance(auth, dict):
            self.malformed += 1
            return None
        key = self._accounts.key(str(auth.get("apiKey", "")))
        if key is None:
            return None
        given = f"{auth.get('secret')}/{auth.get('passphrase')}".encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"{key.secret}/{key.passphrase}".encode()):
            return None
        return UserSubscriber(key, outbox, _markets(frame) or None)

    def _receive(self, subscriber: UserSubscriber, text: str) -> None:
        frame = _parse(text)
        markets = _markets(frame)
        operation = frame.get("operation")
        if operation == "subscribe" and subscriber.markets is not None:
            subscriber.markets |= markets
        elif operation == "unsubscribe" and subscriber.markets is not None:
            subscriber.markets -= markets
        elif operation not in ("subscribe", "unsubscribe"):
            self.malformed += 1


def _send(audience: list[UserSubscriber], view: dict[str, Any]) -> None:
    data = orjson.dumps(view)
    for subscriber in audience:
        subscriber.outbox.put(data)


def _parse(text: str) -> dict[str, Any]:
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _markets(frame: dict[str, Any]) -> set[str]:
    names = frame.get("markets")
    return {str(name).lower() for name in names} if isinstance(names, list) else set()
