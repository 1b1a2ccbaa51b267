"""What gates have refused: the strategies of its market are asked again, with the reason.

A strategy that has decided once and was refused, at the start for want of a balance, say, would not
hear of it otherwise. It is asked at once where the last refusal of the market is long ago, and once
a second where it is refused again and again.
"""

from __future__ import annotations

from engine.core.world.instruments import Market

PAUSE_NS = 1_000_000_000


class Refusals:
    """The last refusal of each market that was not told yet.

    waiting: the market and the reason, by the market's number.
    """

    __slots__ = ("_told_ns", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[Market, int]] = {}
        self._told_ns: dict[int, int] = {}

    def add(self, market: Market, reason: int) -> None:
        """Take a refusal; a later one of the same market takes its place."""
        self.waiting[market.number] = market, reason

    def due(self, now_ns: int) -> list[tuple[Market, int]]:
        """Take what is to be told now: a market and the reason, in the order they were refused."""
        due = [
            told
            for number, told in self.waiting.items()
            if now_ns - self._told_ns.get(number, -PAUSE_NS) >= PAUSE_NS
        ]
        for market, _ in due:
            del self.waiting[market.number]
            self._told_ns[market.number] = now_ns
        return due
