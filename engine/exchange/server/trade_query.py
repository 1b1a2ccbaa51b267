"""Which trades a query asks for: id, market, token, maker and time. Source: orders.md §5.1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.exchange.orders import Trade
from engine.exchange.server.views import trade_view


def asked_for(trades: Iterable[Trade], query: Mapping[str, str]) -> Iterator[Trade]:
    """Yield those trades that the query's filters let through, in their order."""
    before, after = (_seconds(query.get(name)) for name in ("before", "after"))
    maker = query.get("maker_address", "").lower()
    market, asset = query.get("market", "").lower(), query.get("asset_id", "")
    for trade in trades:
        if (
            query.get("id", trade.trade_id).lower() == trade.trade_id
            and maker in ("", trade.order.submission.account.address.lower())
            and (before is None or trade.matched_ms < before * 1_000)
            and (after is None or trade.matched_ms > after * 1_000)
        ):
            view = trade_view(trade)
            if market in ("", view["market"]) and asset in ("", view["asset_id"]):
                yield trade


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 13 else None
