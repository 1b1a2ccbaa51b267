"""What an owner may look up of his own: orders, trades, balances. All need L2."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.exchange.accounts import CASH, Account, ApiKey, WalletKind
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.http import Refusal, json_response, page_response
from engine.exchange.server.rest import find_token
from engine.exchange.server.trade_query import asked_for
from engine.exchange.server.views import order_view, trade_view
from engine.exchange.venue import Venue
from signer.contracts import EXCHANGES


class AccountRoutes:
    """Serves what one venue knows of an owner, whichever of his wallets it concerns."""

    __slots__ = ("_gate", "_spenders", "_venue")

    def __init__(self, venue: Venue, gate: Gatekeeper, chain_id: int) -> None:
        self._venue = venue
        self._gate = gate
        self._spenders = sorted({a for key, a in EXCHANGES.items() if key.chain_id == chain_id})

    def routes(self) -> list[web.RouteDef]:
        """Return the look-up routes."""
        return [
            web.get("/data/order/{id}", self.get_order),
            web.get("/data/orders", self.get_orders),
            web.get("/data/pre-migration-orders", self.get_old_orders),
            web.get("/data/trades", self.get_trades),
            web.get("/balance-allowance", self.get_balance),
            web.get("/balance-allowance/update", self.update_balance),
        ]

    async def get_order(self, request: web.Request) -> web.Response:
        """GET /data/order/{id}: in any status."""
        key, _ = await self._gate.admit(request)
        rows = self._order(key, request.match_info["id"])
        if not rows:
            raise Refusal(404, "Order not found")
        return json_response(rows[0])

    async def get_orders(self, request: web.Request) -> web.Response:
        """GET /data/orders: open ones; with `id`, that one in any status."""
        key, _ = await self._gate.admit(request)
        query = request.query
        if "id" in query:
            rows = self._order(key, query["id"])
        else:
            rows = [order_view(order) for order in self._venue.orders_of(key.account)]
        return page_response(_where(rows, request), query.get("next_cursor"))

    async def get_old_orders(self, request: web.Request) -> web.Response:
        """GET /data/pre-migration-orders: nothing here is that old."""
        await self._gate.admit(request)
        return page_response([], request.query.get("next_cursor"))

    async def get_trades(self, request: web.Request) -> web.Response:
        """GET /data/trades: newest first."""
        key, _ = await self._gate.admit(request)
        trades = reversed(self._venue.trades.values())
        mine = (t for t in trades if t.order.submission.trader == key.account.owner)
        rows = [trade_view(trade) for trade in asked_for(mine, request.query)]
        return page_response(rows, request.query.get("next_cursor"))

    async def get_balance(self, request: web.Request) -> web.Response:
        """GET /balance-allowance: base units of pUSD or of one token, of one wallet."""
        key, _ = await self._gate.admit(request)
        wallet = self._wallet(key, request)
        kind = request.query.get("asset_type")
        found = find_token(self._venue, request.query.get("token_id"))
        if kind == "COLLATERAL":
            asset = CASH
        elif kind in ("CONDITIONAL", "CONDITIONAL-V2") and found is not None:
            asset = int(request.query["token_id"])
        else:
            raise Refusal(400, "Invalid asset type")
        return json_response(
            {
                "balance": str(wallet.balance(asset)),
                "allowances": {spender: str(wallet.allowance) for spender in self._spenders},
            }
        )

    async def update_balance(self, request: web.Request) -> web.Response:
        """GET /balance-allowance/update: nothing is cached here."""
        await self._gate.admit(request)
        return json_response("")

    def _order(self, key: ApiKey, order_id: str) -> list[dict[str, Any]]:
        order = self._venue.desk.orders.get(order_id.lower())
        if order is None or order.submission.trader != key.account.owner:
            return []
        return [order_view(order)]

    def _wallet(self, key: ApiKey, request: web.Request) -> Account:
        """Return the owner's wallet that `signature_type` names."""
        name = request.query.get("signature_type", "0")
        kinds = {str(int(kind)): kind for kind in WalletKind}
        wallet = None
        if name in kinds:
            wallet = self._venue.accounts.wallet(key.account.address, kinds[name])
        if wallet is None:
            raise Refusal(400, "Invalid signature type")
        return wallet


def _where(rows: list[dict[str, Any]], request: web.Request) -> list[dict[str, Any]]:
    """Return the rows of the market and token that the query names."""
    market, asset = (request.query.get(name, "").lower() for name in ("market", "asset_id"))
    return [row for row in rows if market in ("", row["market"]) and asset in ("", row["asset_id"])]
