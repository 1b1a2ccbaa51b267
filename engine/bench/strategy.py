"""The strategy of the bench: one order a tick, through everything an order goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.bench.market import Arming, is_armed, size_of
from engine.core.intents import Arm, Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.math.units import MICROS
from engine.wire.codes import Side

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Memory:
    """The last ask answered, micros (it moves at every tick), and the last tick armed for."""

    ask: int = 0
    armed: int = 0


class OneOrderATick:
    """Buys Down at its ask, fill-or-kill, whenever that ask has moved.

    The parameter `armed` is an `Arming`: for which ticks the order is armed one tick ahead. Ticks
    take turns between two asks, so the next ask is the one before.
    """

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """Take the parameters."""
        self._arming = Arming(int(params.values.get("armed", Arming.NEVER)))

    def initial(self) -> Memory:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return one Take whose size names the tick that caused it, unless it has left armed."""
        down = event.market.down.index
        touch = state.world.books.touch(down)
        memory: Memory = state.memory
        if not touch.usable or touch.ask == memory.ask:
            return ()
        tick = state.world.venue_ns(event.market) // NS_PER_MS
        intents: list[Intent] = []
        if tick != memory.armed:
            intents.append(_take(down, touch.ask, tick))
        if memory.ask and self._arms(tick + 1):
            memory.armed = tick + 1
            intents.append(Arm(down, _take(down, memory.ask, tick + 1)))
        memory.ask = touch.ask
        return intents

    def _arms(self, tick: int) -> bool:
        if self._arming == Arming.IN_TURNS:
            return bool(is_armed(tick))
        return self._arming == Arming.ALWAYS


def _take(instrument: int, limit: int, tick: int) -> Take:
    return Take(instrument, Side.BUY, limit, size_of(tick) * MICROS, fill_or_kill=True)
