"""Everything the exchange says on its own accord, and everything it remembers of what it said."""

from __future__ import annotations

from collections.abc import Callable

from engine.exchange.accounts import Accounts
from engine.exchange.books import Change
from engine.exchange.events import OrderEvent
from engine.exchange.listing import Listing
from engine.exchange.orders import Trade, VenueOrder
from engine.exchange.schedule import Schedule
from engine.exchange.server.last_trades import LastTrades
from engine.exchange.server.market_ws import Find, MarketStream
from engine.exchange.server.notifications import Notifications
from engine.exchange.server.user_ws import UserStream


class Streams:
    """The venue's listener: public facts go to one stream, private ones to the other."""

    __slots__ = ("last_trades", "market", "notifications", "on_trade", "user")

    def __init__(self, schedule: Schedule, accounts: Accounts, find: Find) -> None:
        """find: which listing and outcome a token is."""
        self.market = MarketStream(schedule, find)
        self.user = UserStream(schedule, accounts)
        self.last_trades = LastTrades()
        self.notifications = Notifications(schedule)
        self.on_trade: list[Callable[[Trade], None]] = []  # further listeners to trades

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
        """Public, and remembered."""
        self.last_trades.trade_printed(trade)
        self.market.trade_printed(listing, trade)

    def market_listed(self, listing: Listing) -> None:
        """Public."""
        self.market.market_listed(listing)

    def market_resolved(self, listing: Listing) -> None:
        """Public."""
        self.market.market_resolved(listing)

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """Private, and remembered."""
        self.notifications.order_changed(order, event)
        self.user.order_changed(order, event, detail)

    def trade_changed(self, trade: Trade) -> None:
        """Private, and remembered."""
        self.notifications.trade_changed(trade)
        self.user.trade_changed(trade)
        for listener in self.on_trade:
            listener(trade)
