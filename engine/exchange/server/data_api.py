"""The Data API, version 2, under `/data-api`: what is on chain of everybody's trading.

Only trades that are in a block appear. Answers are pages by cursor; `offset` is refused. Numbers
are JSON doubles, addresses are wallets. Source: feeds.md §7 and the official client's models.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from engine.exchange import contracts
from engine.exchange.accounts import ALLOWANCE_MAX, Account
from engine.exchange.listing import Listing
from engine.exchange.orders import Trade
from engine.exchange.positions import Position, positions
from engine.exchange.server.http import Refusal, decode_cursor, encode_cursor, json_response
from engine.exchange.server.prices import midpoint
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.exchange.wallet_actions import Action, WalletActions
from engine.wire.codes import Liquidity, Side
from signer.contracts import EXCHANGES, Generation

LIMIT, LIMIT_MAX = 100, 1_000
CONDITIONS_MAX = 20
DUST = 100_000  # micro-shares: smaller positions are not listed
ON_CHAIN = ("MINED", "CONFIRMED")
PERPS_DEPOSIT = "0xDCa4af75705dbB50f62437045afF9921947917d2"


class DataRoutes:
    """Serves what one venue's accounts did."""

    __slots__ = ("_actions", "_chain_id", "_venue")

    def __init__(self, venue: Venue, actions: WalletActions, chain_id: int) -> None:
        self._venue = venue
        self._actions = actions
        self._chain_id = chain_id

    def routes(self) -> list[web.RouteDef]:
        """Return the data routes."""
        return [
            web.get("/data-api/v2/activity", self.get_activity),
            web.get("/data-api/v2/trades", self.get_trades),
            web.get("/data-api/v2/positions", self.get_positions),
            web.get("/data-api/v2/value", self.get_value),
            web.get("/data-api/v2/approvals", self.get_approvals),
        ]

    async def get_activity(self, request: web.Request) -> web.Response:
        """GET /v2/activity?user=: trades, splits, merges, redemptions, newest first."""
        account = self._user(request)
        rows = [
            {"type": "TRADE", **fill_row(trade)}
            for trade in self._on_chain()
            if trade.order.submission.account is account
        ]
        rows += [
            _action_row(action) for action in self._actions.actions if action.account is account
        ]
        wanted = set(filter(None, request.query.get("type", "").split(",")))
        rows = [row for row in rows if not wanted or row["type"] in wanted]
        ascending = request.query.get("sort_direction", "DESC").upper() == "ASC"
        rows.sort(key=lambda row: row["timestamp"], reverse=not ascending)
        return _page(_between(_of_conditions(rows, request), request), request)

    async def get_trades(self, request: web.Request) -> web.Response:
        """GET /v2/trades?user=|condition_id=: takers' fills, or all with taker_only=false."""
        query = request.query
        trades: Iterable[Trade] = reversed(self._on_chain())
        if "user" in query:
            account = self._user(request)
            trades = [t for t in trades if t.order.submission.account is account]
        if query.get("taker_only", "true").lower() != "false":
            trades = [t for t in trades if t.fill.liquidity == Liquidity.TAKER]
        rows = [fill_row(trade) for trade in trades]
        if "side" in query:
            rows = [row for row in rows if row["side"] == query["side"].upper()]
        rows = _of_conditions(rows, request)
        return _page(_between(rows, request) if "user" in query else rows, request)

    async def get_positions(self, request: web.Request) -> web.Response:
        """GET /v2/positions?user=: what a wallet holds, above dust."""
        account = self._user(request)
        known = positions(account, self._on_chain())
        rows = []
        for listing in self._venue.listings.values():
            for outcome, token in enumerate(listing.market.tokens):
                if account.balance(token) >= DUST:
                    position = known.get(token, Position(token))
                    rows.append(_position_row(account, listing, outcome, position))
        status = request.query.get("status", "")
        rows = [row for row in rows if status in ("", row["status"])]
        return _page(_of_conditions(rows, request), request)

    async def get_value(self, request: web.Request) -> web.Response:
        """GET /v2/value?user=: what a wallet's shares are worth at the midpoint."""
        account = self._user(request)
        value = sum(
            account.balance(token) * _worth(listing, outcome) // MICROS
            for listing in self._venue.listings.values()
            for outcome, token in enumerate(listing.market.tokens)
        )
        row = {"proxy_wallet": account.address, "value": value / MICROS}
        return json_response({"data": row})

    async def get_approvals(self, request: web.Request) -> web.Response:
        """GET /v2/approvals?user=: who may move the wallet's assets."""
        account = self._user(request)
        exchanges = sorted({a for k, a in EXCHANGES.items() if k.chain_id == self._chain_id})
        adapters = [contracts.CTF_ADAPTER, contracts.NEG_RISK_ADAPTER]
        modules = [contracts.BINARY_MODULE, contracts.NEG_RISK_MODULE]
        everyone = [*exchanges, *adapters, *modules, contracts.AUTO_REDEEMER, contracts.ROUTER]
        amount = "max" if account.allowance == ALLOWANCE_MAX else str(account.allowance)
        rows = [
            _approval(contracts.COLLATERAL, spender, "ERC20", account.allowance > 0, amount)
            if spender in exchanges
            else _approval(contracts.COLLATERAL, spender, "ERC20", True, "max")
            for spender in [*everyone, PERPS_DEPOSIT]
        ]
        for ledger in (contracts.CONDITIONAL_TOKENS, contracts.POSITION_MANAGER):
            rows += [_approval(ledger, spender, "ERC1155", True, "max") for spender in everyone]
        return json_response(
            {
                "data": {
                    "address": account.address,
                    "chain_id": self._chain_id,
                    "contracts": rows,
                }
            }
        )

    def _user(self, request: web.Request) -> Account:
        address = request.query.get("user", "")
        if len(address) != 42 or address[:2] != "0x":
            raise Refusal(400, "required query param 'user' not provided")
        return self._venue.accounts.find(address) or Account(address)

    def _on_chain(self) -> list[Trade]:
        return [t for t in self._venue.trades.values() if str(t.status) in ON_CHAIN]


