"""One market as it stands: its pool, its tick, whether it trades."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.exchange.market import TICKS, Market
from engine.exchange.matching import Matcher
from engine.exchange.pool import Pool
from engine.exchange.texts import MICROS
from engine.wire.codes import MarketStatus

EDGE = 40_000  # micros from 0 and 1: nearer, the venue refines the grid (orders.md §5.2)
EDGE_TICK = 1_000


@dataclass(slots=True, eq=False)
class Listing:
    """The changing half of a market. last_trade_price: the venue's text, "" before any trade.

    price_to_beat, final_price: what an up/down window compares, micros of USD, 0 = not known.
    """

    market: Market
    pool: Matcher = field(default_factory=Pool)
    tick: int = 0
    status: MarketStatus = MarketStatus.OPEN
    last_trade_price: str = ""
    payouts: tuple[int, int] | None = None
    price_to_beat: int = 0
    final_price: int = 0

    def __post_init__(self) -> None:
        self.tick = self.tick or self.market.tick

    @property
    def is_open(self) -> bool:
        """Whether orders are accepted."""
        return self.status == MarketStatus.OPEN

    @property
    def is_near_edge(self) -> bool:
        """Whether the touch has come so near 0 or 1 that the coarse grid is too coarse."""
        if self.tick <= EDGE_TICK:
            return False
        up = self.pool.books[0]
        return up.best_bid > MICROS - EDGE or 0 < up.best_ask < EDGE

    @property
    def next_tick(self) -> int:
        """The next finer grid; today's if there is none."""
        return next((tick for tick in TICKS if tick < self.tick), self.tick)

    def finer_tick(self, prices: list[int]) -> int:
        """Return the coarsest tick, no coarser than today's, on which all `prices` lie."""
        for tick in TICKS:
            if tick <= self.tick and not any(price % tick for price in prices):
                return tick
        return self.tick
