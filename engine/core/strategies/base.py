"""What a strategy is: a pure function from what is believed and what happened to what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from engine.core.intents import Intent
from engine.core.params import StrategyParams
from engine.core.world.instruments import Market
from engine.core.world.world import World


class Event(NamedTuple):
    """Why a strategy is asked now. `trace` and `trigger_ns` are of the record that caused it.

    reason: a `Reason`: why an order of this market has ended, or was refused by a gate and is not;
    OK where neither happened. After a refusal every strategy is asked again within a second.
    """

    market: Market
    trace: int
    trigger_ns: int
    reason: int = 0


@dataclass(slots=True)
class State:
    """`world` is shared and read-only; `memory` belongs to the strategy."""

    strategy: int
    world: World
    memory: Any


class Strategy(Protocol):
    """A plugin named by dotted path in the configuration.

    Asked means late: between the tick and the order lie `decide`, the gates and the signature. Who
    knows beforehand what a touch shall lead to returns `Arm`: gates, money and signature are then
    seen to in quiet, the order leaves in the step of its tick, and `decide` is called in the next.
    Wanting the same Arm at every call is the way to keep it: what has left, and what was disarmed
    (halt, stale book, new terms, closed market, money gone), is armed again if the gates let it.

    `pair_edge`: wake when a full set bought at the touch earns at least this many micros, or None.
    `follows_touch`: wake whenever a touch of the market moves.
    """

    pair_edge: int | None
    follows_touch: bool

    def __init__(self, params: StrategyParams) -> None:
        """Take the parameters; ValueError names one that makes no sense."""

    def initial(self) -> Any:
        """Return the memory to begin with."""

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return what is wanted now; an empty sequence changes nothing.

        An exception halts the event's market for the rest of the run: all strategies' quotes and
        armed takes are pulled, nobody is asked about it again, its holdings wait for resolution.
        """
