"""Everything the core believes. One writer: `engine.core.engine`; strategies and gates read."""

from __future__ import annotations

from engine.core.params import EngineParams
from engine.core.world.books import VENUE_NS, Books, Touch
from engine.core.world.cash import Cash
from engine.core.world.instruments import Instruments, Market
from engine.core.world.lots import Lots, Position
from engine.core.world.orders import Orders


class World:
    """Books, instruments, orders, lots, cash, time and the halt latch."""

    __slots__ = (
        "book_age_ns_max",
        "books",
        "cash",
        "halted",
        "instruments",
        "lots",
        "now_ns",
        "orders",
        "sees_fills",
    )

    def __init__(self, params: EngineParams) -> None:
        self.books = Books(params.instruments_max + 1)
        self.book_age_ns_max = params.risk.book_age_ns_max
        self.instruments = Instruments()
        self.orders = Orders()
        self.lots = Lots()
        self.cash = Cash()
        self.now_ns = 0
        self.halted = 0  # a Reason; 0 = trading is allowed
        self.sees_fills = False  # whether the private stream is connected

    def touch(self, instrument: int) -> Touch:
        """Return the touch of a book; one that has been quiet for too long is not usable."""
        touch = self.books.touch(instrument)
        if touch.usable and self.now_ns - touch.local_ns > self.book_age_ns_max:
            return touch._replace(usable=False)
        return touch

    def venue_ns(self, market: Market) -> int:
        """Return the venue's clock as far as this market's books tell it (epoch)."""
        tops = self.books.tops
        return int(max(tops[market.up.index, VENUE_NS], tops[market.down.index, VENUE_NS]))

    def position(self, strategy: int, instrument: int) -> Position:
        """Return what one strategy holds of one instrument."""
        return self.lots.position(strategy, instrument)

    def market_exposure(self, market: Market) -> int:
        """Return what a market could cost in pUSD micros if every working order fills.

        Full sets pay 1 whatever happens, so they count as money; working sells add nothing.
        """
        up, down = market.up.index, market.down.index
        cost = sum(p.cost for p in self.lots.holders(up))
        cost += sum(p.cost for p in self.lots.holders(down))
        sets = min(self.lots.size(up), self.lots.size(down))
        working = self.orders.working_buy_notional(up) + self.orders.working_buy_notional(down)
        return max(0, cost - sets) + working

    def total_exposure(self) -> int:
        """Return the sum of the exposures of all unresolved markets: those held or worked in."""
        found: dict[int, Market] = {}
        for index in (*self.lots.held, *self.orders.instruments_working()):
            market = self.instruments.market_of(index)
            if market is not None and market.payout_up < 0:
                found[market.number] = market
        return sum(self.market_exposure(market) for market in found.values())

    def reserved_cash(self) -> int:
        """Return the pUSD micros all working buys may still spend, before fees."""
        orders = self.orders
        return sum(orders.working_buy_notional(index) for index in orders.instruments_working())

    def equity(self) -> int:
        """Return profit and loss in micros: cash flow, payouts, and holdings at the last
        mid a book had: an emptied one says nothing about worth."""
        value = self.cash.flow + self.cash.redeemable
        for instrument in self.lots.held:
            size = self.lots.size(instrument)
            value += size * self.books.double_mid(instrument) // 2_000_000
        return value
