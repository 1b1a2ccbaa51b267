"""The public routes: time, books, prices and what a market's orders must obey. No auth."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.listing import Listing
from engine.exchange.server import frames
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.texts import MICROS, decimal_text
from engine.exchange.venue import Venue
from engine.wire.codes import FeeCurve

BOOKS_MAX = 500
LEGACY_FEE_BPS = 1_000  # the venue's on/off flag, never fee math
NO_BOOK = "No orderbook exists for the requested token id"


class PublicRoutes:
    """Serves the state of one venue's markets."""

    __slots__ = ("_venue",)

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the public routes."""
        return [
            web.get("/ok", self.get_ok),
            web.get("/time", self.get_time),
            web.get("/version", self.get_version),
            web.get("/book", self.get_book),
            web.post("/books", self.post_books),
            web.get("/price", self.get_price),
            web.get("/midpoint", self.get_midpoint),
            web.get("/spread", self.get_spread),
            web.get("/tick-size", self.get_tick_size),
            web.get("/neg-risk", self.get_neg_risk),
            web.get("/fee-rate", self.get_fee_rate),
            web.get("/clob-markets/{condition}", self.get_clob_market),
        ]

    async def get_ok(self, _request: web.Request) -> web.Response:
        """GET /ok."""
        return json_response("OK")

    async def get_time(self, _request: web.Request) -> web.Response:
        """GET /time: the venue's clock in seconds."""
        return json_response(self._venue.schedule.now_ms // 1_000)

    async def get_version(self, _request: web.Request) -> web.Response:
        """GET /version: the generation of the exchange that most markets use."""
        return json_response({"version": 2})

    async def get_book(self, request: web.Request) -> web.Response:
        """GET /book?token_id=."""
        return _json_text(frames.rest_book(*self._token(request.query.get("token_id"))))

    async def post_books(self, request: web.Request) -> web.Response:
        """POST /books: those that exist; unknown tokens are dropped in silence."""
        wanted = parse_json(await request.read())
        if not isinstance(wanted, list):
            raise Refusal(400, "Invalid payload")
        if len(wanted) > BOOKS_MAX:
            raise Refusal(400, "Payload exceeds the limit")
        names = [row.get("token_id") for row in wanted if isinstance(row, dict)]
        found = [place for name in names if (place := self._find(name)) is not None]
        return _json_text(f"[{','.join([frames.rest_book(*place) for place in found])}]")

    async def get_price(self, request: web.Request) -> web.Response:
        """GET /price?token_id=&side=: BUY is the best bid, SELL the best ask."""
        listing, outcome = self._token(request.query.get("token_id"))
        book = listing.pool.books[outcome]
        side = request.query.get("side", "").upper()
        if side not in frames.SIDE_NAMES:
            raise Refusal(400, "Invalid side")
        price = book.best_bid if side == frames.SIDE_NAMES[0] else book.best_ask
        return json_response({"price": decimal_text(price)})

    async def get_midpoint(self, request: web.Request) -> web.Response:
        """GET /midpoint?token_id=."""
        listing, outcome = self._token(request.query.get("token_id"))
        return json_response({"mid": decimal_text(midpoint(listing, outcome))})

    async def get_spread(self, request: web.Request) -> web.Response:
        """GET /spread?token_id=."""
        listing, outcome = self._token(request.query.get("token_id"))
        book = listing.pool.books[outcome]
        return json_response({"spread": decimal_text(max(book.best_ask - book.best_bid, 0))})

    async def get_tick_size(self, request: web.Request) -> web.Response:
        """GET /tick-size?token_id=: the grid in force."""
        listing, _ = self._token(request.query.get("token_id"))
        return json_response({"minimum_tick_size": listing.tick / MICROS})

    async def get_neg_risk(self, request: web.Request) -> web.Response:
        """GET /neg-risk?token_id=."""
        listing, _ = self._token(request.query.get("token_id"))
        return json_response({"neg_risk": listing.market.neg_risk})

    async def get_fee_rate(self, request: web.Request) -> web.Response:
        """GET /fee-rate?token_id=."""
        listing, _ = self._token(request.query.get("token_id"))
        free = listing.market.fee.curve == FeeCurve.FREE
        return json_response({"base_fee": 0 if free else LEGACY_FEE_BPS})

    async def get_clob_market(self, request: web.Request) -> web.Response:
        """GET /clob-markets/{condition}: the parameters of a market, in short keys."""
        listing = self._venue.listings.get(request.match_info["condition"].lower())
        if listing is None:
            raise Refusal(404, "market not found")
        held = self._venue.rules.taker_delay_ms > 0
        return json_response(clob_market_view(listing, is_taker_held=held))

    def _find(self, name: Any) -> tuple[Listing, int] | None:
        if not isinstance(name, str) or not name.isascii() or not name.isdigit() or len(name) > 78:
            return None
        return self._venue.find(int(name))

    def _token(self, name: str | None) -> tuple[Listing, int]:
        found = self._find(name)
        if found is None:
            raise Refusal(404, NO_BOOK)
        return found


def midpoint(listing: Listing, outcome: int) -> int:
    """Return the middle of the touch in micros; an empty side counts as 0 or 1."""
    book = listing.pool.books[outcome]
    return (book.best_bid + book.best_ask) // 2


def clob_market_view(listing: Listing, *, is_taker_held: bool) -> dict[str, Any]:
    """Return `/clob-markets` of a market; keys that say nothing are left out, as there."""
    market = listing.market
    names = zip(market.tokens, market.outcomes, strict=True)
    view: dict[str, Any] = {
        "c": market.condition_id,
        "t": [{"t": str(token), "o": outcome} for token, outcome in names],
        "mos": market.min_size / MICROS,
        "mts": listing.tick / MICROS,
        "mbf": LEGACY_FEE_BPS,
        "tbf": LEGACY_FEE_BPS,
        "ao": listing.is_open,
        "cbos": True,
        "v": "v1" if market.generation < 3 else "v2",
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
    }
    if market.fee.curve == FeeCurve.V2:
        rate, exponent = market.fee.rate_ppm / MICROS, market.fee.exponent
        view["fd"] = {"r": rate, "e": exponent, "to": True}
    if market.neg_risk:
        view["nr"] = True
    if is_taker_held:
        view["itode"] = True
    return view


def _json_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")
