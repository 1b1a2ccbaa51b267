"""One port on loopback: REST, both WebSockets, the directory and the exchange's own controls."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.gamma import GammaRoutes
from engine.exchange.server.http import Faults, Refusal, json_response
from engine.exchange.server.orders import OrderRoutes
from engine.exchange.server.rest import PublicRoutes
from engine.exchange.server.streams import Streams
from engine.exchange.venue import Venue

BODY_BYTES_MAX = 1 << 20


def build_app(
    venue: Venue,
    streams: Streams,
    chain_id: int,
    status: Callable[[], dict[str, Any]],
    start: Callable[[], None],
) -> web.Application:
    """Return the exchange's web application.

    status, start: what `/_exchange/status` answers and `/_exchange/start` does.
    """

    async def get_status(request: web.Request) -> web.Response:
        _require_loopback(request)
        malformed = streams.market.malformed + streams.user.malformed
        counts = {"malformed_frames": malformed, "errors": faults.count, "last_error": faults.last}
        return json_response({**status(), **counts})

    async def post_start(request: web.Request) -> web.Response:
        _require_loopback(request)
        start()
        return json_response(status())

    faults = Faults()
    gate = Gatekeeper(venue.accounts, chain_id)
    app = web.Application(middlewares=[faults.guard()], client_max_size=BODY_BYTES_MAX)
    app.add_routes(
        [
            *PublicRoutes(venue).routes(),
            *gate.routes(),
            *OrderRoutes(venue, gate, chain_id).routes(),
            *GammaRoutes(venue).routes(),
            web.get("/ws/market", streams.market.serve),
            web.get("/ws/user", streams.user.serve),
            web.get("/_exchange/status", get_status),
            web.post("/_exchange/start", post_start),
        ]
    )
    return app


def _require_loopback(request: web.Request) -> None:
    """Refuse anyone who is not on this machine: these routes are no part of the venue."""
    try:
        local = ip_address(request.remote or "").is_loopback
    except ValueError:
        local = False
    if not local:
        raise Refusal(403, "loopback only")
