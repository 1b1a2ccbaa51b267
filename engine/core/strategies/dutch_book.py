"""Dutch book: buy a full set for less than the 1 it always pays, fees included.

Both legs go out together, fill-or-kill, at the worst price the walk used; a leg that fills alone is
unwound by the planner. Quant reference, sections 5.1, 5.2 and 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import int64, njit, uint64

from engine.core.intents import Basket, Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.core.world.depth import best_levels
from engine.math.fees import SIZE_MAX
from engine.math.sweep import UNLIMITED, Outcome, deepen, sweep_asks
from engine.math.units import MICROS
from engine.wire.codes import FeeCurve, Side

LEVELS_WALKED = 20
_ASKS = int(Side.SELL)
_OK = int(Outcome.OK)
_FREE, _V2 = int(FeeCurve.FREE), int(FeeCurve.V2)


@njit(
    int64(
        int64[:, :, ::1],
        uint64[:, :, ::1],
        int64,
        int64,
        int64,
        int64,
        int64,
        int64,
        int64[:, :, ::1],
        int64[:, ::1],
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def sweep_books(  # type: ignore[no-untyped-def]
    sizes, bits, up, down, rate_ppm, edge_min, size_max, min_size, asks, found
):
    """Hot path. Sweep the asks of two books (`engine.core.world.books`); return the Outcome.

    asks: int64[2, levels, 2], scratch.  found: int64[3, 3], what `engine.math.sweep` draws.
    """
    deepen(asks[0], best_levels(sizes, bits, up, _ASKS, asks[0]))
    deepen(asks[1], best_levels(sizes, bits, down, _ASKS, asks[1]))
    return sweep_asks(asks, rate_ppm, edge_min, size_max, UNLIMITED, min_size, 0, 0, found)


@dataclass(slots=True)
class Memory:
    """Venue time of the last attempt per market: one edge is not taken twice."""

    last_ns: dict[int, int] = field(default_factory=dict)


class DutchBook:
    """Takes both asks of a market when they sum to less than 1 after fees."""

    follows_touch = False

    def __init__(self, params: StrategyParams) -> None:
        # An edge is at most the 1 a set pays, a purchase at most what fees are exact for.
        self._edge_min = min(params.values["edge_usd_min"], MICROS)
        self._size_max = min(params.values["size_shares_max"], SIZE_MAX)
        self._cooldown_ns = params.values["cooldown_ms"]
        self.pair_edge: int | None = self._edge_min
        self._asks = np.zeros((2, LEVELS_WALKED, 2), np.int64)
        self._found = np.zeros((3, 3), np.int64)

    def initial(self) -> Memory:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return one Basket when the depth displayed on both books is worth buying."""
        world, market = state.world, event.market
        memory: Memory = state.memory
        up, down = market.up, market.down
        if up.fee_curve not in (_FREE, _V2) or up.fee_exponent != 1:
            return ()
        if not (world.touch(up.index).usable and world.touch(down.index).usable):
            return ()
        venue_ns = world.venue_ns(market)
        if venue_ns - memory.last_ns.get(market.number, -self._cooldown_ns) < self._cooldown_ns:
            return ()
        outcome = sweep_books(
            world.books.sizes,
            world.books.bits,
            up.index,
            down.index,
            up.fee_rate_ppm if up.fee_curve == _V2 else 0,
            self._edge_min,
            self._size_max,
            max(up.min_size, down.min_size),
            self._asks,
            self._found,
        )
        if outcome != _OK:
            return ()
        memory.last_ns[market.number] = venue_ns
        (_, size, profit), (up_limit, up_gross, _), (down_limit, down_gross, _) = (
            self._found.tolist()
        )
        buy_up = Take(up.index, Side.BUY, up_limit, size, True, profit, up_gross)
        buy_down = Take(down.index, Side.BUY, down_limit, size, True, profit, down_gross)
        return (Basket((buy_up, buy_down), profit),)
