"""What the exchange tells the outside: one port, implemented by the servers and by tests."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from engine.exchange.books import Change
from engine.exchange.listing import Listing
from engine.exchange.orders import Trade, VenueOrder


class OrderEvent(StrEnum):
    """The user stream's words for what happened to an order."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


class Listener(Protocol):
    """Hears everything, in the order in which it happened; must not call back."""

    def books_changed(self, listing: Listing, changes: list[tuple[int, list[Change]]]) -> None:
        """The books of these outcomes changed together; the listing shows the state after."""

    def books_replaced(self, listing: Listing, outcomes: list[int]) -> None:
        """The books of these outcomes are told whole: shown first, traded in, emptied for good."""

    def tick_changed(self, listing: Listing, old_tick: int) -> None:
        """The market has a finer grid from now on."""

    def trade_printed(self, listing: Listing, trade: Trade) -> None:
        """One of our orders took liquidity: a public trade."""

    def market_listed(self, listing: Listing) -> None:
        """There is a new market."""

    def market_resolved(self, listing: Listing) -> None:
        """The payouts are final."""

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """An order was placed, filled or ended; detail: the venue's free text, if any."""

    def trade_changed(self, trade: Trade) -> None:
        """A trade is new, or has settled one step further."""


class Silence:
    """Nobody listens."""

    def books_changed(self, listing: Listing, changes: list[tuple[int, list[Change]]]) -> None:
        """Say nothing."""

    def books_replaced(self, listing: Listing, outcomes: list[int]) -> None:
        """Say nothing."""

    def tick_changed(self, listing: Listing, old_tick: int) -> None:
        """Say nothing."""

    def trade_printed(self, listing: Listing, trade: Trade) -> None:
        """Say nothing."""

    def market_listed(self, listing: Listing) -> None:
        """Say nothing."""

    def market_resolved(self, listing: Listing) -> None:
        """Say nothing."""

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """Say nothing."""

    def trade_changed(self, trade: Trade) -> None:
        """Say nothing."""
