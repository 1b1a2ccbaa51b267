"""Whether an order scores: what it must be to earn liquidity rewards. Pure.

Source: orders.md §6.4; quant.md on rewards. Defaults are those of BTC windows in October 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.exchange.listing import Listing
from engine.exchange.orders import Status, VenueOrder


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
