"""Everything the exchange says on its own accord: the market stream and the user stream."""

from __future__ import annotations

from engine.exchange.books import Change
from engine.exchange.events import OrderEvent
from engine.exchange.listing import Listing
from engine.exchange.orders import Trade, VenueOrder
from engine.exchange.server.market_ws import MarketStream
from engine.exchange.server.user_ws import UserStream


class Streams:
    """The venue's listener: public facts go to one stream, private ones to the other."""

    __slots__ = ("market", "user")

    def __init__(self, market: MarketStream, user: UserStream) -> None:
        self.market = market
        self.user = user

    def books_changed(self, listing: Listing, changes: list[tuple[int, list[Change]]]) -> None:
        """Public."""
        self.market.books_changed(listing, changes)

    def books_replaced(self, listing: Listing, outcomes: list[int]) -> None:
        """Public."""
        self.market.books_replaced(listing, outcomes)

    def tick_changed(self, listing: Listing, old_tick: int) -> None:
        """Public."""
        self.market.tick_changed(listing, old_tick)

    def trade_printed(self, listing: Listing, trade: Trade) -> None:
        """Public."""
        self.market.trade_printed(listing, trade)

    def market_resolved(self, listing: Listing) -> None:
        """Public."""
        self.market.market_resolved(listing)

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """Private."""
        self.user.order_changed(order, event, detail)

    def trade_changed(self, trade: Trade) -> None:
        """Private."""
        self.user.trade_changed(trade)