def fill_row(trade: Trade) -> dict[str, Any]:
    """Return one fill as the Data API lists it."""
    order, fill = trade.order, trade.fill
    submission = order.submission
    return {
        "proxy_wallet": submission.account.address,
        "token_id": str(order.token),
        **_market_head(submission.market, submission.outcome),
        "side": Side(submission.side).name,
        "size": fill.size / MICROS,
        "usdc_size": fill.notional / MICROS,
        "price": fill.price / MICROS,
        "timestamp": trade.matched_ms // 1_000,
        "transaction_hash": trade.transaction_hash,
        "is_combo": False,
    }


def _market_head(market: Any, outcome: int) -> dict[str, Any]:
    return {
        "condition_id": market.condition_id,
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.slug,
        "outcome": market.outcomes[outcome],
        "outcome_index": outcome,
    }


def _action_row(action: Action) -> dict[str, Any]:
    market = action.listing.market
    return {
        "type": str(action.kind),
        "proxy_wallet": action.account.address,
        "condition_id": market.condition_id,
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.slug,
        "outcome_index": 999,
        "size": action.amount / MICROS,
        "usdc_size": action.cash / MICROS,
        "timestamp": action.at_ms // 1_000,
        "transaction_hash": action.transaction_hash,
        "is_combo": False,
    }


def _position_row(
    account: Account, listing: Listing, outcome: int, position: Position
) -> dict[str, Any]:
    market = listing.market
    size, worth = account.balance(position.token), _worth(listing, outcome)
    value = size * worth // MICROS
    cost = position.average_price * size // MICROS
    unrealized = value - cost
    redeemable = listing.payouts is not None
    total = unrealized + position.realized
    return {
        "proxy_wallet": account.address,
        "token_id": str(position.token),
        **_market_head(market, outcome),
        "opposite_token_id": str(market.tokens[1 - outcome]),
        "opposite_outcome": market.outcomes[1 - outcome],
        "current_size": size / MICROS,
        "total_size": position.bought / MICROS,
        "avg_price": position.average_price / MICROS,
        "entry_cost_usdc": cost / MICROS,
        "entry_fees_usdc": position.fees / MICROS,
        "total_cost_usdc": (cost + position.fees) / MICROS,
        "current_price": worth / MICROS,
        "current_value": value / MICROS,
        "realized_pnl": position.realized / MICROS,
        "unrealized_pnl": unrealized / MICROS,
        "total_pnl": total / MICROS,
        "percent_pnl": 100 * unrealized / cost if cost else 0.0,
        "percent_realized_pnl": 100 * position.realized / cost if cost else 0.0,
        "status": "REDEEMABLE" if redeemable else "OPEN",
        "redeemable": redeemable,
        "mergeable": account.balance(market.tokens[1 - outcome]) > 0,
        "negative_risk": market.neg_risk,
        "archived": False,
        "verified": True,
        "end_date": datetime.fromtimestamp(market.end_ms / 1_000, UTC).date().isoformat(),
        "first_entry_at": position.first_ms // 1_000,
        "last_event_at": position.last_ms // 1_000,
        "version": "v1" if market.generation < Generation.V3 else "v2",
    }


def _worth(listing: Listing, outcome: int) -> int:
    """Return what a share is worth: its payout, or the midpoint."""
    return listing.payouts[outcome] if listing.payouts else midpoint(listing, outcome)


def _approval(
    token: str, spender: str, standard: str, approved: bool, amount: str
) -> dict[str, Any]:
    return {
        "token": token,
        "spender": spender,
        "standard": standard,
        "approved": approved,
        "amount": amount,
    }


def _of_conditions(rows: list[dict[str, Any]], request: web.Request) -> list[dict[str, Any]]:
    names = set(filter(None, request.query.get("condition_id", "").lower().split(",")))
    if len(names) > CONDITIONS_MAX:
        raise Refusal(400, f"at most {CONDITIONS_MAX} conditions")
    return [row for row in rows if not names or row["condition_id"] in names]


def _between(rows: list[dict[str, Any]], request: web.Request) -> list[dict[str, Any]]:
    start, end = (_number(request, name, None) for name in ("start", "end"))
    return [
        row
        for row in rows
        if (start is None or row["timestamp"] >= start) and (end is None or row["timestamp"] <= end)
    ]


def _page(rows: list[dict[str, Any]], request: web.Request) -> web.Response:
    if "offset" in request.query:
        raise Refusal(400, "offset is not supported, use cursor")
    limit = min(_number(request, "limit", LIMIT) or LIMIT, LIMIT_MAX)
    start = decode_cursor(request.query.get("cursor"))
    end = start + limit
    more = end < len(rows)
    pagination = {
        "limit": limit,
        "offset": start,
        "has_more": more,
        "next_cursor": encode_cursor(end) if more else None,
    }
    return json_response({"data": rows[start:end], "pagination": pagination})


def _number(request: web.Request, name: str, default: int | None) -> int | None:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Refusal(400, f"{name} must be a number")
    return int(text)
