"""From intents to commands: quotes are diffed against live orders, takes are sent, baskets paired.

A quote is desired state. An order that is no longer wanted is cancelled, and its replacement goes
out only after the venue has confirmed the end of the old one: one intent never has two live orders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.core.intents import Arm, Basket, Intent, Quote, Take
from engine.core.orders import ids
from engine.core.orders.armed import ArmedTakes
from engine.core.orders.baskets import Baskets
from engine.core.orders.submission import order_of, write_decision, write_order
from engine.core.outbox import Outbox
from engine.core.params import EngineParams
from engine.core.risk.gates import Candidate, first_refusal
from engine.core.strategies.base import Event
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.math.units import notional_micros_ceil
from engine.wire.codes import Reason, Side, Tif

_OK, _BUY, _FOK, _FAK = Reason.OK, Side.BUY, Tif.FOK, Tif.FAK  # as in `engine.core.risk.gates`
SIZE_CHANGE_MIN = 5  # replace a quote when its size changes by at least 1/5

Ladder = tuple[tuple[int, int], ...]


class Planner:
    """Owns what each strategy wants to rest where; writes orders and cancels to the outbox."""

    __slots__ = (
        "_armed",
        "_baskets",
        "_desired",
        "_legs",
        "_limits",
        "_outbox",
        "_refused",
        "_refused_arms",
        "_run_seed",
    )

    def __init__(self, params: EngineParams, outbox: Outbox) -> None:
        self._run_seed = params.run_seed
        self._limits = params.risk
        self._outbox = outbox
        self._desired: dict[int, dict[int, Ladder]] = {}  # instrument → strategy → ladder
        self._refused: dict[tuple[int, int], Reason] = {}
        self._legs: dict[tuple[int, int], int] = {}
        self._baskets = Baskets()
        self._armed = ArmedTakes(params, outbox)
        self._refused_arms: dict[tuple[int, int], Reason] = {}

    def begin(self) -> None:
        """Start a step: leg numbers count from 0 for every (strategy, trace)."""
        self._legs.clear()

    def apply(self, world: World, strategy: int, event: Event, intents: Sequence[Intent]) -> None:
        """Carry out what one strategy wants."""
        for intent in intents:
            match intent:
                case Take():
                    self._take(world, strategy, event, (intent,))
                case Basket():
                    self._take(world, strategy, event, intent.takes)
                case Quote():
                    self._desired.setdefault(intent.instrument, {})[strategy] = intent.ladder
                    self._reconcile(world, strategy, intent.instrument, event)
                case Arm():
                    self._arm(world, strategy, event, intent)

    def refresh(self, world: World, event: Event) -> None:
        """Bring the live orders of one market back to what is wanted, after any order event."""
        for index in (event.market.up.index, event.market.down.index):
            for strategy in self._desired.get(index, ()):
                self._reconcile(world, strategy, index, event)
        self._armed.review(world, event)

    def fire(self, world: World, dirty: np.ndarray) -> Sequence[Event]:
        """Hot path. Send the armed takes whose limit the touch of a dirty book has come to.

        Returns an event for each market they are in, whether they left or were disarmed.
        """
        return self._armed.fire(world, dirty, self._legs)

    def on_ended(self, world: World, order: Order, event: Event) -> None:
        """React to the end of an order: a refused quote is not repeated, a basket is completed."""
        if order.reason not in (Reason.FILLED, Reason.SUPERSEDED, Reason.CANCELED):
            self._desired.get(order.instrument, {}).pop(order.strategy, None)
        if order.basket:
            repair = self._baskets.on_leg_ended(world, order)
            if repair is not None:
                self._take(world, order.strategy, event, (repair,))

    def pull_all(self, world: World, reason: Reason, trace: int) -> None:
        """Want nothing any more and cancel everything."""
        self._desired.clear()
        self._armed.disarm_all(world, reason, trace)
        for order in world.orders.all_working():
            order.cancel_requested = True
        self._outbox.cancel_all(reason, trace)

    def _reconcile(self, world: World, strategy: int, index: int, event: Event) -> None:
        wanted = list(self._desired[index][strategy])
        blocked = False
        for order in world.orders.working(index):
            if order.strategy != strategy or order.tif != Tif.GTC:
                continue
            match_ = next((w for w in wanted if _same(order, w)), None)
            if match_ is not None and not order.cancel_requested:
                wanted.remove(match_)
                continue
            blocked = True
            if order.state == OrderState.LIVE and not order.cancel_requested:
                order.cancel_requested = True
                self._outbox.cancel(order.order_id, index, strategy, Reason.SUPERSEDED, event.trace)
        if not blocked:
            for price, size in wanted:
                self._rest(world, strategy, index, price, size, event)

    def _rest(
        self, world: World, strategy: int, index: int, price: int, size: int, event: Event
    ) -> None:
        instrument = world.instruments.get(index)
        assert instrument is not None, f"a quote names an unknown instrument: index={index}"
        candidate = Candidate(
            strategy=strategy,
            market=event.market,
            instrument=instrument,
            side=_BUY,
            price=price,
            size=size,
            tif=Tif.GTC,
            post_only=True,
            leg=self._leg(strategy, event.trace),
            touch=world.touch(index),
            notional=notional_micros_ceil(price, size),
            edge=0,
            budget=0,
        )
        reason = first_refusal(world, candidate, self._limits)
        if reason != _OK:
            if self._refused.get((strategy, index)) != reason:
                self._refused[strategy, index] = reason
                write_decision(self._outbox, world, candidate, event, reason, 0)
            return
        self._refused.pop((strategy, index), None)
        self._submit(world, candidate, event)

    def _take(self, world: World, strategy: int, event: Event, takes: Sequence[Take]) -> None:
        """Send takes, all or none: every gate must let every leg pass before the first leaves."""
        candidates = [
            self._marketable(world, strategy, event, take, self._leg(strategy, event.trace))
            for take in takes
        ]
        for candidate in candidates:
            reason = first_refusal(world, candidate, self._limits)
            if reason != _OK:
                write_decision(self._outbox, world, candidate, event, reason, 0)
                return
        orders = [self._submit(world, c, event) for c in candidates]
        if len(orders) > 1:
            self._baskets.open(orders)

    def _arm(self, world: World, strategy: int, event: Event, arm: Arm) -> None:
        """Arm what is wanted in place of what was armed before."""
        key, take = (strategy, arm.instrument), arm.take
        if take == self._armed.take(*key):
            return
        self._armed.disarm(world, *key, Reason.SUPERSEDED, event.trace)
        if take is None:
            return
        assert take.instrument == arm.instrument, f"an arm names two instruments: {arm}"
        candidate = self._marketable(world, strategy, event, take, 0)
        reason = first_refusal(world, candidate, self._limits)
        if reason == _OK:
            self._refused_arms.pop(key, None)
            self._armed.arm(world, candidate, take, event)
        elif self._refused_arms.get(key) != reason:
            self._refused_arms[key] = reason
            write_decision(self._outbox, world, candidate, event, reason, 0)

    @staticmethod
    def _marketable(world: World, strategy: int, event: Event, take: Take, leg: int) -> Candidate:
        instrument = world.instruments.get(take.instrument)
        assert instrument is not None, f"a take names an unknown instrument: {take}"
        return Candidate(
            strategy,
            event.market,
            instrument,
            take.side,
            take.limit,
            take.size,
            _FOK if take.fill_or_kill else _FAK,
            False,  # post_only
            leg,
            world.touch(take.instrument),
            notional_micros_ceil(take.limit, take.size),
            take.edge,
            take.budget,
        )

    def _submit(self, world: World, candidate: Candidate, event: Event) -> Order:
        order_id = ids.order_id(self._run_seed, candidate.strategy, event.trace, candidate.leg, 0)
        order = order_of(candidate, order_id)
        write_decision(self._outbox, world, candidate, event, _OK, order_id)
        world.orders.open(order, world.now_ns)
        write_order(self._outbox, candidate, event, order_id)
        return order

    def _leg(self, strategy: int, trace: int) -> int:
        """Return the next leg number of this strategy for this cause."""
        leg = self._legs.get((strategy, trace), 0)
        self._legs[strategy, trace] = leg + 1
        return leg


def _same(order: Order, wanted: tuple[int, int]) -> bool:
    """Whether a live order is near enough to a wanted level to keep its place in the queue."""
    price, size = wanted
    return order.price == price and abs(order.size - size) * SIZE_CHANGE_MIN < size
