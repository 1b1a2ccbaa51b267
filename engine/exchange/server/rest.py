"""The public routes: time, books and what a token's orders must obey. No auth."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.listing import Listing
from engine.exchange.server import frames
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.exchange.venue_mode import VenueMode
from engine.wire.codes import FeeCurve

BOOKS_MAX = 500
LEGACY_FEE_BPS = 1_000  # the venue's on/off flag, never fee math
NO_BOOK = "No orderbook exists for the requested token id"
TOKEN_DIGITS_MAX = 78

Place = tuple[Listing, int]


class PublicRoutes:
    """Serves the state of one venue's books."""

    __slots__ = ("_mode", "_venue")

    def __init__(self, venue: Venue, mode: VenueMode) -> None:
        self._venue = venue
        self._mode = mode

    def routes(self) -> list[web.RouteDef]:
        """Return the public routes."""
        return [
            web.get("/ok", self.get_ok),
            web.get("/time", self.get_time),
            web.get("/version", self.get_version),
            web.get("/book", self.get_book),
            web.post("/books", self.post_books),
            web.get("/tick-size", self.get_tick_size),
            web.get("/neg-risk", self.get_neg_risk),
            web.get("/fee-rate", self.get_fee_rate),
        ]

    async def get_ok(self, _request: web.Request) -> web.Response:
        """GET /ok."""
        return json_response("OK")

    async def get_time(self, _request: web.Request) -> web.Response:
        """GET /time: the venue's clock in seconds."""
        now_ms = self._venue.schedule.now_ms + self._mode.clock_ahead_ms
        return json_response(now_ms // 1_000)

    async def get_version(self, _request: web.Request) -> web.Response:
        """GET /version: the generation of the exchange that most markets use."""
        return json_response({"version": 2})

    async def get_book(self, request: web.Request) -> web.Response:
        """GET /book?token_id=."""
        place = known_token(self._venue, request.query.get("token_id"))
        return _json_text(frames.rest_book(*place))

    async def post_books(self, request: web.Request) -> web.Response:
        """POST /books: those that exist; unknown tokens are dropped in silence."""
        wanted = parse_json(await request.read())
        if not isinstance(wanted, list):
            raise Refusal(400, "Invalid payload")
        if len(wanted) > BOOKS_MAX:
            raise Refusal(400, "Payload exceeds the limit")
        names = [row.get("token_id") for row in wanted if isinstance(row, dict)]
        found = [place for name in names if (place := find_token(self._venue, name)) is not None]
        return _json_text(f"[{','.join([frames.rest_book(*place) for place in found])}]")

    async def get_tick_size(self, request: web.Request) -> web.Response:
        """GET /tick-size?token_id=: the grid in force."""
        listing, _ = known_token(self._venue, request.query.get("token_id"))
        return json_response({"minimum_tick_size": listing.tick / MICROS})

    async def get_neg_risk(self, request: web.Request) -> web.Response:
        """GET /neg-risk?token_id=."""
        listing, _ = known_token(self._venue, request.query.get("token_id"))
        return json_response({"neg_risk": listing.market.neg_risk})

    async def get_fee_rate(self, request: web.Request) -> web.Response:
        """GET /fee-rate?token_id=."""
        listing, _ = known_token(self._venue, request.query.get("token_id"))
        free = listing.market.fee.curve == FeeCurve.FREE
        return json_response({"base_fee": 0 if free else LEGACY_FEE_BPS})


def find_token(venue: Venue, name: Any) -> Place | None:
    """Return the listing and outcome of a token by its decimal name, or None for anything else."""
    if not isinstance(name, str) or not name.isascii() or not name.isdigit():
        return None
    return venue.find(int(name)) if len(name) <= TOKEN_DIGITS_MAX else None


def known_token(venue: Venue, name: str | None) -> Place:
    """Return the listing and outcome of a token by its decimal name; Refusal 404 otherwise."""
    found = find_token(venue, name)
    if found is None:
        raise Refusal(404, NO_BOOK)
    return found


def _json_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")
