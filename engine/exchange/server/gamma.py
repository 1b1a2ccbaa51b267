"""The market directory, under `/gamma`: which markets exist, what their tokens are, how they ended.

Shapes are the venue's, oddities included: lists that are JSON inside a string, numbers as text, two
date formats. Source: feeds.md §6 and recorded pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from engine.exchange.listing import Listing
from engine.exchange.market import Market
from engine.exchange.series import series_id
from engine.exchange.server.frames import market_id
from engine.exchange.server.http import Refusal, decode_cursor, encode_cursor, json_response
from engine.exchange.server.prices import midpoint
from engine.exchange.texts import MICROS, decimal_text
from engine.exchange.venue import Venue
from engine.wire.codes import FeeCurve, MarketStatus
from signer.contracts import Generation

PAGE_ROWS = 20
PAGE_ROWS_MAX = 100


class GammaRoutes:
    """Serves the directory of one venue. Every market is an event of its own, as windows are."""

    __slots__ = ("_venue",)

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the directory's routes."""
        return [
            web.get("/gamma/markets", self.get_markets),
            web.get("/gamma/markets/keyset", self.get_markets_keyset),
            web.get("/gamma/markets/slug/{slug}", self.get_market),
            web.get("/gamma/markets/{id}", self.get_market),
            web.get("/gamma/events", self.get_events),
            web.get("/gamma/events/keyset", self.get_events_keyset),
            web.get("/gamma/events/slug/{slug}", self.get_event),
            web.get("/gamma/events/{id}", self.get_event),
        ]

    async def get_markets(self, request: web.Request) -> web.Response:
        """GET /gamma/markets: a plain list, by offset."""
        return json_response([market_view(x) for x in self._offset_page(request)])

    async def get_events(self, request: web.Request) -> web.Response:
        """GET /gamma/events: a plain list, by offset."""
        return json_response([event_view(x) for x in self._offset_page(request)])

    async def get_market(self, request: web.Request) -> web.Response:
        """GET /gamma/markets/{id}, /gamma/markets/slug/{slug}: one, open or closed."""
        return json_response(market_view(self._one(request)))

    async def get_event(self, request: web.Request) -> web.Response:
        """GET /gamma/events/{id}, /gamma/events/slug/{slug}: one, open or closed."""
        return json_response(event_view(self._one(request)))

    async def get_markets_keyset(self, request: web.Request) -> web.Response:
        """GET /gamma/markets/keyset: pages by cursor."""
        page, cursor = self._cursor_page(request)
        return json_response({"markets": [market_view(x) for x in page], **cursor})

    async def get_events_keyset(self, request: web.Request) -> web.Response:
        """GET /gamma/events/keyset: pages by cursor."""
        page, cursor = self._cursor_page(request)
        return json_response({"events": [event_view(x) for x in page], **cursor})

    def _one(self, request: web.Request) -> Listing:
        place = request.match_info
        for listing in self._venue.listings.values():
            if place.get("slug") == listing.market.slug or place.get("id") == market_id(listing):
                return listing
        raise Refusal(404, "not found")

    def _offset_page(self, request: web.Request) -> list[Listing]:
        start = _count(request, "offset", 0)
        return self._matching(request)[start : start + _limit(request)]

    def _cursor_page(self, request: web.Request) -> tuple[list[Listing], dict[str, str]]:
        if "offset" in request.query:
            raise Refusal(422, "offset is not supported, use after_cursor")
        start = decode_cursor(request.query.get("after_cursor"))
        end = start + _limit(request)
        rows = self._matching(request)
        return rows[start:end], {"next_cursor": encode_cursor(end)} if end < len(rows) else {}

    def _matching(self, request: web.Request) -> list[Listing]:
        """Return listings by the query's filters; closed ones only if asked for, or by name."""
        query = request.query
        rows: Iterable[Listing] = self._venue.listings.values()
        slugs, conditions = query.getall("slug", []), query.getall("condition_ids", [])
        if slugs:
            rows = [x for x in rows if x.market.slug in slugs]
        if conditions:
            wanted = {name.lower() for name in conditions}
            rows = [x for x in rows if {x.market.condition_id, _condition_id(x.market)} & wanted]
        tokens = set(query.getall("clob_token_ids", []))
        if tokens:
            rows = [x for x in rows if tokens & {str(token) for token in x.market.tokens}]
        if "series_id" in query:
            named = set(query.getall("series_id"))
            rows = [x for x in rows if str(series_id(x.market.series)) in named]
        earliest_ms, latest_ms = (_time_ms(request, f"end_date_{end}") for end in ("min", "max"))
        if earliest_ms is not None:
            rows = [x for x in rows if x.market.end_ms >= earliest_ms]
        if latest_ms is not None:
            rows = [x for x in rows if x.market.end_ms <= latest_ms]
        if "closed" in query or not (slugs or conditions or tokens):
            closed = query.get("closed", "false").lower() == "true"
            rows = [x for x in rows if x.is_open != closed]
        return sorted(rows, key=lambda x: (x.market.start_ms, x.market.slug))


