"""A strategy that wants one take at one limit, armed or not: the tests' own sniper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.intents import Arm, Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.core.world.books import TRACE
from engine.math.units import MICROS
from engine.wire.codes import Side

UNARMED, ALONE, BOTH = 0, 1, 2  # values of `is_armed`: whether it arms, and whether it takes too


def sniper(**values: int) -> StrategyParams:
    """Return the parameters of a sniper; by default it buys 10 Up at 0.45, armed."""
    defaults = {
        "instrument": 1,
        "side": Side.BUY,
        "limit": 450_000,
        "size": 10 * MICROS,
        "is_armed": ALONE,
    }
    return StrategyParams("sniper", "arming:Sniper", {**defaults, **values})


@dataclass(slots=True)
class Memory:
    """The last change of the book that was answered, by its tape sequence."""

    trace: int = 0


class Sniper:
    """Takes at its limit whenever the book has changed and is there."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """Take the parameters of `sniper`."""
        self.values = dict(params.values)

    def initial(self) -> Any:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, _event: Event) -> Sequence[Intent]:
        """Arm the take, or send it when the touch is there. `size` 0: want nothing."""
        values, world = self.values, state.world
        index, limit, size = values["instrument"], values["limit"], values["size"]
        take = Take(index, values["side"], limit, size, fill_or_kill=True, edge=7) if size else None
        arms = (Arm(index, take),) if values["is_armed"] else ()
        if values["is_armed"] == ALONE:
            return arms
        touch, trace = world.touch(index), int(world.books.tops[index, TRACE])
        is_there = touch.ask <= limit if values["side"] == Side.BUY else touch.bid >= limit
        if take is None or not touch.usable or not is_there or trace == state.memory.trace:
            return arms
        state.memory.trace = trace
        return (take, *arms)
