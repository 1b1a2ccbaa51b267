"""The trading routes: post and cancel orders. All need L2.

A request passes the gate (who), the venue's mode (whether now), the rate limits (how fast), the
verifier (its papers) and then the desk's own rules.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from engine.exchange.accounts import ApiKey, KeyRole
from engine.exchange.orders import Answer
from engine.exchange.server.auth import UNAUTHORIZED, Gatekeeper
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.server.limits import RateLimiter
from engine.exchange.server.verifier import BAD_PAYLOAD, OrderVerifier
from engine.exchange.server.views import answer_view
from engine.exchange.venue import Venue
from engine.exchange.venue_mode import Act, Obstacle, VenueMode
from engine.wire.codes import Side

ORDERS_PER_BATCH_MAX = 15
CANCELS_PER_BATCH_MAX = 1_000
_ORDER_ID = re.compile(r"0[xX][0-9a-fA-F]{64}")


class OrderRoutes:
    """Takes orders and cancels for one venue."""

    __slots__ = ("_gate", "_limiter", "_mode", "_venue", "_verifier")

    def __init__(
        self,
        venue: Venue,
        gate: Gatekeeper,
        verifier: OrderVerifier,
        mode: VenueMode,
        limiter: RateLimiter,
    ) -> None:
        self._venue = venue
        self._gate = gate
        self._verifier = verifier
        self._mode = mode
        self._limiter = limiter

    def routes(self) -> list[web.RouteDef]:
        """Return the trading routes."""
        return [
            web.post("/order", self.post_order),
            web.post("/orders", self.post_orders),
            web.delete("/order", self.cancel_order),
            web.delete("/orders", self.cancel_orders),
            web.delete("/cancel-all", self.cancel_all),
            web.delete("/cancel-market-orders", self.cancel_market),
        ]

    async def post_order(self, request: web.Request) -> web.Response:
        """POST /order: one signed order; answers when its fate is known."""
        key, body = await self._admit_trader(request)
        payload = parse_json(body)
        self._admit_orders(request, key, [payload])
        answer = await self._place(key, payload)
        if answer.error:
            raise Refusal(answer.http_status, answer.error)
        return json_response(_answer(answer))

    async def post_orders(self, request: web.Request) -> web.Response:
        """POST /orders: up to 15, each with its own answer."""
        key, body = await self._admit_trader(request)
        payloads = parse_json(body)
        if not isinstance(payloads, list) or not payloads:
            raise Refusal(400, BAD_PAYLOAD)
        if len(payloads) > ORDERS_PER_BATCH_MAX:
            raise Refusal(
                400,
                f"Too many orders in payload: {len(payloads)}, max allowed: {ORDERS_PER_BATCH_MAX}",
            )
        self._admit_orders(request, key, payloads)
        return json_response(
            await asyncio.gather(*(self._leg(key, payload) for payload in payloads))
        )

    async def cancel_order(self, request: web.Request) -> web.Response:
        """DELETE /order: one order by hash."""
        key, body = await self._admit_trader(request)
        payload = parse_json(body)
        order_id = _order_id(payload.get("orderID") if isinstance(payload, dict) else None)
        self._admit_cancels(request, key, 1)
        return self._cancel(key, [order_id])

    async def cancel_orders(self, request: web.Request) -> web.Response:
        """DELETE /orders: many, by hash."""
        key, body = await self._admit_trader(request)
        ids = parse_json(body)
        if not isinstance(ids, list):
            raise Refusal(400, BAD_PAYLOAD)
        if len(ids) > CANCELS_PER_BATCH_MAX:
            raise Refusal(400, f"Too many orders in payload, max allowed: {CANCELS_PER_BATCH_MAX}")
        hashes = [_order_id(each) for each in ids]
        self._admit_cancels(request, key, len(hashes))
        return self._cancel(key, hashes)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """DELETE /cancel-all: every open order of the owner."""
        key, _ = await self._admit_trader(request)
        return self._cancel_where(request, key, "", "")

    async def cancel_market(self, request: web.Request) -> web.Response:
        """DELETE /cancel-market-orders: by condition id, token id or both."""
        key, body = await self._admit_trader(request)
        wanted = parse_json(body)
        if not isinstance(wanted, dict) or not (wanted.get("market") or wanted.get("asset_id")):
            raise Refusal(400, BAD_PAYLOAD)  # "neither" once meant everything: too dear a slip
        market, asset = (str(wanted.get(name) or "").lower() for name in ("market", "asset_id"))
        return self._cancel_where(request, key, market, asset)

    async def _admit_trader(self, request: web.Request) -> tuple[ApiKey, bytes]:
        key, body = await self._gate.admit(request)
        if key.role is not KeyRole.TRADE:
            raise Refusal(401, UNAUTHORIZED)
        return key, body

    def _admit_orders(self, request: web.Request, key: ApiKey, payloads: list[Any]) -> None:
        quiet = all(isinstance(p, dict) and p.get("postOnly") is True for p in payloads)
        _obey(self._mode.obstacle(Act.POST_ONLY_ORDER if quiet else Act.ORDER))
        self._limiter.admit_orders(request, key.account.owner, len(payloads))

    def _admit_cancels(self, request: web.Request, key: ApiKey, count: int) -> None:
        _obey(self._mode.obstacle(Act.CANCEL))
        self._limiter.admit_cancels(request, key.account.owner, count)

    async def _leg(self, key: ApiKey, payload: Any) -> dict[str, Any]:
        """Return a batch leg's answer; a refused one says `success` and has an error, as there."""
        try:
            answer = await self._place(key, payload)
        except Refusal as refusal:
            answer = Answer("", refusal.text)
        return {**_answer(answer), "errorMsg": answer.error, "orderID": answer.order_hash}

    async def _place(self, key: ApiKey, payload: Any) -> Answer:
        submission = self._verifier.verify(key, payload)
        buys = submission.side == Side.BUY
        _obey(self._mode.account_obstacle(key.account.owner, buys=buys))
        fate: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._venue.submit(submission, fate.set_result)
        if not fate.done():
            await asyncio.shield(fate)  # a client who hangs up does not stop his order
        answer = fate.result()
        self._venue.truth.flush()
        return answer

    def _cancel_where(
        self, request: web.Request, key: ApiKey, market: str, asset: str
    ) -> web.Response:
        """Cancel open orders of a market, of a token, or all; each costs a token, paid later."""
        self._admit_cancels(request, key, 1)
        orders = self._venue.orders_of(
            key.account,
            lambda order: (
                market in ("", order.submission.market.condition_id)
                and asset in ("", str(order.token))
            ),
        )
        answer = self._cancel(key, [order.order_hash for order in orders])
        self._limiter.charge_cancels(request, key.account.owner, len(orders))
        return answer

    def _cancel(self, key: ApiKey, hashes: Iterable[str]) -> web.Response:
        outcome = self._venue.cancel(key.account, hashes)
        self._venue.truth.flush()
        return json_response(
            {
                "canceled": [order_id for order_id, reason in outcome.items() if not reason],
                "not_canceled": {
                    order_id: reason for order_id, reason in outcome.items() if reason
                },
            }
        )


def _order_id(value: Any) -> str:
    """Return an order's hash in lower case; Refusal 400 for what is none."""
    if not isinstance(value, str) or _ORDER_ID.fullmatch(value) is None:
        raise Refusal(400, "Invalid orderID")
    return value.lower()


def _answer(answer: Answer) -> dict[str, Any]:
    return answer_view(
        answer.order_hash, answer.status, answer.making, answer.taking, answer.trade_ids
    )


def _obey(obstacle: Obstacle | None) -> None:
    """Refuse the request if something stands in its way."""
    if obstacle is None:
        return
    more: dict[str, Any] = {"code": obstacle.code} if obstacle.code else {}
    headers = {}
    if obstacle.retry_after_s is not None:
        headers["Retry-After"] = str(obstacle.retry_after_s)
        if obstacle.code:
            more["retry_after_seconds"] = obstacle.retry_after_s
    raise Refusal(obstacle.status, obstacle.text, more=more, headers=headers, page=obstacle.page)