def market_view(listing: Listing) -> dict[str, Any]:
    """Return Gamma's market object, with the fields a trading client may need."""
    market = listing.market
    resolved = listing.status == MarketStatus.RESOLVED
    view: dict[str, Any] = {
        "id": market_id(listing),
        "question": market.question,
        "conditionId": _condition_id(market),
        "slug": market.slug,
        "endDate": _iso(market.end_ms),
        "eventStartTime": _iso(market.start_ms),
        "startDate": _iso(market.start_ms - 86_400_000),
        "acceptingOrdersTimestamp": _iso(market.start_ms - 86_400_000),
        "outcomes": _nested(market.outcomes),
        "outcomePrices": _nested(_outcome_prices(listing)),
        "clobTokenIds": _nested(str(token) for token in market.tokens),
        "version": "v1" if market.generation < Generation.V3 else "v2",
        "active": True,
        "closed": not listing.is_open,
        "archived": False,
        "acceptingOrders": listing.is_open,
        "marketMakerAddress": "",
        "enableOrderBook": True,
        "negRisk": market.neg_risk,
        "orderPriceMinTickSize": listing.tick / MICROS,
        "orderMinSize": _number(market.min_size),
        "feesEnabled": market.fee.curve != FeeCurve.FREE,
        "rewardsMinSize": 50,
        "rewardsMaxSpread": 4.5,
        "automaticallyResolved": resolved,
        "umaResolutionStatuses": "[]",
        "bestBid": listing.pool.books[0].best_bid / MICROS,
        "bestAsk": listing.pool.books[0].best_ask / MICROS,
    }
    if market.fee.curve == FeeCurve.V2:
        view["feeType"] = "crypto_fees_v2"
        view["feeSchedule"] = {
            "rate": market.fee.rate_ppm / MICROS,
            "exponent": market.fee.exponent,
            "takerOnly": True,
            "rebateRate": 0.2,
        }
    if market.seconds_delay:
        view["secondsDelay"] = market.seconds_delay
    if not listing.is_open:
        closed = datetime.fromtimestamp(market.end_ms / 1_000, UTC)
        view["closedTime"] = closed.strftime("%Y-%m-%d %H:%M:%S+00")
    if resolved:
        view["umaResolutionStatus"] = "resolved"
    if market.generation >= 3:
        view["positionIds"] = [str(token) for token in market.tokens]
    return view


def event_view(listing: Listing) -> dict[str, Any]:
    """Return Gamma's event object around one market."""
    market = listing.market
    view: dict[str, Any] = {
        "id": market_id(listing),
        "ticker": market.slug,
        "slug": market.slug,
        "title": market.question,
        "startDate": _iso(market.start_ms - 86_400_000),
        "endDate": _iso(market.end_ms),
        "active": True,
        "closed": not listing.is_open,
        "archived": False,
        "enableNegRisk": market.neg_risk,
        "negRiskAugmented": False,
        "markets": [market_view(listing)],
    }
    if market.series:
        view["seriesSlug"] = market.series
        view["series"] = [
            {
                "id": str(series_id(market.series)),
                "ticker": market.series,
                "slug": market.series,
                "title": market.series.replace("-", " "),
                "seriesType": "single",
                "recurrence": market.series.rpartition("-")[2],
                "active": True,
                "closed": False,
                "archived": False,
            }
        ]
    metadata = _metadata(listing)
    return view | {"eventMetadata": metadata} if metadata else view


def _condition_id(market: Market) -> str:
    """Return a condition id as the directory spells it: 31 bytes for generation 3."""
    is_padded = market.generation >= Generation.V3
    return market.condition_id[:-2] if is_padded else market.condition_id


def _metadata(listing: Listing) -> dict[str, float]:
    """Return what an up/down window compares, USD: the first once it runs, both once it is over."""
    named = (("priceToBeat", listing.price_to_beat), ("finalPrice", listing.final_price))
    return {name: price / MICROS for name, price in named if price}


def _outcome_prices(listing: Listing) -> list[str]:
    if listing.payouts is not None:
        return [decimal_text(payout) for payout in listing.payouts]
    return [decimal_text(midpoint(listing, outcome)) for outcome in (0, 1)]


def _nested(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode().replace('","', '", "')


def _number(micros: int) -> float | int:
    return micros // MICROS if micros % MICROS == 0 else micros / MICROS


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time_ms(request: web.Request, name: str) -> int | None:
    """Return a time of the query in venue ms, or None; Refusal 422 for what is no ISO time."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refusal(422, f"{name} must be a time") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)


def _limit(request: web.Request) -> int:
    return min(_count(request, "limit", PAGE_ROWS), PAGE_ROWS_MAX)


def _count(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Refusal(422, f"{name} must be a number")
    return int(text)
