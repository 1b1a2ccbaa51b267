"""Armed takes: decided, gated and paid for before the tick; they leave with nobody asked.

```
          ┌───────── gates no longer let it stand, or the strategy wants another ─────────┐
          │                                                                               ▼
 Arm ─▶ ARMED: reserved, its records written, the signer told ─touch at the limit─▶ sent │ disarmed
```
An armed take is an order of the world that has not been sent: it counts in every limit as a working
order does, under a number of its own. Its id follows from the record that fires it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.core import armed_kernel
from engine.core.intents import Take
from engine.core.orders import ids
from engine.core.orders.submission import order_of, write_decision, write_order
from engine.core.outbox import Outbox
from engine.core.params import EngineParams
from engine.core.risk.gates import FIRING, STANDING, Candidate, first_refusal
from engine.core.strategies.base import Event
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.wire.codes import Reason
from engine.wire.records import RECORD_WORDS

_OK = Reason.OK  # as in `engine.core.risk.gates`


@dataclass(frozen=True, slots=True)
class Armed:
    """One armed take: what was asked for, what passed the gates, and what is reserved for it."""

    take: Take
    candidate: Candidate
    order: Order


class ArmedTakes:
    """At most one a strategy and instrument."""

    __slots__ = (
        "_armed",
        "_draft",
        "_held",
        "_hits",
        "_limits",
        "_numbers",
        "_outbox",
        "_records",
        "_seed",
    )

    def __init__(self, params: EngineParams, outbox: Outbox) -> None:
        self._limits = params.risk
        self._outbox = outbox
        self._draft = Outbox()
        self._seed = ids.splitmix64(params.run_seed)
        self._numbers = 0  # armed so far; an order that has no id yet has its number, negative
        self._held: dict[tuple[int, int], Armed] = {}
        # Row k of the arrays is the k-th of `_held`.
        capacity = len(params.strategies) * (params.instruments_max + 1)
        self._armed = np.zeros((capacity, armed_kernel.ARMED_COLUMNS), np.int64)
        self._records = np.zeros((capacity, armed_kernel.RECORDS, RECORD_WORDS), np.int64)
        self._hits = np.zeros((capacity, armed_kernel.HIT_COLUMNS), np.int64)

    def take(self, strategy: int, instrument: int) -> Take | None:
        """Return what a strategy has armed on an instrument."""
        held = self._held.get((strategy, instrument))
        return None if held is None else held.take

    def arm(self, world: World, candidate: Candidate, take: Take, event: Event) -> None:
        """Reserve a candidate that has passed every gate, and have it signed ahead."""
        self._numbers += 1
        order = order_of(candidate, -self._numbers)
        order.state = OrderState.ARMED
        world.orders.reserve(order)
        k, index = len(self._held), candidate.instrument.index
        self._held[candidate.strategy, index] = Armed(take, candidate, order)
        self._armed[k] = index, candidate.side, candidate.price
        self._draft.clear(world.now_ns)
        write_decision(self._draft, world, candidate, event, _OK, 0)
        write_order(self._draft, candidate, event, 0)
        self._records[k] = self._draft.rows
        self._tell(candidate, _OK, event.trace)

    def disarm(
        self, world: World, strategy: int, instrument: int, reason: Reason, trace: int
    ) -> None:
        """Release one armed take, where there is one, and tell the signer."""
        held = self._forget(strategy, instrument)
        if held is not None:
            world.orders.close(held.order, reason)
            self._tell(held.candidate, reason, trace)

    def disarm_all(self, world: World, reason: Reason, trace: int) -> None:
        """Release every armed take."""
        for strategy, instrument in list(self._held):
            self.disarm(world, strategy, instrument, reason, trace)

    def review(self, world: World, event: Event) -> None:
        """Disarm what the gates would no longer let stand in one market."""
        if not self._held:
            return
        pair = event.market.up.index, event.market.down.index
        for (strategy, instrument), held in list(self._held.items()):
            if instrument in pair:
                candidate = held.candidate._replace(touch=world.touch(instrument))
                reason = first_refusal(world, candidate, self._limits, STANDING)
                if reason != _OK:
                    self.disarm(world, strategy, instrument, reason, event.trace)

    def fire(
        self, world: World, dirty: np.ndarray, legs: dict[tuple[int, int], int]
    ) -> Sequence[Event]:
        """Hot path. Send what the touch has come to; return an event for each market it was in.

        dirty: int64[instruments], 1 for every book that has changed.  legs: how many a (strategy,
        trace) has; an armed take is the first of its cause, for it goes before anybody is asked.
        What can have changed since it was armed is asked of the gates again; who is refused now is
        disarmed.
        """
        if not self._held:
            return ()
        oldest_ns = world.now_ns - world.book_age_ns_max
        tops, count = world.books.tops, len(self._held)
        count = armed_kernel.look(self._armed, count, tops, dirty, oldest_ns, self._hits)
        if count == 0:
            return ()
        every = list(self._held.values())
        sprung = []
        for k, trace, local_ns in self._hits[:count].tolist():
            candidate = every[k].candidate
            event = Event(candidate.market, trace, local_ns)
            reason = first_refusal(world, candidate, self._limits, FIRING)
            if reason == _OK:
                self._send(world, k, every[k])
                legs[candidate.strategy, trace] = 1
            sprung.append((candidate, reason, event))
        for candidate, reason, event in sprung:
            strategy, index = candidate.strategy, candidate.instrument.index
            if reason == _OK:
                self._forget(strategy, index)
            else:
                self.disarm(world, strategy, index, reason, event.trace)
        return [event for _, _, event in sprung]

    def _send(self, world: World, k: int, armed: Armed) -> None:
        """Hot path. Complete the records of row `k` in the outbox."""
        candidate, now_ns = armed.candidate, world.now_ns
        out, at = self._outbox.reserve(armed_kernel.RECORDS)
        order_id = armed_kernel.leave(
            self._records,
            k,
            world.books.tops,
            candidate.instrument.index,
            candidate.strategy,
            self._seed,
            now_ns,
            out,
            at,
        )
        world.orders.send(armed.order, order_id, now_ns)

    def _forget(self, strategy: int, instrument: int) -> Armed | None:
        """Take one out of the table; the rows after it move up."""
        held = self._held.get((strategy, instrument))
        if held is not None:
            k, last = list(self._held).index((strategy, instrument)), len(self._held) - 1
            if k < last:
                for rows in (self._armed, self._records):
                    rows[k:last] = rows[k + 1 : last + 1]
            del self._held[strategy, instrument]
        return held

    def _tell(self, candidate: Candidate, reason: Reason, trace: int) -> None:
        """Tell the signer that an order may come, or why it will not any more."""
        self._outbox.arm(
            candidate.instrument.index,
            trace,
            price=candidate.price,
            size=candidate.size,
            budget=candidate.spends,
            tick=candidate.instrument.tick,
            side=candidate.side,
            tif=candidate.tif,
            strategy=candidate.strategy,
            reason=reason,
        )
