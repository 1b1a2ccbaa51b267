"""What an account holds and what it paid for it, from its trades. Pure.

Average cost: a buy adds its notional, a sale takes out its share of the cost, and what it brings
beyond that is realized. Fees are kept apart, as the Data API does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.exchange.accounts import Account
from engine.exchange.orders import Trade
from engine.exchange.texts import MICROS
from engine.wire.codes import Side


@dataclass(slots=True)
class Position:
    """One token of one account, in micros. size: by trades; the account's balance may differ
    after splits, merges and redemptions."""

    token: int
    size: int = 0
    bought: int = 0
    cost: int = 0
    fees: int = 0
    realized: int = 0
    first_ms: int = 0
    last_ms: int = 0

    @property
    def average_price(self) -> int:
        """Micros a share, 0 for no shares."""
        return self.cost * MICROS // self.size if self.size else 0

    def add(self, trade: Trade) -> None:
        """Count one trade."""
        fill = trade.fill
        self.first_ms = self.first_ms or trade.matched_ms
        self.last_ms = trade.matched_ms
        self.fees += trade.fee
        if trade.order.terms.side == Side.BUY:
            self.size += fill.size
            self.bought += fill.size
            self.cost += fill.notional
        else:
            gone = self.cost * min(fill.size, self.size) // self.size if self.size else 0
            self.size = max(self.size - fill.size, 0)
            self.cost -= gone
            self.realized += fill.notional - gone


def positions(account: Account, trades: Iterable[Trade]) -> dict[int, Position]:
    """Return an account's positions by token, in the order of their first trade."""
    out: dict[int, Position] = {}
    for trade in trades:
        if trade.order.submission.account is account:
            token = trade.order.token
            out.setdefault(token, Position(token)).add(trade)
    return out
