"""Baskets in flight: legs that only make sense together, and the repair when one fills alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.intents import Take
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.math.fees import COST_UNIT, cost_buy, proceeds_sell
from engine.math.units import SIZE_STEP, floor_to
from engine.wire.codes import FeeCurve, Side


@dataclass(slots=True)
class Baskets:
    """Open baskets by the order id of their first leg."""

    _by_id: dict[int, list[Order]] = field(default_factory=dict)

    def open(self, legs: list[Order]) -> None:
        """Watch these two legs until both have ended."""
        basket_id = legs[0].order_id
        for leg in legs:
            leg.basket = basket_id
        self._by_id[basket_id] = legs

    def on_leg_ended(self, world: World, order: Order) -> Take | None:
        """Return the one Take that repairs an uneven pair, None where there is nothing to do.

        The cheaper of completing (buy the missing leg at its ask) and unwinding (sell the surplus
        at its bid) is chosen; a surplus below the minimum size is kept to settlement.
        """
        legs = self._by_id.get(order.basket)
        if legs is None or any(leg.state != OrderState.DONE for leg in legs):
            return None
        del self._by_id[order.basket]
        light, heavy = sorted(legs, key=lambda leg: leg.filled)
        surplus = floor_to(heavy.filled - light.filled, SIZE_STEP)
        instrument = world.instruments.get(heavy.instrument)
        assert instrument is not None, f"a leg names an unknown instrument: {heavy.instrument}"
        if surplus < instrument.min_size:
            return None
        rate_ppm = 0 if instrument.fee_curve == FeeCurve.FREE else instrument.fee_rate_ppm
        missing = world.touch(light.instrument)
        held = world.touch(heavy.instrument)
        to_complete = cost_buy(missing.ask, rate_ppm) - COST_UNIT
        to_unwind = -proceeds_sell(held.bid, rate_ppm)
        if missing.usable and to_complete <= to_unwind:
            return Take(light.instrument, Side.BUY, missing.ask, surplus, fill_or_kill=False)
        if held.usable and held.bid > 0:
            return Take(heavy.instrument, Side.SELL, held.bid, surplus, fill_or_kill=False)
        return None
