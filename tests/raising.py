"""A strategy that does nothing until it raises: what a user's own may do at any time."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.intents import Intent
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State


def raiser(**values: int) -> StrategyParams:
    """Return the parameters of one that raises as soon as instrument 1 is sold at 0.30 or less."""
    return StrategyParams("raiser", "raising:Raiser", {"instrument": 1, "limit": 300_000, **values})


class Raiser:
    """Raises when the ask of its instrument is at its limit; remembers what it was asked about."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """Take the parameters of `raiser`."""
        self.values = dict(params.values)

    def initial(self) -> list[int]:
        """Return the markets it was asked about: none yet."""
        return []

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Want nothing, or raise."""
        state.memory.append(event.market.number)
        up, values = event.market.up.index, self.values
        ask = state.world.touch(up).ask
        if up == values["instrument"] and ask <= values["limit"]:
            raise ZeroDivisionError(f"cannot live with this price: ask={ask}")
        return ()
