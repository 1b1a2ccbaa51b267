"""The last public trade of every token."""

from __future__ import annotations

from typing import NamedTuple

from engine.exchange.orders import Trade


class LastTrade(NamedTuple):
    """price: micros.  side: the taker's."""

    price: int
    side: int


class LastTrades:
    """Remembers, by token, what was printed last."""

    __slots__ = ("_by_token",)

    def __init__(self) -> None:
        self._by_token: dict[int, LastTrade] = {}

    def trade_printed(self, trade: Trade) -> None:
        """Hear of a public trade."""
        terms = trade.order.terms
        self._by_token[trade.order.token] = LastTrade(trade.fill.price, terms.side)

    def of(self, token: int) -> LastTrade | None:
        """Return a token's last trade, or None."""
        return self._by_token.get(token)
