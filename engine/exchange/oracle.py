"""The price everybody watches, once a second of venue time."""

from __future__ import annotations

from collections.abc import Callable

from engine.exchange.btc_path import BtcPath
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.schedule import Phase, Schedule

SECOND_MS = 1_000
SYMBOL = "btcusd"


class Oracle:
    """Observes a simulated path. on_price: told every second's price, micros of USD."""

    __slots__ = ("_path", "_prices", "_schedule", "_until_ms", "on_price")

    def __init__(
        self, schedule: Schedule, prices: ReferencePrices, seed: str, until_ms: int
    ) -> None:
        self._schedule = schedule
        self._prices = prices
        self._path = BtcPath(seed)
        self._until_ms = until_ms
        self.on_price: Callable[[int], None] = _ignore

    def begin(self) -> None:
        """Observe from the next full second on, before anything else of that millisecond acts."""
        next_ms = (self._schedule.now_ms // SECOND_MS + 1) * SECOND_MS
        if next_ms <= self._until_ms:
            self._schedule.at(next_ms, Phase.BOOK, self._second)

    def _second(self) -> None:
        price = self._path.step()
        self._prices.observe(SYMBOL, self._schedule.now_ms, price)
        self.on_price(price)
        self.begin()


def _ignore(_price: int) -> None:
    pass
