"""One market as it stands: its pool, its tick, whether it trades."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.exchange.market import TICKS, Market
from engine.exchange.matching import Pool
from engine.wire.codes import MarketStatus


@dataclass(slots=True, eq=False)
class Listing:
    """The changing half of a market. last_trade_price: the venue's text, "" before any trade."""

    market: Market
    pool: Pool = field(default_factory=Pool)
    tick: int = 0
    status: MarketStatus = MarketStatus.OPEN
    last_trade_price: str = ""
    payouts: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.tick = self.tick or self.market.tick

    @property
    def is_open(self) -> bool:
        """Whether orders are accepted."""
        return self.status == MarketStatus.OPEN

    def finer_tick(self, prices: list[int]) -> int:
        """Return the coarsest tick, no coarser than today's, on which all `prices` lie."""
        for tick in TICKS:
            if tick <= self.tick and not any(price % tick for price in prices):
                return tick
        return self.tick
