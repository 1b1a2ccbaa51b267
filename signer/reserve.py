"""Descriptors held back, so that a process that has none left can still connect to cancel.

They are given up together, and taken back only when as many again are free beside them: who
connects with those would otherwise find none, and the reserve would come and go.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

RETRY_S = 0.1


class Reserve:
    """Some descriptors, open on nothing. is_short: they were given up, and are not back yet."""

    def __init__(self, size: int, on_change: Callable[[bool], None]) -> None:
        """on_change: told `is_short` whenever it changes."""
        self._size = size
        self._on_change = on_change
        self._held: list[int] = []
        self._retry: asyncio.TimerHandle | None = None
        self.is_short = False

    def start(self) -> None:
        """Open the reserve; called with the event loop running."""
        self._take_stock()

    def on_failure(self) -> None:
        """Nobody could connect: give the reserve up if that is for want of descriptors.

        What failed does not say: resolving a name without a descriptor has many errors.
        """
        if not self.is_short:
            self._take_stock()

    def close(self) -> None:
        """Close what is held, and do not take it back."""
        if self._retry is not None:
            self._retry.cancel()
        _close(self._held)
        self._held = []

    def _take_stock(self) -> None:
        """Hold the reserve if as many again could be had, or else nothing and ask again later."""
        held = self._held + _open(2 * self._size - len(self._held))
        is_short = len(held) < 2 * self._size
        kept = 0 if is_short else self._size
        self._held = held[:kept]
        _close(held[kept:])
        if is_short:
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._take_stock)
        if is_short is not self.is_short:
            self.is_short = is_short
            self._on_change(is_short)


def _open(count: int) -> list[int]:
    """Return so many descriptors, or none if not all can be had."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        _close(opened)
        return []
    return opened


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
