"""What a builder's code brought: his fees, and the trades of orders that carried it. No auth.

Any code is a builder's here, and none of them charges. Source: orders.md §5.1, §6.6.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from engine.exchange.orders import Trade
from engine.exchange.server.http import Refusal, json_response, page_response
from engine.exchange.server.trade_query import asked_for
from engine.exchange.server.views import trade_view
from engine.exchange.texts import decimal_text
from engine.exchange.venue import Venue

CODE_DIGITS = 64


class BuilderRoutes:
    """Serves one venue's builders."""

    __slots__ = ("_venue",)

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the builder routes."""
        return [
            web.get("/fees/builder-fees/{code}", self.get_fees),
            web.get("/builder/trades", self.get_trades),
        ]

    async def get_fees(self, request: web.Request) -> web.Response:
        """GET /fees/builder-fees/{code}: basis points on top of a trade's notional."""
        _code(request.match_info["code"])
        return json_response({"builder_maker_fee_rate_bps": 0, "builder_taker_fee_rate_bps": 0})

    async def get_trades(self, request: web.Request) -> web.Response:
        """GET /builder/trades?builder_code=: newest first."""
        query = request.query
        code = _code(query.get("builder_code", ""))
        trades = reversed(self._venue.trades.values())
        own = (trade for trade in trades if trade.order.submission.builder == code)
        rows = [_row(trade) for trade in asked_for(own, query)]
        return page_response(rows, query.get("next_cursor"))


def _code(text: str) -> bytes:
    """Return a builder's code of 32 bytes; Refusal 400 for anything else, and for nobody's."""
    try:
        code = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        code = b""
    if len(code) * 2 != CODE_DIGITS or not any(code):
        raise Refusal(400, "Invalid builder code")
    return code


def _row(trade: Trade) -> dict[str, Any]:
    view, submission, fill = trade_view(trade), trade.order.submission, trade.fill
    return {
        "id": trade.trade_id,
        "tradeType": view["trader_side"],
        "takerOrderHash": view["taker_order_id"],
        "builder": "0x" + submission.builder.hex(),
        "market": view["market"],
        "assetId": str(trade.order.token),
        "side": "SELL" if submission.side else "BUY",
        "size": decimal_text(fill.size),
        "sizeUsdc": decimal_text(fill.notional),
        "price": decimal_text(fill.price),
        "status": view["status"],
        "outcome": submission.market.outcomes[submission.outcome],
        "outcomeIndex": submission.outcome,
        "owner": submission.owner,
        "maker": submission.account.address,
        "transactionHash": view["transaction_hash"],
        "matchTime": view["match_time"],
        "bucketIndex": view["bucket_index"],
        "fee": decimal_text(trade.fee),
        "feeUsdc": decimal_text(trade.fee),
        "createdAt": _iso(trade.matched_ms),
        "updatedAt": _iso(trade.updated_ms),
    }


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat()
