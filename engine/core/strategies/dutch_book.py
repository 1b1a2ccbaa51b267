"""Dutch book: buy a full set for less than the 1 it always pays, fees included.

Both legs go out together, fill-or-kill, at the worst price the walk used; a leg that fills alone is
unwound by the planner. Quant reference, sections 5.1, 5.2 and 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.core.intents import Basket, Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.math.fees import COST_UNIT, cost_buy
from engine.math.sweep import Outcome, buy_set
from engine.math.units import MICROS
from engine.wire.codes import FeeCurve, Side

LEVELS_WALKED = 20


@dataclass(slots=True)
class Memory:
    """Venue time of the last attempt per market: one edge is not taken twice."""

    last_ns: dict[int, int] = field(default_factory=dict)


class DutchBook:
    """Takes both asks of a market when they sum to less than 1 after fees."""

    follows_touch = False

    def __init__(self, params: StrategyParams) -> None:
        self._edge_min = params.values["edge_usd_min"]
        self._size_max = params.values["size_shares_max"]
        self._cooldown_ns = params.values["cooldown_ms"]
        self.pair_edge: int | None = self._edge_min

    def initial(self) -> Memory:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return one Basket when the depth displayed on both books is worth buying."""
        world, market = state.world, event.market
        memory: Memory = state.memory
        up, down = market.up, market.down
        if up.fee_curve not in (FeeCurve.FREE, FeeCurve.V2) or up.fee_exponent != 1:
            return ()
        touches = (world.touch(up.index), world.touch(down.index))
        if not (touches[0].usable and touches[1].usable):
            return ()
        rate_ppm = 0 if up.fee_curve == FeeCurve.FREE else up.fee_rate_ppm
        cost = cost_buy(touches[0].ask, rate_ppm) + cost_buy(touches[1].ask, rate_ppm)
        if COST_UNIT - cost <= self._edge_min * (COST_UNIT // MICROS):
            return ()
        venue_ns = world.venue_ns(market)
        if venue_ns - memory.last_ns.get(market.number, -self._cooldown_ns) < self._cooldown_ns:
            return ()
        sweep = buy_set(
            [world.books.levels(i.index, 1, LEVELS_WALKED) for i in (up, down)],
            curve=up.fee_curve,
            rate_ppm=rate_ppm,
            edge_min=self._edge_min,
            size_max=self._size_max,
            min_size=max(up.min_size, down.min_size),
        )
        if sweep.outcome != Outcome.OK:
            return ()
        memory.last_ns[market.number] = venue_ns
        buy_up, buy_down = (
            Take(i.index, Side.BUY, leg.limit, sweep.size, True, sweep.profit, leg.gross)
            for i, leg in zip((up, down), sweep.legs, strict=True)
        )
        return (Basket((buy_up, buy_down), sweep.profit),)
