"""Markets as the order book knows them: `/clob-markets` in short keys, `/markets` in long ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from engine.exchange.listing import Listing
from engine.exchange.server.http import Refusal, json_response, page_response
from engine.exchange.server.prices import midpoint
from engine.exchange.server.rest import LEGACY_FEE_BPS, known_token
from engine.exchange.server.scoring import REWARDS
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.wire.codes import FeeCurve, MarketStatus
from signer.contracts import Generation

CENT = 10_000  # micros
ZERO_WORD = "0x" + "00" * 32


class MarketRoutes:
    """Serves the markets of one venue."""

    __slots__ = ("_venue",)

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the market routes."""
        return [
            web.get("/clob-markets/{condition}", self.get_clob_market),
            web.get("/markets-by-token/{token}", self.get_by_token),
            web.get("/markets/{condition}", self.get_market),
            web.get("/markets", self.get_markets),
            web.get("/sampling-markets", self.get_markets),
            web.get("/simplified-markets", self.get_simplified_markets),
            web.get("/sampling-simplified-markets", self.get_simplified_markets),
        ]

    async def get_clob_market(self, request: web.Request) -> web.Response:
        """GET /clob-markets/{condition}: the parameters of a market, in short keys."""
        held = self._venue.rules.taker_delay_ms > 0
        return json_response(clob_market_view(self._listing(request), is_taker_held=held))

    async def get_by_token(self, request: web.Request) -> web.Response:
        """GET /markets-by-token/{token}: which condition it belongs to."""
        listing, _ = known_token(self._venue, request.match_info["token"])
        first, second = map(str, listing.market.tokens)
        return json_response(
            {
                "condition_id": listing.market.condition_id,
                "primary_token_id": first,
                "secondary_token_id": second,
            }
        )

    async def get_market(self, request: web.Request) -> web.Response:
        """GET /markets/{condition}: the same in long keys, and more."""
        return json_response(market_view(self._listing(request)))

    async def get_markets(self, request: web.Request) -> web.Response:
        """GET /markets: pages of them."""
        rows = [market_view(listing) for listing in self._venue.listings.values()]
        return page_response(rows, request.query.get("next_cursor"))

    async def get_simplified_markets(self, request: web.Request) -> web.Response:
        """GET /simplified-markets: pages of them, with few keys."""
        kept = (
            "condition_id",
            "rewards",
            "tokens",
            "active",
            "closed",
            "archived",
            "accepting_orders",
        )
        views = [market_view(listing) for listing in self._venue.listings.values()]
        rows = [{name: view[name] for name in kept} for view in views]
        return page_response(rows, request.query.get("next_cursor"))

    def _listing(self, request: web.Request) -> Listing:
        listing = self._venue.listings.get(request.match_info["condition"].lower())
        if listing is None:
            raise Refusal(404, "market not found")
        return listing


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
        "v": "v1" if market.generation < Generation.V3 else "v2",
        "r": {
            "mi": REWARDS.min_size // MICROS,
            "ma": REWARDS.max_spread / CENT,
            "moas": REWARDS.min_age_ms // 1_000,
        },
    }
    if market.fee.curve == FeeCurve.V2:
        rate, exponent = market.fee.rate_ppm / MICROS, market.fee.exponent
        view["fd"] = {"r": rate, "e": exponent, "to": True}
    if market.neg_risk:
        view["nr"] = True
    if market.seconds_delay:
        view["sd"] = market.seconds_delay
    if is_taker_held:
        view["itode"] = True
    return view


def market_view(listing: Listing) -> dict[str, Any]:
    """Return the order book's long market object."""
    market = listing.market
    winner = None
    if listing.payouts is not None:
        winner = listing.payouts.index(max(listing.payouts))
    return {
        "condition_id": market.condition_id,
        "question_id": ZERO_WORD,
        "question": market.question,
        "description": "",
        "market_slug": market.slug,
        "end_date_iso": _iso(market.end_ms),
        "game_start_time": None,
        "accepting_order_timestamp": _iso(market.start_ms - 86_400_000),
        "seconds_delay": market.seconds_delay,
        "fpmm": "",
        "minimum_order_size": market.min_size / MICROS,
        "minimum_tick_size": listing.tick / MICROS,
        "maker_base_fee": LEGACY_FEE_BPS,
        "taker_base_fee": LEGACY_FEE_BPS,
        "active": True,
        "closed": not listing.is_open,
        "archived": False,
        "accepting_orders": listing.is_open,
        "enable_order_book": True,
        "notifications_enabled": True,
        "neg_risk": market.neg_risk,
        "neg_risk_market_id": "",
        "neg_risk_request_id": "",
        "icon": "",
        "image": "",
        "is_50_50_outcome": listing.status == MarketStatus.RESOLVED
        and listing.payouts == (MICROS // 2, MICROS // 2),
        "rewards": {
            "rates": [],
            "min_size": REWARDS.min_size // MICROS,
            "max_spread": REWARDS.max_spread / CENT,
        },
        "tokens": [
            {
                "token_id": str(token),
                "outcome": name,
                "price": midpoint(listing, outcome) / MICROS,
                "winner": outcome == winner,
            }
            for outcome, (token, name) in enumerate(
                zip(market.tokens, market.outcomes, strict=True)
            )
        ],
        "tags": [],
    }


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
