"""What today's orders may have cost: the one limit that adds up.

Every order counts with all it puts at stake from the moment it is signed. What is proven not to
have been spent, by a refusal or by a final size, is given back; what nobody knows stays counted.
"""

from __future__ import annotations

_DAY_NS = 86_400 * 1_000_000_000


class Spending:
    """Micros of pUSD at stake since midnight UTC. A limit of 0 is none."""

    __slots__ = ("_day", "_limit", "today")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._day = 0
        self.today = 0

    @property
    def is_limited(self) -> bool:
        """Whether anybody needs to know what was spent."""
        return self._limit > 0

    def take(self, stake: int, now_ns: int) -> bool:
        """Count an order, if the day's limit has room for it. Hot path."""
        day = now_ns // _DAY_NS
        if day > self._day:
            self._day, self.today = day, 0
        if self._limit and self.today + stake > self._limit:
            return False
        self.today += stake
        return True

    def restore(self, stake: int, signed_ns: int) -> None:
        """Count an order of an earlier run: the log remembers what a restart forgets."""
        day = signed_ns // _DAY_NS
        if day > self._day:
            self._day, self.today = day, 0
        self.today += stake * (day == self._day)

    def release(self, stake: int, signed_ns: int) -> None:
        """Give back what an order, signed then, has not spent; yesterday's is forgotten."""
        if signed_ns // _DAY_NS == self._day:
            self.today -= stake
