"""Prices of tokens: touch, midpoint, spread and last trade, one token or many. No auth.

Many tokens come as `[{"token_id", "side"?}, …]`, at most 500; unknown ones are dropped in silence.
Source: orders.md §5.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from aiohttp import web

from engine.exchange.listing import Listing
from engine.exchange.server.frames import SIDE_NAMES
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.server.last_trades import LastTrades
from engine.exchange.server.rest import Place, find_token, known_token
from engine.exchange.texts import decimal_text
from engine.exchange.venue import Venue
from engine.wire.codes import Side

TOKENS_MAX = 500
NO_TRADE = {"price": "0.5", "side": ""}  # the venue's answer before any trade


class PriceRoutes:
    """Serves the prices of one venue's books."""

    __slots__ = ("_last_trades", "_venue")

    def __init__(self, venue: Venue, last_trades: LastTrades) -> None:
        self._venue = venue
        self._last_trades = last_trades

    def routes(self) -> list[web.RouteDef]:
        """Return the price routes."""
        return [
            web.get("/price", self.get_price),
            web.post("/prices", self.post_prices),
            web.get("/midpoint", self.get_midpoint),
            web.post("/midpoints", self.post_midpoints),
            web.get("/spread", self.get_spread),
            web.post("/spreads", self.post_spreads),
            web.get("/last-trade-price", self.get_last_trade),
            web.post("/last-trades-prices", self.post_last_trades),
        ]

    async def get_price(self, request: web.Request) -> web.Response:
        """GET /price?token_id=&side=: BUY is the best bid, SELL the best ask."""
        place = known_token(self._venue, request.query.get("token_id"))
        return json_response({"price": _touch(place, request.query.get("side"))})

    async def post_prices(self, request: web.Request) -> web.Response:
        """POST /prices: by token and side."""
        out: dict[str, dict[str, str]] = {}
        async for name, place, row in self._wanted(request):
            side = str(row.get("side", "")).upper()
            out.setdefault(name, {})[side] = _touch(place, side)
        return json_response(out)

    async def get_midpoint(self, request: web.Request) -> web.Response:
        """GET /midpoint?token_id=."""
        place = known_token(self._venue, request.query.get("token_id"))
        return json_response({"mid": decimal_text(midpoint(*place))})

    async def post_midpoints(self, request: web.Request) -> web.Response:
        """POST /midpoints: by token."""
        return await self._by_token(request, midpoint)

    async def get_spread(self, request: web.Request) -> web.Response:
        """GET /spread?token_id=."""
        place = known_token(self._venue, request.query.get("token_id"))
        return json_response({"spread": decimal_text(spread(*place))})

    async def post_spreads(self, request: web.Request) -> web.Response:
        """POST /spreads: by token."""
        return await self._by_token(request, spread)

    async def get_last_trade(self, request: web.Request) -> web.Response:
        """GET /last-trade-price?token_id=."""
        listing, outcome = known_token(self._venue, request.query.get("token_id"))
        return json_response(self._last_trade(listing, outcome) or NO_TRADE)

    async def post_last_trades(self, request: web.Request) -> web.Response:
        """POST /last-trades-prices: those tokens that have traded."""
        rows = []
        async for name, place, _ in self._wanted(request):
            trade = self._last_trade(*place)
            if trade is not None:
                rows.append({"token_id": name, **trade})
        return json_response(rows)

    async def _by_token(
        self, request: web.Request, price: Callable[[Listing, int], int]
    ) -> web.Response:
        return json_response(
            {name: decimal_text(price(*place)) async for name, place, _ in self._wanted(request)}
        )

    async def _wanted(
        self, request: web.Request
    ) -> AsyncIterator[tuple[str, Place, dict[str, Any]]]:
        """Yield (token's name, its place, its row) of the body's known tokens."""
        rows = parse_json(await request.read())
        if not isinstance(rows, list):
            raise Refusal(400, "Invalid payload")
        if len(rows) > TOKENS_MAX:
            raise Refusal(400, "Payload exceeds the limit")
        for row in _objects(rows):
            place = find_token(self._venue, row.get("token_id"))
            if place is not None:
                yield row["token_id"], place, row

    def _last_trade(self, listing: Listing, outcome: int) -> dict[str, str] | None:
        trade = self._last_trades.of(listing.market.tokens[outcome])
        if trade is None:
            return None
        return {"price": decimal_text(trade.price), "side": Side(trade.side).name}


def midpoint(listing: Listing, outcome: int) -> int:
    """Return the middle of the touch in micros; an empty side counts as 0 or 1."""
    book = listing.pool.books[outcome]
    return (book.best_bid + book.best_ask) // 2


def spread(listing: Listing, outcome: int) -> int:
    """Return the width of the touch in micros, 0 for a crossed book."""
    book = listing.pool.books[outcome]
    return max(book.best_ask - book.best_bid, 0)


def _touch(place: Place, side: str | None) -> str:
    listing, outcome = place
    book = listing.pool.books[outcome]
    name = (side or "").upper()
    if name not in SIDE_NAMES:
        raise Refusal(400, "Invalid side")
    return decimal_text(book.best_bid if name == Side.BUY.name else book.best_ask)


def _objects(rows: list[Any]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if isinstance(row, dict))
