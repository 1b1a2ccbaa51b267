"""The displayed book of one token, and what changed between two states of it."""

from __future__ import annotations

from typing import NamedTuple

from engine.exchange.texts import MICROS
from engine.wire.codes import Side

Levels = dict[int, int]  # price → size, micros, only sizes above 0


class Change(NamedTuple):
    """One level's new absolute size; 0 removes it. side: BUY = bid, SELL = ask."""

    side: int
    price: int
    size: int


class Book:
    """Both sides of one token. `known` once anything was shown; `time_ms` of the last change."""

    __slots__ = ("asks", "bids", "known", "time_ms")

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.known = False
        self.time_ms = 0

    @property
    def best_bid(self) -> int:
        """The highest bid in micros, 0 on an empty side."""
        return max(self.bids) if self.bids else 0

    @property
    def best_ask(self) -> int:
        """The lowest ask in micros, 1_000_000 on an empty side."""
        return min(self.asks) if self.asks else MICROS

    def side(self, side: int) -> Levels:
        """Return the bids (BUY) or the asks (SELL)."""
        return self.bids if side == Side.BUY else self.asks

    def replace(self, bids: Levels, asks: Levels, time_ms: int) -> list[Change]:
        """Show another book; return what changed, removals last, best prices first."""
        changes = _changes(Side.BUY, self.bids, bids) + _changes(Side.SELL, self.asks, asks)
        if changes or not self.known:
            self.time_ms = time_ms
        self.bids, self.asks = bids, asks
        self.known = True
        return changes

    def forget(self) -> None:
        """Know nothing any more: what is displayed may be wrong."""
        self.bids, self.asks = {}, {}
        self.known = False


def _changes(side: int, old: Levels, new: Levels) -> list[Change]:
    if old == new:
        return []
    best_first = side == Side.BUY
    set_now = sorted(new.items() - old.items(), reverse=best_first)
    gone = sorted(old.keys() - new.keys(), reverse=best_first)
    return [Change(side, price, size) for price, size in set_now] + [
        Change(side, price, 0) for price in gone
    ]
