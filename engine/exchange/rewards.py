"""What the venue gives makers: whether an order scores, and the share of fees it hands back. Pure.

Source: orders.md §6.4; quant.md on rewards. Defaults are those of BTC windows in October 2026.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.exchange.listing import Listing
from engine.exchange.orders import Status, Trade, VenueOrder
from engine.wire.codes import Liquidity

REBATE_PPM = 200_000  # of a market's taker fees, to its makers
REBATE_MIN = 1_000_000  # micros: less is not paid


@dataclass(frozen=True, slots=True)
class RewardTerms:
    """What an order needs to score: micro-shares, micros from the midpoint, ms in the book."""

    min_size: int = 50_000_000
    max_spread: int = 45_000
    min_age_ms: int = 30_000

    def scores(self, order: VenueOrder, listing: Listing, now_ms: int) -> bool:
        """Tell whether an order earns liquidity rewards at this moment."""
        if order.status is not Status.LIVE or not listing.is_open:
            return False
        book = listing.pool.books[order.terms.outcome]
        if not book.bids or not book.asks:
            return False
        middle = (book.best_bid + book.best_ask) // 2
        return (
            order.terms.left >= self.min_size
            and abs(order.terms.limit - middle) <= self.max_spread
            and now_ms - order.created_ms >= self.min_age_ms
        )


def rebate(trades: Iterable[Trade]) -> int:
    """Return the rebate in pUSD micros for a maker's trades of one market and day.

    The pool is a share of the market's taker fees and is split by what each maker's fills would
    have paid as taker. As every fill has one taker at the same price and size, that comes to the
    same share of the maker's own fee equivalent. Rounded down; 0 below the least amount paid.
    """
    equivalent = sum(
        trade.order.submission.market.fee.charge(trade.fill.size, trade.fill.price)
        for trade in trades
        if trade.fill.liquidity == Liquidity.MAKER
    )
    amount = equivalent * REBATE_PPM // 1_000_000
    return amount if amount >= REBATE_MIN else 0
