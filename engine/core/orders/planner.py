"""From intents to commands: quotes are diffed against live orders, takes are sent, baskets paired.

A quote is desired state. An order that is no longer wanted is cancelled, and its replacement goes
out only after the venue has confirmed the end of the old one: one intent never has two live orders.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import index as whole

from engine.core.intents import Arm, Basket, Intent, Quote, Take
from engine.core.orders.armed import ArmedTakes
from engine.core.orders.baskets import Baskets
from engine.core.orders.refusals import Refusals
from engine.core.orders.submitter import Submitter
from engine.core.outbox import Outbox
from engine.core.params import EngineParams
from engine.core.strategies.base import Event
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.wire.codes import Reason, Side, Tif

# An enum finds its members by a slow road: looked up at every order, they cost more than the gates.
_OK, _BUY = int(Reason.OK), int(Side.BUY)
_GTC, _FOK, _FAK = int(Tif.GTC), int(Tif.FOK), int(Tif.FAK)
# What comes of intents that are none: texts and floats for numbers, numbers beyond any word, …
MALFORMED = (struct.error, TypeError, ValueError, AttributeError, OverflowError, LookupError)
SIZE_CHANGE_MIN = 5  # replace a quote when its size changes by at least 1/5

Ladder = tuple[tuple[int, int], ...]


class Planner:
    """Owns what each strategy wants to rest where; writes orders and cancels to the outbox."""

    __slots__ = (
        "_baskets",
        "_desired",
        "_left",
        "_legs",
        "_outbox",
        "_refused",
        "_refused_arms",
        "_submitter",
        "armed",
        "refusals",
    )

    def __init__(self, params: EngineParams, outbox: Outbox) -> None:
        self._outbox = outbox
        self._submitter = Submitter(params.run_seed, outbox)
        self._desired: dict[int, dict[int, Ladder]] = {}  # instrument → strategy → ladder
        self._refused: dict[tuple[int, int], int] = {}
        self._legs: dict[tuple[int, int], int] = {}
        # Takes that have left and are no orders yet: (strategy, takes, leg of the first, ids).
        self._left: list[tuple[int, Sequence[Take], int, list[int]]] = []
        self._baskets = Baskets()
        self.armed = ArmedTakes(params, outbox)
        self._refused_arms: dict[tuple[int, int], int] = {}
        self.refusals = Refusals()

    def begin(self) -> None:
        """Start a step: leg numbers count from 0 for every (strategy, trace)."""
        self._legs.clear()

    def apply(self, world: World, strategy: int, event: Event, intents: Sequence[Intent]) -> None:
        """Carry out what one strategy wants. Raises one of MALFORMED for what is no intent.

        An intent that raises has changed nothing; those before it have been carried out.
        """
        for intent in intents:
            match intent:
                case Take():
                    self._take(world, strategy, event, (intent,))
                case Basket():
                    self._take(world, strategy, event, intent.takes)
                case Quote():
                    self._quote(world, strategy, event, intent)
                case Arm():
                    self._arm(world, strategy, event, intent)
                case _:
                    raise TypeError(f"an intent is a Quote, Take, Basket or Arm: {intent!r}")

    def refresh(self, world: World, event: Event) -> None:
        """Bring the live orders of one market back to what is wanted, after any order event."""
        if self._desired:
            for index in (event.market.up.index, event.market.down.index):
                for strategy in self._desired.get(index, ()):
                    self._reconcile(world, strategy, index, event)
        if len(self.armed):
            self.armed.review(world, event)

    @property
    def seed(self) -> int:
        """What the ids of this run's orders are made from."""
        return self._submitter.seed

    def settle(self, world: World) -> list[Event]:
        """Make orders of all that has left; return an event for each armed take that was hit."""
        for strategy, takes, first, ids in self._left:
            orders = [
                _order_of(order_id, strategy, take, first + k)
                for k, (take, order_id) in enumerate(zip(takes, ids, strict=True))
            ]
            for order in orders:
                world.orders.open(order)
            if len(orders) > 1:
                self._baskets.open(orders)
        self._left.clear()
        return self.armed.settle(world, self._legs)

    def on_ended(self, world: World, order: Order, event: Event) -> None:
        """React to the end of an order: a refused quote is not repeated, a basket is completed."""
        if order.reason not in (Reason.FILLED, Reason.SUPERSEDED, Reason.CANCELED) and not (
            order.is_revived
        ):
            self._desired.get(order.instrument, {}).pop(order.strategy, None)
        if order.basket:
            repair = self._baskets.on_leg_ended(world, order)
            if repair is not None:
                self._take(world, order.strategy, event, (repair,))

    def pull_all(self, world: World, reason: Reason, trace: int) -> None:
        """Want nothing any more and cancel everything."""
        self._desired.clear()
        self.armed.disarm_all(world, reason, trace)
        for order in world.orders.all_working():
            order.cancel_requested = True
        self._outbox.cancel_all(reason, trace)

    def fence(self, world: World, strategy: int, event: Event, reason: Reason) -> None:
        """Say why a market is halted, and leave it. strategy: on account of which one."""
        self._submitter.tell_halted(world, strategy, event, reason)
        self.leave(world, event)

    def cancel_revived(self, order: Order, trace: int) -> None:
        """Cancel an order that was over and is alive: no quote of it is wanted any more."""
        self._cancel(order, Reason.REVIVED, trace)

    def leave(self, world: World, event: Event) -> None:
        """Want nothing in a halted market: cancel what rests in it, disarm what is armed.

        Only what was acknowledged can be cancelled, so this is for every event of such a market.
        """
        market, trace, reason = event.market, event.trace, Reason(event.market.halt_reason)
        for index in (market.up.index, market.down.index):
            self._desired.pop(index, None)
            for order in world.orders.working(index):
                if order.tif == _GTC and order.strategy:
                    self._cancel(order, reason, trace)
        self.armed.disarm_market(world, market, reason, trace)

    def _cancel(self, order: Order, reason: Reason, trace: int) -> None:
        """Cancel an order that rests; one that may still be on its way is left for its ACK."""
        if order.state == OrderState.LIVE and not order.cancel_requested:
            order.cancel_requested = True
            index, strategy = order.instrument, order.strategy
            self._outbox.cancel(order.order_id, index, strategy, reason, trace)

    def _quote(self, world: World, strategy: int, event: Event, quote: Quote) -> None:
        instrument = whole(quote.instrument)
        if world.instruments.market_of(instrument) is None:
            raise ValueError(f"a quote names an unknown instrument: instrument={instrument}")
        ladder = tuple((whole(price), whole(size)) for price, size in quote.ladder)
        self._desired.setdefault(instrument, {})[strategy] = ladder
        self._reconcile(world, strategy, instrument, event)

    def _reconcile(self, world: World, strategy: int, index: int, event: Event) -> None:
        # A quote whose fill would not be seen is pulled; it is still wanted when it would be.
        is_blind = world.is_blind
        wanted = [] if is_blind else list(self._desired[index][strategy])
        blocked = False
        for order in world.orders.working(index):
            if order.strategy != strategy or order.tif != _GTC:
                continue
            match_ = next((w for w in wanted if _same(order, w)), None)
            if match_ is not None and not order.cancel_requested:
                wanted.remove(match_)
                continue
            blocked = True
            reason = Reason.FILLS_UNSEEN if is_blind else Reason.SUPERSEDED
            self._cancel(order, reason, event.trace)
        if not blocked:
            for price, size in wanted:
                self._rest(world, strategy, index, price, size, event)

    def _rest(
        self, world: World, strategy: int, index: int, price: int, size: int, event: Event
    ) -> None:
        leg = self._legs_from(strategy, event.trace, 1)
        self._submitter.put(0, world, strategy, index, _BUY, price, size, _GTC, leg, post_only=True)
        reason = self._submitter.send(world, 1, event)
        if reason == _OK:
            self._refused.pop((strategy, index), None)
            order_id = self._submitter.order_id(0)
            world.orders.open(Order(order_id, strategy, index, _BUY, price, size, _GTC, leg))
        elif self._refused.get((strategy, index)) != reason:
            self._refused[strategy, index] = reason
            self._tell_refused(world, event, reason)

    def _take(self, world: World, strategy: int, event: Event, takes: Sequence[Take]) -> None:
        """Send takes, all or none: every gate must let every leg pass before the first leaves."""
        count = len(takes)
        first = self._legs_from(strategy, event.trace, count)
        for k, take in enumerate(takes):
            self._put(k, world, strategy, take, first + k)
        reason = self._submitter.send(world, count, event)
        if reason == _OK:
            ids = [self._submitter.order_id(k) for k in range(count)]
            self._left.append((strategy, takes, first, ids))
        else:
            self._tell_refused(world, event, reason)

    def _arm(self, world: World, strategy: int, event: Event, arm: Arm) -> None:
        """Arm what is wanted in place of what was armed before."""
        key, take = (strategy, arm.instrument), arm.take
        if take == self.armed.take(*key):
            return
        self.armed.disarm(world, *key, Reason.SUPERSEDED, event.trace)
        if take is None:
            return
        if take.instrument != arm.instrument:
            raise ValueError(f"an arm names two instruments: {arm}")
        self._put(0, world, strategy, take, 0)
        reason = self._submitter.hold(world)
        if reason == _OK:
            self._refused_arms.pop(key, None)
            order = _order_of(0, strategy, take, 0)
            self.armed.arm(world, self._submitter.candidate(), order, take, event)
        elif self._refused_arms.get(key) != reason:
            self._refused_arms[key] = reason
            self._tell_refused(world, event, reason)

    def _tell_refused(self, world: World, event: Event, reason: int) -> None:
        self._submitter.tell_refused(world, event)
        self.refusals.add(event.market, reason)

    def _put(self, k: int, world: World, strategy: int, take: Take, leg: int) -> None:
        """Hot path. Make a take candidate `k`."""
        self._submitter.put(
            k,
            world,
            strategy,
            take.instrument,
            take.side,
            take.limit,
            take.size,
            _FOK if take.fill_or_kill else _FAK,
            leg,
            edge=take.edge,
            budget=take.budget,
        )

    def _legs_from(self, strategy: int, trace: int, count: int) -> int:
        """Return the first of the next `count` leg numbers of this strategy for this cause."""
        first = self._legs.get((strategy, trace), 0)
        self._legs[strategy, trace] = first + count
        return first


def _order_of(order_id: int, strategy: int, take: Take, leg: int) -> Order:
    """Return the order a take has become."""
    tif = _FOK if take.fill_or_kill else _FAK
    instrument, side, limit, size, _, _, budget = take
    return Order(order_id, strategy, instrument, side, limit, size, tif, leg, budget)


def _same(order: Order, wanted: tuple[int, int]) -> bool:
    """Whether a live order is near enough to a wanted level to keep its place in the queue."""
    price, size = wanted
    return order.price == price and abs(order.size - size) * SIZE_CHANGE_MIN < size
