"""Prices of the world outside, as an oracle observes them: what up/down markets resolve on.

Whoever simulates or relays such prices calls `observe` once a second and symbol; the price sockets
tell their subscribers. Recorded markets come without one: then nothing is ever observed, and the
sockets acknowledge subscriptions and stay silent. Values are micros of USD, times venue ms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

KEPT_MS = 120_000  # the history a new subscriber gets


class Observation(NamedTuple):
    """A price at a moment."""

    at_ms: int
    value: int


Listener = Callable[[str, Observation], None]


class ReferencePrices:
    """The last two minutes of every symbol, such as "btcusd"."""

    __slots__ = ("_history", "_listeners", "distort")

    def __init__(self) -> None:
        self._history: dict[str, deque[Observation]] = {}
        self._listeners: list[Listener] = []
        self.distort: Callable[[str, int], int | None] = _as_it_is  # None: nothing is observed

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every later observation."""
        self._listeners.append(listener)

    def observe(self, symbol: str, at_ms: int, value: int) -> None:
        """Take a price; one that is not later than the last is dropped."""
        history = self._history.setdefault(symbol, deque())
        if history and history[-1].at_ms >= at_ms:
            return
        seen = self.distort(symbol, value)
        if seen is None:
            return
        observation = Observation(at_ms, seen)
        history.append(observation)
        # One window more than is shown, so that the oldest mean shown is a whole one.
        while history[0].at_ms <= at_ms - 2 * KEPT_MS:
            history.popleft()
        for listener in self._listeners:
            listener(symbol, observation)

    def history(self, symbol: str) -> list[Observation]:
        """Return the last two minutes of a symbol, oldest first."""
        seen = self._history.get(symbol, deque())
        return [o for o in seen if o.at_ms > seen[-1].at_ms - KEPT_MS]

    def means(self, symbol: str, window_s: int) -> list[Observation]:
        """Return the same two minutes as time-weighted means over `window_s`, oldest first."""
        return [self._mean(symbol, o.at_ms, window_s) for o in self.history(symbol)]

    def mean(self, symbol: str, window_s: int) -> Observation | None:
        """Return the newest mean over the last `window_s` seconds, or None."""
        seen = self._history.get(symbol)
        return self._mean(symbol, seen[-1].at_ms, window_s) if seen else None

    def _mean(self, symbol: str, at_ms: int, window_s: int) -> Observation:
        """Average what was observed in the window that ends at `at_ms`, rounded down."""
        values = [
            o.value for o in self._history[symbol] if at_ms - window_s * 1_000 < o.at_ms <= at_ms
        ]
        return Observation(at_ms, sum(values) // len(values))


def _as_it_is(_symbol: str, value: int) -> int:
    return value
