"""The strategy of the bench: one order a tick, through everything an order goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.bench.market import size_of
from engine.core.intents import Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.math.units import MICROS
from engine.wire.codes import Side

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Memory:
    """The last ask answered, micros: the touch moves at every tick."""

    ask: int = 0


class OneOrderATick:
    """Buys Down at its ask, fill-or-kill, whenever that ask has moved."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """It has no parameters."""

    def initial(self) -> Memory:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return one Take whose size names the tick that caused it."""
        down = event.market.down.index
        touch = state.world.books.touch(down)
        memory: Memory = state.memory
        if not touch.usable or touch.ask == memory.ask:
            return ()
        memory.ask = touch.ask
        tick = state.world.venue_ns(event.market) // NS_PER_MS
        return (Take(down, Side.BUY, touch.ask, size_of(tick) * MICROS, fill_or_kill=True),)
