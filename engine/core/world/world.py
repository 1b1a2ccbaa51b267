"""Everything the core believes. One writer: `engine.core.engine`; strategies and gates read."""

from __future__ import annotations

from dataclasses import replace

from engine.core.params import EngineParams
from engine.core.world.books import TICK, Books, Touch
from engine.core.world.cash import Cash
from engine.core.world.facts import (
    BOOK_AGE_NS_MAX,
    COMPLEMENT,
    EXPOSURE,
    HALTED,
    IS_FEE_KNOWN,
    IS_OPEN,
    IS_RECOVERED,
    MARKET,
    MIN_SIZE,
    READ_BACK_AGE_NS_MAX,
    READ_BACK_NS,
    RESERVED,
    SEES_FILLS,
    SIGN_AGE_NS_MAX,
    SIGN_NS,
    TERMS,
    TOTAL_EXPOSURE,
    Facts,
)
from engine.core.world.holdings import Holdings
from engine.core.world.instruments import Instrument, Instruments, Market
from engine.core.world.lots import Lots, Position
from engine.core.world.orders import Orders
from engine.wire.codes import FeeCurve

_CURVE_UNKNOWN = int(FeeCurve.UNKNOWN)


class World:
    """Books, instruments, orders, lots, cash, time and the halt latch."""

    __slots__ = (
        "_account",
        "_columns",
        "_facts",
        "books",
        "cash",
        "facts",
        "holdings",
        "instruments",
        "lots",
        "now_ns",
        "orders",
    )

    def __init__(self, params: EngineParams) -> None:
        self.books = Books(params.instruments_max + 1)
        self.facts = Facts(self.books.capacity, params.risk, len(params.strategies))
        self.instruments = Instruments()
        self.orders = Orders(self.facts)
        self.lots = Lots(self.facts, self.orders.changed)
        self.holdings = Holdings(self.facts, self.lots, self.orders.changed)
        self.cash = Cash(self.facts)
        self.now_ns = 0
        self._account = self.facts.account_words
        self._facts = self.facts.instrument_words
        self._columns = self.facts.columns

    @property
    def halted(self) -> int:
        """A Reason; 0 = trading is allowed."""
        return self._account[HALTED]

    @halted.setter
    def halted(self, reason: int) -> None:
        self._account[HALTED] = reason

    @property
    def is_recovered(self) -> bool:
        """Whether it is known what earlier runs have left."""
        return self._account[IS_RECOVERED] == 1

    def recover(self) -> None:
        """Take what is known now as all that earlier runs have left."""
        self._account[IS_RECOVERED] = 1
        self.cash.flow += self.holdings.accept()
        self.cash.open()

    @property
    def sees_fills(self) -> bool:
        """Whether the private stream is connected, and we are not blind."""
        return self._account[SEES_FILLS] == 1 and not self.is_blind

    @property
    def is_blind(self) -> bool:
        """Whether the private feed has been silent, or has read nothing back, for too long."""
        account = self._account
        return (
            self.now_ns - account[SIGN_NS] > account[SIGN_AGE_NS_MAX]
            or self.now_ns - account[READ_BACK_NS] > account[READ_BACK_AGE_NS_MAX]
        )

    def on_private_feed(self, local_ns: int, read_back_ns: int, *, is_connected: bool) -> None:
        """Take a sign of life of the private feed, given at this moment."""
        account = self._account
        account[SEES_FILLS] = is_connected
        account[SIGN_NS] = max(account[SIGN_NS], local_ns)
        account[READ_BACK_NS] = max(account[READ_BACK_NS], read_back_ns)

    def accept(self, instrument: Instrument) -> Market | None:
        """Remember an instrument or its new terms; return the market it completes, if it does."""
        index = instrument.index
        known = self.instruments.get(index)
        completed = self.instruments.accept(instrument)
        facts, row = self._facts, index * self._columns
        facts[row + IS_FEE_KNOWN] = instrument.fee_curve != _CURVE_UNKNOWN
        facts[row + MIN_SIZE] = instrument.min_size
        facts[row + TERMS] += known != instrument
        self.books.tops[index, TICK] = instrument.tick
        market = self.instruments.market_of(index)
        if market is not None:
            self._tell_gates(market)
        if completed is not None:
            up, down = completed.up.index, completed.down.index
            for one, other in ((up, down), (down, up)):
                facts[one * self._columns + COMPLEMENT] = other
                facts[one * self._columns + MARKET] = up
            self.orders.changed.update((up, down))  # something may be held of it already
        return completed

    def set_tick(self, index: int, tick: int) -> None:
        """Change the tick of a known instrument, as the venue does while a market runs."""
        known = self.instruments.get(index)
        assert known is not None, f"a tick names an unknown instrument: index={index}"
        self.accept(replace(known, tick=tick))

    def terms(self, instrument: int) -> int:
        """Hot path. Return the version of an instrument's terms: it grows when they change."""
        return self._facts[instrument * self._columns + TERMS]

    def set_status(self, market: Market, status: int) -> None:
        """Change what the venue says of a market."""
        market.status = status
        self._tell_gates(market)

    def halt_market(self, market: Market, reason: int) -> None:
        """Let no new order into a market for the rest of the run; the first reason stays."""
        if market.is_halted:
            return
        market.halt_reason = reason
        self.instruments.halted += 1
        self._tell_gates(market)

    def _tell_gates(self, market: Market) -> None:
        for instrument in (market.up, market.down):
            self._facts[instrument.index * self._columns + IS_OPEN] = market.is_open

    def touch(self, instrument: int) -> Touch:
        """Hot path. Return a book's touch; one that was quiet for too long is not usable."""
        touch = self.books.touch(instrument)
        if touch.usable and self.now_ns - touch.local_ns > self._account[BOOK_AGE_NS_MAX]:
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
        return self._facts[market.up.index * self._columns + EXPOSURE]

    def total_exposure(self) -> int:
        """Return the sum of the exposures of all markets."""
        self.reckon()
        return self._account[TOTAL_EXPOSURE]

    def reserved_cash(self) -> int:
        """Return the pUSD micros all working buys may still spend, before fees."""
        return self._account[RESERVED]

    def reckon(self) -> None:
        """Look again at the markets whose orders or lots have changed since the last time.

        Whoever asks for an exposure causes it; done earlier, nobody has to wait for it then.
        """
        changed = self.orders.changed
        while changed:
            market = self.instruments.market_of(changed.pop())
            if market is not None:
                now = self._exposure_of(market) if market.payout_up < 0 else 0
                at = market.up.index * self._columns + EXPOSURE
                self._account[TOTAL_EXPOSURE] += now - self._facts[at]
                self._facts[at] = now

    def _exposure_of(self, market: Market) -> int:
        up, down = market.up.index, market.down.index
        cost_up, size_up = self._stake_in(up)
        cost_down, size_down = self._stake_in(down)
        orders = self.orders
        working = orders.working_buy_notional(up) + orders.working_buy_notional(down)
        return max(0, cost_up + cost_down - min(size_up, size_down)) + working

    def _stake_in(self, instrument: int) -> tuple[int, int]:
        """Return what the holdings of one token have cost in pUSD micros, and how many there are.

        None is negative: who sold more than it had sold what others hold, at their cost. What no
        fill explains has cost what a share can pay.
        """
        if instrument not in self.lots.held and not self.holdings.is_any:
            return 0, 0
        cost = size = 0
        for strategy, position in self.lots.holders(instrument).items():
            if strategy:
                cost += max(0, position.cost)
                size += max(0, position.size)
        elsewhere = self.lots.holders(instrument).get(0)
        unexplained = self.holdings.unexplained_of(instrument)
        if elsewhere is not None or unexplained:
            own_cost, own_size = (elsewhere.cost, elsewhere.size) if elsewhere else (0, 0)
            held = max(0, own_size + unexplained)
            cost += min(max(0, own_cost) + unexplained, held)
            size += held
        return cost, size

    def equity(self) -> int:
        """Return profit and loss in micros: cash flow, payouts, and holdings at the last
        mid a book had: an emptied one says nothing about worth."""
        value = self.cash.flow + self.cash.redeemable
        for instrument in self.lots.held:
            size = self.lots.size(instrument)
            value += size * self.books.double_mid(instrument) // 2_000_000
        return value
