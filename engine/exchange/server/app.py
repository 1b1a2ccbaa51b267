"""One port on loopback: REST, WebSockets, directory, data, relayer and the exchange's own controls.

The venue spreads these over several hosts; here each host is a path of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from engine.exchange.faults import Faults as ScenarioFaults
from engine.exchange.frame_faults import FrameFilter
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.server.account import AccountRoutes
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.builders import BuilderRoutes
from engine.exchange.server.chain_views import ChainRoutes
from engine.exchange.server.data_api import DataRoutes
from engine.exchange.server.fault_guard import fault_guard
from engine.exchange.server.gamma import GammaRoutes
from engine.exchange.server.heartbeats import HeartbeatRoutes
from engine.exchange.server.http import Faults, Refusal, json_response
from engine.exchange.server.keys import KeyRoutes
from engine.exchange.server.limits import TIERS, Enforcement, RateLimiter
from engine.exchange.server.markets import MarketRoutes
from engine.exchange.server.mode import ModeRoutes
from engine.exchange.server.notifications import NotificationRoutes
from engine.exchange.server.orders import OrderRoutes
from engine.exchange.server.polybolt import PolyBolt
from engine.exchange.server.prices import PriceRoutes
from engine.exchange.server.relayer import RelayerRoutes
from engine.exchange.server.rest import PublicRoutes
from engine.exchange.server.rtds import Rtds
from engine.exchange.server.scoring import ScoringRoutes
from engine.exchange.server.session_keys import SessionKeyRoutes
from engine.exchange.server.streams import Streams
from engine.exchange.server.verifier import OrderVerifier
from engine.exchange.venue import Venue
from engine.exchange.venue_mode import VenueMode
from engine.exchange.wallet_actions import WalletActions
from engine.host.clock import Clock

BODY_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Hosting:
    """What the servers need beside the venue. chain_id: of the signing domains."""

    chain_id: int = 137
    tier: str = "standard"
    enforcement: Enforcement = Enforcement.WARN
    mode: VenueMode = field(default_factory=VenueMode)
    prices: ReferencePrices = field(default_factory=ReferencePrices)


def build_app(
    venue: Venue,
    streams: Streams,
    hosting: Hosting,
    status: Callable[[], dict[str, Any]],
    start: Callable[[], None],
    scenario: ScenarioFaults | None = None,
) -> web.Application:
    """Return the exchange's web application.

    status, start: what `/_exchange/status` answers and `/_exchange/start` does.
    scenario: what goes wrong on purpose; `/_exchange/faults` lets one that waits begin.
    """

    async def get_status(_request: web.Request) -> web.Response:
        malformed = streams.market.malformed + streams.user.malformed
        counts = {"malformed_frames": malformed, "errors": faults.count, "last_error": faults.last}
        return json_response({**status(), **counts})

    async def post_start(_request: web.Request) -> web.Response:
        start()
        return json_response(status())

    async def post_faults(_request: web.Request) -> web.Response:
        if scenario is None:
            raise Refusal(409, "no scenario was given")
        scenario.arm()
        return json_response(status())

    faults = Faults()
    chain_id, mode, prices = hosting.chain_id, hosting.mode, hosting.prices
    gate = Gatekeeper(venue.accounts, chain_id)
    clock = Clock.anchored()
    limiter = RateLimiter(
        TIERS[hosting.tier], hosting.enforcement, lambda: clock.now_ns() / 1_000_000_000
    )
    polybolt = PolyBolt(prices, venue.accounts)
    actions = WalletActions(venue)
    relayer = RelayerRoutes(venue, gate, actions, chain_id)
    rtds = Rtds(prices, venue)
    streams.on_trade.append(rtds.trade_changed)
    middlewares = [faults.guard(), loopback_only]
    if scenario is not None:
        middlewares.insert(0, fault_guard(scenario))
        streams.market.new_passes = partial(_passes, scenario, "market")
        streams.user.new_passes = partial(_passes, scenario, "user")
        polybolt.new_passes = partial(_passes, scenario, "prices")
        rtds.new_passes = partial(_passes, scenario, "rtds")
    app = web.Application(middlewares=middlewares, client_max_size=BODY_BYTES_MAX)
    app.add_routes(
        [
            *PublicRoutes(venue, mode).routes(),
            *PriceRoutes(venue, streams.last_trades).routes(),
            *MarketRoutes(venue).routes(),
            *KeyRoutes(venue.accounts, gate, mode).routes(),
            *OrderRoutes(venue, gate, OrderVerifier(venue, chain_id), mode, limiter).routes(),
            *AccountRoutes(venue, gate, chain_id).routes(),
            *HeartbeatRoutes(venue, gate).routes(),
            *BuilderRoutes(venue).routes(),
            *ScoringRoutes(venue, gate).routes(),
            *NotificationRoutes(streams.notifications, gate).routes(),
            *GammaRoutes(venue).routes(),
            *DataRoutes(venue, actions, chain_id).routes(),
            *relayer.routes(),
            *SessionKeyRoutes(venue, gate, relayer).routes(),
            *ChainRoutes(venue, chain_id).routes(),
            *ModeRoutes(mode, venue.schedule).routes(),
            web.get("/ws/market", streams.market.serve),
            web.get("/ws/user", streams.user.serve),
            web.get("/ws/prices", polybolt.serve),
            web.get("/ws/rtds", rtds.serve),
            web.get("/_exchange/status", get_status),
            web.post("/_exchange/start", post_start),
            web.post("/_exchange/faults", post_faults),
        ]
    )
    return app


@web.middleware
async def loopback_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuse the exchange's own controls to anyone who is not on this machine."""
    if request.path.startswith("/_exchange/"):
        try:
            local = ip_address(request.remote or "").is_loopback
        except ValueError:
            local = False
        if not local:
            raise Refusal(403, "loopback only")
    response: web.StreamResponse = await handler(request)
    return response


def _passes(scenario: ScenarioFaults, stream: str, request: web.Request) -> FrameFilter:
    """Return what becomes of the frames of one connection to a stream."""

    def hang_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    return scenario.frames(stream, hang_up)
