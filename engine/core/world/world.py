"""Everything the core believes. One writer: `engine.core.engine`; strategies and gates read."""

from __future__ import annotations

from engine.core.params import EngineParams
from engine.core.world.books import Books, Touch
from engine.core.world.cash import Cash
from engine.core.world.instruments import Instruments, Market
from engine.core.world.lots import Lots, Position
from engine.core.world.orders import Orders


class World:
    """Books, instruments, orders, lots, cash, time and the halt latch."""

    __slots__ = (
        "_exposure",
        "_exposures",
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
        self.lots = Lots(changed=self.orders.changed)
        self.cash = Cash()
        self.now_ns = 0
        self.halted = 0  # a Reason; 0 = trading is allowed
        self.sees_fills = False  # whether the private stream is connected
        self._exposures: dict[int, int] = {}  # by market number
        self._exposure = 0  # their sum

    def touch(self, instrument: int) -> Touch:
        """Hot path. Return a book's touch; one that was quiet for too long is not usable."""
        touch = self.books.touch(instrument)
        if touch.usable and self.now_ns - touch.local_ns > self.book_age_ns_max:
            return touch._replace(usable=False)
        return touch

    def venue_ns(self, market: Market) -> int:
        """Return the venue's clock as far as this market's books tell it (epoch)."""
        venue_ns = self.books.venue_ns
        return max(venue_ns(market.up.index), venue_ns(market.down.index))

    def position(self, strategy: int, instrument: int) -> Position:
        """Return what one strategy holds of one instrument."""
        return self.lots.position(strategy, instrument)

    def market_exposure(self, market: Market) -> int:
        """Return what a market could cost in pUSD micros if every working order fills.

        Full sets pay 1 whatever happens, so they count as money; working sells add nothing, and
        neither does a market that is resolved.
        """
        self.reckon()
        return self._exposures.get(market.number, 0)

    def total_exposure(self) -> int:
        """Return the sum of the exposures of all markets."""
        self.reckon()
        return self._exposure

    def reserved_cash(self) -> int:
        """Return the pUSD micros all working buys may still spend, before fees."""
        return self.orders.buy_notional

    def reckon(self) -> None:
        """Look again at the markets whose orders or lots have changed since the last time.

        Whoever asks for an exposure causes it; done earlier, nobody has to wait for it then.
        """
        changed = self.orders.changed
        while changed:
            market = self.instruments.market_of(changed.pop())
            if market is not None:
                now = self._exposure_of(market) if market.payout_up < 0 else 0
                self._exposure += now - self._exposures.get(market.number, 0)
                self._exposures[market.number] = now

    def _exposure_of(self, market: Market) -> int:
        up, down = market.up.index, market.down.index
        cost = size_up = size_down = 0
        for position in self.lots.holders(up):
            cost += position.cost
            size_up += position.size
        for position in self.lots.holders(down):
            cost += position.cost
            size_down += position.size
        orders = self.orders
        working = orders.working_buy_notional(up) + orders.working_buy_notional(down)
        return max(0, cost - min(size_up, size_down)) + working

    def equity(self) -> int:
        """Return profit and loss in micros: cash flow, payouts, and holdings at the last
        mid a book had: an emptied one says nothing about worth."""
        value = self.cash.flow + self.cash.redeemable
        for instrument in self.lots.held:
            size = self.lots.size(instrument)
            value += size * self.books.double_mid(instrument) // 2_000_000
        return value
