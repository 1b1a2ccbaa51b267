"""The trading routes: post, cancel and look up orders and trades. All need L2.

An order is verified in the venue's sequence: payload, owner, signer, token, signature, then the
desk's own rules. The signature is recovered under the exchange of the token's market and
generation, so an order signed for another one is `order_version_mismatch` or `invalid signature`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from engine.exchange import rules
from engine.exchange.accounts import CASH, ApiKey
from engine.exchange.listing import Listing
from engine.exchange.orders import Answer, Submission
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import (
    Refusal,
    decode_cursor,
    encode_cursor,
    json_response,
    parse_json,
)
from engine.exchange.server.views import answer_view, order_view, trade_view
from engine.exchange.venue import Venue
from engine.wire.codes import Tif
from signer.contracts import EXCHANGES, Generation, exchange_domain
from signer.ecdsa import recover_address
from signer.order_v2 import Order, order_from_json, order_hash

BAD_PAYLOAD = "Invalid order payload"
ORDERS_PER_BATCH_MAX = 15
CANCELS_PER_BATCH_MAX = 1_000
PAGE_ROWS = 100
CURSOR_END = "LTE="
EOA = 0


class OrderRoutes:
    """Serves orders of one venue."""

    __slots__ = ("_chain_id", "_gate", "_separators", "_venue")

    def __init__(self, venue: Venue, gate: Gatekeeper, chain_id: int) -> None:
        self._venue = venue
        self._gate = gate
        self._chain_id = chain_id
        self._separators: dict[tuple[int, bool], bytes] = {
            (generation, neg_risk): exchange_domain(generation, chain_id, neg_risk).separator()
            for generation in (Generation.V2, Generation.V3)
            for neg_risk in (False, True)
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the trading routes."""
        return [
            web.post("/order", self.post_order),
            web.post("/orders", self.post_orders),
            web.delete("/order", self.cancel_order),
            web.delete("/orders", self.cancel_orders),
            web.delete("/cancel-all", self.cancel_all),
            web.delete("/cancel-market-orders", self.cancel_market),
            web.get("/data/order/{id}", self.get_order),
            web.get("/data/orders", self.get_orders),
            web.get("/data/trades", self.get_trades),
            web.get("/balance-allowance", self.get_balance),
            web.get("/balance-allowance/update", self.update_balance),
        ]

    async def post_order(self, request: web.Request) -> web.Response:
        """POST /order: one signed order; answers when its fate is known."""
        key, body = await self._gate.admit(request)
        answer = await self._place(key, parse_json(body))
        if answer.error:
            raise Refusal(answer.http_status, answer.error)
        return json_response(_answer(answer))

    async def post_orders(self, request: web.Request) -> web.Response:
        """POST /orders: up to 15, each with its own answer."""
        key, body = await self._gate.admit(request)
        payloads = parse_json(body)
        if not isinstance(payloads, list) or not payloads:
            raise Refusal(400, BAD_PAYLOAD)
        if len(payloads) > ORDERS_PER_BATCH_MAX:
            raise Refusal(
                400,
                f"Too many orders in payload: {len(payloads)}, max allowed: {ORDERS_PER_BATCH_MAX}",
            )
        return json_response(
            await asyncio.gather(*(self._leg(key, payload) for payload in payloads))
        )

    async def cancel_order(self, request: web.Request) -> web.Response:
        """DELETE /order: one order by hash."""
        key, body = await self._gate.admit(request)
        payload = parse_json(body)
        order_id = payload.get("orderID") if isinstance(payload, dict) else None
        if not isinstance(order_id, str):
            raise Refusal(400, "Invalid orderID")
        return self._cancel(key, [order_id])

    async def cancel_orders(self, request: web.Request) -> web.Response:
        """DELETE /orders: many, by hash."""
        key, body = await self._gate.admit(request)
        hashes = parse_json(body)
        if not isinstance(hashes, list) or not all(isinstance(h, str) for h in hashes):
            raise Refusal(400, BAD_PAYLOAD)
        if len(hashes) > CANCELS_PER_BATCH_MAX:
            raise Refusal(400, f"Too many orders in payload, max allowed: {CANCELS_PER_BATCH_MAX}")
        return self._cancel(key, hashes)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """DELETE /cancel-all: every open order of the account."""
        key, _ = await self._gate.admit(request)
        return self._cancel(key, [o.order_hash for o in self._venue.orders_of(key.account)])

    async def cancel_market(self, request: web.Request) -> web.Response:
        """DELETE /cancel-market-orders: by condition id, token id or both."""
        key, body = await self._gate.admit(request)
        wanted = parse_json(body)
        if not isinstance(wanted, dict) or not (wanted.get("market") or wanted.get("asset_id")):
            raise Refusal(400, BAD_PAYLOAD)  # "neither" once meant everything: too dear a slip
        orders = self._orders_where(key, wanted.get("market"), wanted.get("asset_id"))
        return self._cancel(key, [order["id"] for order in orders])

    async def get_order(self, request: web.Request) -> web.Response:
        """GET /data/order/{id}: in any status."""
        key, _ = await self._gate.admit(request)
        order = self._venue.desk.orders.get(request.match_info["id"].lower())
        if order is None or order.submission.account is not key.account:
            raise Refusal(404, "Order not found")
        return json_response(order_view(order))

    async def get_orders(self, request: web.Request) -> web.Response:
        """GET /data/orders: open ones; with `id`, that one in any status."""
        key, _ = await self._gate.admit(request)
        query = request.query
        if "id" in query:
            order = self._venue.desk.orders.get(query["id"].lower())
            mine = order is not None and order.submission.account is key.account
            rows = [order_view(order)] if order is not None and mine else []
        else:
            rows = self._orders_where(key, query.get("market"), query.get("asset_id"))
        return _page(rows, query.get("next_cursor"))

    async def get_trades(self, request: web.Request) -> web.Response:
        """GET /data/trades: newest first."""
        key, _ = await self._gate.admit(request)
        query = request.query
        before, after = (_seconds(query.get(name)) for name in ("before", "after"))
        rows = [
            trade_view(trade)
            for trade in reversed(self._venue.trades.values())
            if trade.order.submission.account is key.account
            and query.get("id", trade.trade_id) == trade.trade_id
            and (before is None or trade.matched_ms < before * 1_000)
            and (after is None or trade.matched_ms > after * 1_000)
        ]
        for name in ("market", "asset_id"):
            if name in query:
                rows = [row for row in rows if row[name] == query[name]]
        return _page(rows, query.get("next_cursor"))

    async def get_balance(self, request: web.Request) -> web.Response:
        """GET /balance-allowance: base units of pUSD or of one token."""
        key, _ = await self._gate.admit(request)
        kind = request.query.get("asset_type")
        token = request.query.get("token_id", "")
        if kind == "COLLATERAL":
            asset = CASH
        elif kind in ("CONDITIONAL", "CONDITIONAL-V2") and _find(self._venue, token):
            asset = int(token)
        else:
            raise Refusal(400, "Invalid asset type")
        spenders = {a for k, a in EXCHANGES.items() if k.chain_id == self._chain_id}
        return json_response(
            {
                "balance": str(key.account.balance(asset)),
                "allowances": {s: str(key.account.allowance) for s in sorted(spenders)},
            }
        )

    async def update_balance(self, request: web.Request) -> web.Response:
        """GET /balance-allowance/update: nothing is cached here."""
        await self._gate.admit(request)
        return json_response("")

    async def _leg(self, key: ApiKey, payload: Any) -> dict[str, Any]:
        """Return a batch leg's answer; a refused one says `success` and has an error, as there."""
        try:
            answer = await self._place(key, payload)
        except Refusal as refusal:
            answer = Answer("", refusal.text)
        return {**_answer(answer), "errorMsg": answer.error, "orderID": answer.order_hash}

    async def _place(self, key: ApiKey, payload: Any) -> Answer:
        submission = self.verify(key, payload)
        fate: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._venue.submit(submission, fate.set_result)
        answer = await asyncio.shield(fate)  # a client who hangs up does not stop his order
        self._venue.truth.flush()
        return answer

    def verify(self, key: ApiKey, payload: Any) -> Submission:
        """Return a verified order; Refusal in the venue's words otherwise."""
        fields = payload.get("order") if isinstance(payload, dict) else None
        if not isinstance(fields, dict):
            raise Refusal(400, BAD_PAYLOAD)
        try:
            order = order_from_json(fields)
            signature = bytes.fromhex(str(fields["signature"]).removeprefix("0x"))
            tif = Tif[payload["orderType"]]
            expiration_s = _expiration(fields.get("expiration", "0"))
            post_only = payload.get("postOnly", False)
        except (KeyError, ValueError, TypeError):
            raise Refusal(400, BAD_PAYLOAD) from None
        if not isinstance(post_only, bool):
            raise Refusal(400, BAD_PAYLOAD)
        if payload.get("owner") != key.key:
            raise Refusal(400, "the order owner has to be the owner of the API KEY")
        self._check_wallet(key, order)
        found = self._venue.find(order.token_id)
        if found is None:
            raise Refusal(400, rules.NO_MARKET.format(token=order.token_id))
        listing, outcome = found
        return Submission(
            order_hash="0x" + self._digest(order, signature, listing).hex(),
            account=key.account,
            owner=key.key,
            market=listing.market,
            outcome=outcome,
            side=order.side,
            maker_amount=order.maker_amount,
            taker_amount=order.taker_amount,
            tif=tif,
            post_only=post_only,
            expiration_s=expiration_s,
        )

    def _check_wallet(self, key: ApiKey, order: Order) -> None:
        """Refuse a wallet that is not the key's account. Only EOAs trade here so far."""
        if order.signature_type != EOA:
            raise Refusal(400, "maker address not allowed, please use the deposit wallet flow")
        address = key.account.address.lower()
        if order.signer.lower() != address or order.maker.lower() != address:
            raise Refusal(400, "the order signer address has to be the address of the API KEY")

    def _digest(self, order: Order, signature: bytes, listing: Listing) -> bytes:
        """Return the order's hash under its market's exchange; Refusal if it is not signed so."""
        market = listing.market
        digest = order_hash(order, self._separators[market.generation, market.neg_risk])
        if _signed_by(order.signer, signature, digest):
            return digest
        for separator in self._separators.values():
            if _signed_by(order.signer, signature, order_hash(order, separator)):
                raise Refusal(400, "order_version_mismatch")
        raise Refusal(400, "invalid signature")

    def _cancel(self, key: ApiKey, hashes: list[str]) -> web.Response:
        outcome = self._venue.cancel(key.account, [order_id.lower() for order_id in hashes])
        self._venue.truth.flush()
        return json_response(
            {
                "canceled": [order_id for order_id, reason in outcome.items() if not reason],
                "not_canceled": {
                    order_id: reason for order_id, reason in outcome.items() if reason
                },
            }
        )

    def _orders_where(self, key: ApiKey, market: Any, asset: Any) -> list[dict[str, Any]]:
        rows = [order_view(order) for order in self._venue.orders_of(key.account)]
        return [
            row
            for row in rows
            if (not market or row["market"] == market) and (not asset or row["asset_id"] == asset)
        ]


def _signed_by(address: str, signature: bytes, digest: bytes) -> bool:
    try:
        return recover_address(digest, signature).lower() == address.lower()
    except ValueError:
        return False


def _answer(answer: Answer) -> dict[str, Any]:
    return answer_view(
        answer.order_hash, answer.status, answer.making, answer.taking, answer.trade_ids
    )


def _expiration(text: Any) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ValueError("an expiration is a string of decimal digits")
    return int(text)


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 13 else None


def _find(venue: Venue, token: str) -> tuple[Listing, int] | None:
    plain = token.isascii() and token.isdigit() and len(token) < 79
    return venue.find(int(token)) if plain else None


def _page(rows: list[dict[str, Any]], cursor: str | None) -> web.Response:
    """Return one page; cursors are opaque base64 numbers, `LTE=` is the end."""
    start = decode_cursor(cursor)
    page = rows[start : start + PAGE_ROWS]
    after = start + PAGE_ROWS
    more = after < len(rows)
    return json_response(
        {
            "limit": PAGE_ROWS,
            "count": len(page),
            "next_cursor": encode_cursor(after) if more else CURSOR_END,
            "data": page,
        }
    )
