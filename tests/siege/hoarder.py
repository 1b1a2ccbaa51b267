"""A strategy of the campaign's own: it buys whatever is offered and never sells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core.intents import Intent, Take
from engine.core.strategies.base import Event, State
from engine.wire.codes import Side

SIZE = 5_000_000
PAUSE_NS = 200_000_000


class Hoarder:
    """Takes 5 shares at the touch of an outcome, at most five times a second."""

    pair_edge = None
    follows_touch = True

    def __init__(self, params: Any) -> None:
        """Nothing can be set."""

    def initial(self) -> dict[int, int]:
        """Return when each instrument was last bought."""
        return {}

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return a purchase of each outcome that is offered."""
        takes: list[Intent] = []
        for instrument in (event.market.up.index, event.market.down.index):
            touch = state.world.touch(instrument)
            if not touch.usable or not 0 < touch.ask < 1_000_000:
                continue
            if event.trigger_ns - state.memory.get(instrument, 0) >= PAUSE_NS:
                state.memory[instrument] = event.trigger_ns
                takes.append(Take(instrument, int(Side.BUY), touch.ask, SIZE, fill_or_kill=False))
        return takes
