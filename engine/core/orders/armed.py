"""Armed takes: decided, gated and paid for before the tick; they leave with nobody asked.

```
          ┌───────── gates no longer let it stand, or the strategy wants another ─────────┐
          │                                                                               ▼
 Arm ─▶ ARMED: reserved, the signer told ──touch at the limit──▶ left ──settled──▶ sent │ disarmed
```
An armed take is an order of the world that has not been sent: it counts in every limit as a working
order does, under a number of its own. Its id follows from the record that fires it. What has left
(`engine.core.reflex`) is settled here, once its records are on their way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.core.intents import Take
from engine.core.orders import candidates
from engine.core.outbox import Outbox
from engine.core.params import EngineParams
from engine.core.reflex import WAITS
from engine.core.risk.gates import standing
from engine.core.strategies.base import Event
from engine.core.world.instruments import Instrument, Market
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.wire.codes import Reason

_OK = int(Reason.OK)
_ID_MASK = (1 << 64) - 1  # an id is unsigned, a word is not


@dataclass(frozen=True, slots=True)
class Armed:
    """One armed take: what was asked for, on what terms, and what is reserved for it."""

    take: Take
    market: Market
    instrument: Instrument
    spends: int
    order: Order


class ArmedTakes:
    """At most one a strategy and instrument. `rows`: int64[capacity, candidates.COLUMNS], row k for
    the k-th that was armed of those that still are."""

    __slots__ = ("_held", "_numbers", "_outbox", "rows")

    def __init__(self, params: EngineParams, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = 0  # armed so far; an order that has no id yet has its number, negative
        self._held: dict[tuple[int, int], Armed] = {}
        capacity = len(params.strategies) * (params.instruments_max + 1)
        self.rows = np.zeros((capacity, candidates.COLUMNS), np.int64)

    def __len__(self) -> int:
        return len(self._held)

    def take(self, strategy: int, instrument: int) -> Take | None:
        """Return what a strategy has armed on an instrument."""
        held = self._held.get((strategy, instrument))
        return None if held is None else held.take

    def arm(
        self, world: World, candidate: np.ndarray, order: Order, take: Take, event: Event
    ) -> None:
        """Keep a candidate that is reserved, int64[COLUMNS], and have it signed ahead."""
        self._numbers += 1
        order.order_id, order.state = -self._numbers, OrderState.ARMED
        world.orders.hold(order)
        instrument = world.instruments.get(order.instrument)
        assert instrument is not None, f"an armed take names an unknown instrument: {order}"
        k = len(self._held)
        self.rows[k] = candidate
        self.rows[k, candidates.REASON] = WAITS
        spends = int(candidate[candidates.SPENDS])
        armed = Armed(take, event.market, instrument, spends, order)
        self._held[order.strategy, order.instrument] = armed
        self._tell(armed, _OK, event.trace)

    def disarm(self, world: World, strategy: int, instrument: int, reason: int, trace: int) -> None:
        """Release one armed take, where there is one, and tell the signer."""
        held = self._forget(strategy, instrument)
        if held is not None:
            world.orders.close(held.order, reason)
            self._tell(held, reason, trace)

    def disarm_all(self, world: World, reason: int, trace: int) -> None:
        """Release every armed take."""
        for strategy, instrument in list(self._held):
            self.disarm(world, strategy, instrument, reason, trace)

    def disarm_market(self, world: World, market: Market, reason: int, trace: int) -> None:
        """Release what is armed in one market, whoever armed it."""
        pair = market.up.index, market.down.index
        for strategy, instrument in list(self._held):
            if instrument in pair:
                self.disarm(world, strategy, instrument, reason, trace)

    def review(self, world: World, event: Event) -> None:
        """Disarm what the gates would no longer let stand in one market."""
        pair = event.market.up.index, event.market.down.index
        facts, tops, gone = world.facts, world.books.tops, []
        for k, (strategy, index) in enumerate(self._held):
            if index not in pair:
                continue
            reason = standing(self.rows, k, tops, facts.instruments, facts.account, world.now_ns)
            if reason != _OK:
                gone.append((strategy, index, reason))
        for strategy, index, reason in gone:
            self.disarm(world, strategy, index, reason, event.trace)

    def settle(self, world: World, legs: dict[tuple[int, int], int]) -> list[Event]:
        """Make orders of what has left, disarm what was refused; return an event for each.

        legs: how many a (strategy, trace) has; an armed take is the first of its cause, for it goes
        before anybody is asked.  The books must be those it left on.
        """
        if not self._held:
            return []
        reasons = self.rows[: len(self._held), candidates.REASON].tolist()
        hit = [(k, reason) for k, reason in enumerate(reasons) if reason != WAITS]
        every = list(self._held.items())
        events = []
        for k, reason in hit:
            (strategy, index), armed = every[k]
            trace, local_ns = world.books.changed(index)
            events.append(Event(armed.market, trace, local_ns))
            if reason == _OK:
                legs[strategy, trace] = 1
                order_id = int(self.rows[k, candidates.ORDER_ID]) & _ID_MASK
                world.orders.send(armed.order, order_id)
        for k, reason in hit:
            strategy, index = every[k][0]
            if reason == _OK:
                self._forget(strategy, index)
            else:
                self.disarm(world, strategy, index, reason, world.books.changed(index)[0])
        return events

    def _forget(self, strategy: int, instrument: int) -> Armed | None:
        """Take one out of the table; the rows after it move up."""
        held = self._held.get((strategy, instrument))
        if held is not None:
            k, last = list(self._held).index((strategy, instrument)), len(self._held) - 1
            if k < last:
                self.rows[k:last] = self.rows[k + 1 : last + 1]
            del self._held[strategy, instrument]
        return held

    def _tell(self, armed: Armed, reason: int, trace: int) -> None:
        """Tell the signer that an order may come, or why it will not any more."""
        order = armed.order
        self._outbox.arm(
            order.instrument,
            trace,
            price=order.price,
            size=order.size,
            budget=armed.spends,
            tick=armed.instrument.tick,
            side=order.side,
            tif=order.tif,
            strategy=order.strategy,
            reason=reason,
        )
