"""Order scoring, maker rebates and liquidity rewards. Of the last it pays none.

Source: orders.md §5.1, §6.4.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from engine.exchange.contracts import COLLATERAL
from engine.exchange.orders import VenueOrder
from engine.exchange.rewards import RewardTerms
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import Refusal, json_response, page_response, parse_json
from engine.exchange.texts import decimal_text
from engine.exchange.venue import Venue

ORDERS_MAX = 500
REWARDS = RewardTerms()


class ScoringRoutes:
    """Serves what one venue's makers earn."""

    __slots__ = ("_gate", "_venue")

    def __init__(self, venue: Venue, gate: Gatekeeper) -> None:
        self._venue = venue
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        """Return the scoring and rewards routes."""
        return [
            web.get("/order-scoring", self.get_scoring),
            web.post("/orders-scoring", self.post_scoring),
            web.get("/rebates/current", self.get_rebates),
            web.get("/rewards/markets/current", self.get_public_page),
            web.get("/rewards/markets/{condition}", self.get_public_page),
            web.get("/rewards/user", self.get_private_page),
            web.get("/rewards/user/markets", self.get_private_page),
            web.get("/rewards/user/total", self.get_total),
            web.get("/rewards/user/percentages", self.get_percentages),
        ]

    async def get_scoring(self, request: web.Request) -> web.Response:
        """GET /order-scoring?order_id=: one order."""
        key, _ = await self._gate.admit(request)
        name = request.query.get("order_id", "")
        return json_response({"scoring": self._scores(name, key.account.owner)})

    async def post_scoring(self, request: web.Request) -> web.Response:
        """POST /orders-scoring: by order id."""
        key, body = await self._gate.admit(request)
        names = parse_json(body)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refusal(400, "Invalid order payload")
        if len(names) > ORDERS_MAX:
            raise Refusal(400, "Payload exceeds the limit")
        return json_response({name: self._scores(name, key.account.owner) for name in names})

    async def get_rebates(self, request: web.Request) -> web.Response:
        """GET /rebates/current?maker_address=&date=: by market, of the UTC day that runs."""
        query = request.query
        maker = query.get("maker_address") or query.get("maker", "")
        account = self._venue.accounts.find(maker)
        today = datetime.fromtimestamp(self._venue.schedule.now_ms / 1_000, UTC).date()
        if account is None or _day(query.get("date")) != today:
            return json_response([])
        return json_response(
            [
                {
                    "date": today.isoformat(),
                    "condition_id": market.condition_id,
                    "asset_address": COLLATERAL,
                    "maker_address": account.address,
                    "rebated_fees_usdc": decimal_text(amount),
                }
                for market, amount in self._venue.rebates.earned(account).items()
            ]
        )

    async def get_public_page(self, request: web.Request) -> web.Response:
        """GET /rewards/markets/…: no market pays rewards."""
        return page_response([], request.query.get("next_cursor"))

    async def get_private_page(self, request: web.Request) -> web.Response:
        """GET /rewards/user, /rewards/user/markets: nobody has earned any."""
        await self._gate.admit(request)
        return page_response([], request.query.get("next_cursor"))

    async def get_total(self, request: web.Request) -> web.Response:
        """GET /rewards/user/total: nothing."""
        await self._gate.admit(request)
        return json_response([])

    async def get_percentages(self, request: web.Request) -> web.Response:
        """GET /rewards/user/percentages: of no market."""
        await self._gate.admit(request)
        return json_response({})

    def _scores(self, order_id: str, owner: str) -> bool:
        order: VenueOrder | None = self._venue.desk.orders.get(order_id.lower())
        if order is None or order.submission.trader != owner:
            return False
        listing = self._venue.listings[order.submission.market.condition_id]
        return REWARDS.scores(order, listing, self._venue.schedule.now_ms)


def _day(text: Any) -> date:
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        raise Refusal(400, "Invalid date") from None
