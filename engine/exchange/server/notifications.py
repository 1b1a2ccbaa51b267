"""What an account is told in its inbox: fills and cancels of its orders, markets that resolved.

Kept for a while and dropped when read. Source: orders.md §5.1; types and payloads as the official
client reads them.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Any, NamedTuple

from aiohttp import web

from engine.exchange.events import OrderEvent
from engine.exchange.fates import TradeStatus
from engine.exchange.orders import Trade, VenueOrder
from engine.exchange.schedule import Schedule
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import json_response
from engine.exchange.texts import decimal_text
from engine.wire.codes import Side, Tif

KEPT_MAX = 200


class Notice(IntEnum):
    """The venue's kinds of notification that happen here."""

    ORDER_CANCELLATION = 1
    ORDER_FILL = 2
    ORDER_FILL_FAILED = 8


NOTICES = {
    TradeStatus.MATCHED: Notice.ORDER_FILL,
    TradeStatus.FAILED: Notice.ORDER_FILL_FAILED,
}


class Notification(NamedTuple):
    """One entry of an inbox; spelled out only if its owner asks.

    filled: of the order at that moment, micro-shares.  trade: None = about the order alone.
    """

    number: int
    kind: Notice
    at_s: int
    order: VenueOrder
    filled: int
    trade: Trade | None

    def view(self) -> dict[str, Any]:
        """Return the venue's object."""
        payload = _payload(self.order, self.filled)
        if self.trade is not None:
            payload["transaction_hash"] = self.trade.transaction_hash
            payload["trade_id"] = self.trade.trade_id
        return {
            "id": self.number,
            "type": int(self.kind),
            "owner": self.order.submission.owner,
            "timestamp": self.at_s,
            "payload": payload,
        }


class Notifications:
    """The inboxes of all owners."""

    __slots__ = ("_inboxes", "_number", "_schedule")

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._inboxes: dict[str, deque[Notification]] = {}
        self._number = 0

    def order_changed(self, order: VenueOrder, event: OrderEvent) -> None:
        """Hear that an order ended."""
        if event is OrderEvent.CANCELLATION:
            self._add(order, Notice.ORDER_CANCELLATION, None)

    def trade_changed(self, trade: Trade) -> None:
        """Hear of a trade that is new, or failed."""
        kind = NOTICES.get(trade.status)
        if kind is not None:
            self._add(trade.order, kind, trade)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return an owner's inbox, newest first."""
        return [notice.view() for notice in reversed(self._inboxes.get(owner, ()))]

    def drop(self, owner: str, names: set[str]) -> None:
        """Forget some of an owner's notifications, by id."""
        inbox = self._inboxes.get(owner, deque())
        kept = [notice for notice in inbox if str(notice.number) not in names]
        self._inboxes[owner] = deque(kept, KEPT_MAX)

    def _add(self, order: VenueOrder, kind: Notice, trade: Trade | None) -> None:
        self._number += 1
        inbox = self._inboxes.get(order.submission.trader)
        if inbox is None:
            inbox = self._inboxes[order.submission.trader] = deque(maxlen=KEPT_MAX)
        now_s = self._schedule.now_ms // 1_000
        inbox.append(Notification(self._number, kind, now_s, order, order.terms.filled, trade))


class NotificationRoutes:
    """Serves inboxes."""

    __slots__ = ("_gate", "_notifications")

    def __init__(self, notifications: Notifications, gate: Gatekeeper) -> None:
        self._notifications = notifications
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        """Return the notification routes."""
        return [
            web.get("/notifications", self.get_notifications),
            web.delete("/notifications", self.drop_notifications),
        ]

    async def get_notifications(self, request: web.Request) -> web.Response:
        """GET /notifications: all that were not dropped, newest first."""
        key, _ = await self._gate.admit(request)
        return json_response(self._notifications.of(key.account.owner))

    async def drop_notifications(self, request: web.Request) -> web.Response:
        """DELETE /notifications?ids=: comma-separated ids."""
        key, _ = await self._gate.admit(request)
        names = set(request.query.get("ids", "").split(","))
        self._notifications.drop(key.account.owner, names)
        return json_response("OK")


def _payload(order: VenueOrder, filled: int) -> dict[str, Any]:
    submission, terms = order.submission, order.terms
    market = submission.market
    return {
        "asset_id": str(order.token),
        "market": market.condition_id,
        "order_id": order.order_hash,
        "side": Side(terms.side).name,
        "type": Tif(terms.tif).name,
        "price": decimal_text(terms.limit),
        "original_size": decimal_text(terms.size),
        "matched_size": decimal_text(filled),
        "remaining_size": decimal_text(max(terms.size - filled, 0)),
        "outcome": market.outcomes[submission.outcome],
        "outcome_index": submission.outcome,
        "question": market.question,
        "market_slug": market.slug,
        "eventSlug": market.slug,
        "seriesSlug": market.series,
        "icon": "",
        "image": "",
    }
