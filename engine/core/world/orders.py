"""Every order of this run and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from engine.core.world.facts import (
    BEST_BUY,
    BEST_SELL,
    BUYS,
    NO_SELL,
    OWN_COLUMNS,
    OWN_SELLS,
    RESERVED,
    SELLS,
    WORKING,
    Facts,
)
from engine.math.units import notional_micros_ceil
from engine.wire.codes import Side

_BUY = Side.BUY


class OrderState(IntEnum):
    """How much is known. Everything but DONE counts as exposure: it is live, or may be at once."""

    ARMED = 0  # not sent; it has a negative number instead of an id
    PENDING = 1  # handed to the signer
    LIVE = 2  # acknowledged, resting
    UNKNOWN = 3  # sent, outcome not seen
    ENDING = 4  # over at the venue, its last fills still on their way
    DONE = 5


_ARMED, _PENDING, _DONE = OrderState.ARMED, OrderState.PENDING, OrderState.DONE


@dataclass(slots=True)
class Order:
    """One order. Sizes in micro-shares, prices in micros.

    strategy: 0 = made elsewhere on our wallet.  instrument: 0 = of an earlier run, not told yet.
    budget: pUSD micros a marketable buy spends, 0 = price × size: better prices fill more for it.
    """

    order_id: int
    strategy: int
    instrument: int
    side: int
    price: int
    size: int
    tif: int
    leg: int
    budget: int = 0
    basket: int = 0  # order id of the basket's first leg, 0 = alone
    state: OrderState = OrderState.PENDING
    filled: int = 0
    failed: int = 0  # filled at the venue, and never settled
    spent: int = 0  # pUSD micros of all its fills, the failed ones included
    final: int = -1  # how much the venue will have filled of it in all, once the venue has said
    reason: int = 0  # why it ended
    ended_ns: int = 0  # when that was told
    cancel_requested: bool = False
    is_contradicted: bool = False  # one of its fills could not be believed: others may be missing
    is_revived: bool = False  # it was over, and was told alive
    order_hash: bytes = b""
    held_back: int = 0  # as `Orders.reckon` last counted it

    @property
    def told(self) -> int:
        """Micro-shares whose fill we have heard of, the failed ones included."""
        return self.filled + self.failed

    @property
    def remaining(self) -> int:
        """Micro-shares that may still fill: what failed does not come back by itself."""
        left = (self.size if self.final < 0 else self.final) - self.filled - self.failed
        return left if left > 0 else 0


class Orders:
    """Orders by id and by venue hash; the working ones also by instrument.

    What they add up to is kept, not made (`Facts`): a gate asks for it at every order, whatever
    else is working. The kernel that lets an order pass reserves it; what becomes of it is followed
    here.  armed_count: of the working ones.  changed: instruments reckoned anew, for `World`.
    """

    __slots__ = (
        "_account",
        "_columns",
        "_facts",
        "_working",
        "armed_count",
        "by_hash",
        "by_id",
        "changed",
    )

    def __init__(self, facts: Facts) -> None:
        self.by_id: dict[int, Order] = {}
        self.by_hash: dict[bytes, Order] = {}
        self.armed_count = 0
        self.changed: set[int] = set()
        self._working: dict[int, dict[int, Order]] = {}
        self._account = facts.account_words
        self._facts = facts.instrument_words
        self._columns = facts.columns

    @property
    def working_count(self) -> int:
        """How many orders may still fill."""
        return self._account[WORKING]

    def open(self, order: Order) -> None:
        """Add an order that has left: what it may spend or sell is reserved already."""
        assert order.order_id not in self.by_id, f"order id must be new: order_id={order.order_id}"
        self.by_id[order.order_id] = order
        self._add(order)

    def adopt(self, order: Order, order_hash: bytes) -> None:
        """Add an order that did not leave in this life; one that is not DONE works from now on."""
        assert order.order_id not in self.by_id, f"order id must be new: order_id={order.order_id}"
        self.by_id[order.order_id] = self.by_hash[order_hash] = order
        order.order_hash = order_hash
        if order.state != _DONE:
            self._work(order)

    def reopen(self, order: Order, state: OrderState) -> None:
        """Count an order again that was over and is not."""
        assert order.state == _DONE, f"only an order that is over can be reopened: {order}"
        order.state = state
        self._work(order)

    def place(self, order: Order, instrument: int) -> None:
        """Learn the instrument of an order of an earlier run."""
        assert order.instrument == 0, f"an order is placed once: {order}"
        if order.state == _DONE:
            order.instrument = instrument
            return
        state = order.state
        self.close(order, order.reason)
        order.instrument = instrument
        self.reopen(order, state)

    def hold(self, order: Order) -> None:
        """Add an armed order: reserved as well, and not sent."""
        self.armed_count += 1
        self._add(order)

    def send(self, order: Order, order_id: int) -> None:
        """Open an armed order under the id it has now."""
        assert order_id not in self.by_id, f"order id must be new: order_id={order_id}"
        working = self._working[order.instrument]
        del working[order.order_id]
        self.armed_count -= 1
        order.order_id, order.state = order_id, _PENDING
        self.by_id[order_id] = working[order_id] = order

    def name(self, order: Order, order_hash: bytes) -> None:
        """Attach the venue's id, by which its events find the order."""
        order.order_hash = order_hash
        self.by_hash[order_hash] = order

    def close(self, order: Order, reason: int) -> None:
        """End an order: it is exposure no longer."""
        if order.state != _DONE:
            self.armed_count -= order.state == _ARMED
            order.state = _DONE
            order.reason = reason
            self.reckon(order)
            working = self._working[order.instrument]
            del working[order.order_id]
            if not working:
                del self._working[order.instrument]
            self._account[WORKING] -= 1
            self._forget_price(order)

    def reckon(self, order: Order) -> None:
        """Bring the sums up to what an order may still do; to be called when that has changed."""
        now = 0 if order.state == _DONE else _holds(order)
        change = now - order.held_back
        if change == 0:
            return
        order.held_back = now
        index, is_buy = order.instrument, order.side == _BUY
        row = index * self._columns
        if is_buy:
            self._facts[row + BUYS] += change
            self._account[RESERVED] += change
            self.changed.add(index)
        else:
            self._facts[row + SELLS] += change
            self._facts[row + OWN_SELLS + OWN_COLUMNS * order.strategy] += change

    def working(self, instrument: int) -> Iterable[Order]:
        """Return the orders of one instrument that may still fill, oldest first."""
        working = self._working.get(instrument)
        return working.values() if working else ()

    def instruments_working(self) -> list[int]:
        """Return the instruments that have orders which may still fill."""
        return list(self._working)

    def all_working(self) -> Iterator[Order]:
        """Yield every order that may still fill."""
        for orders in self._working.values():
            yield from orders.values()

    def working_buy_notional(self, instrument: int) -> int:
        """Return the pUSD micros the working buys of one instrument may still spend."""
        return self._facts[instrument * self._columns + BUYS]

    def working_sell_size(self, instrument: int) -> int:
        """Return the micro-shares the working sells of one instrument may still take."""
        return self._facts[instrument * self._columns + SELLS]

    def _work(self, order: Order) -> None:
        """Let an order work that no kernel has reserved."""
        self._working.setdefault(order.instrument, {})[order.order_id] = order
        self._account[WORKING] += 1
        self.reckon(order)
        row = order.instrument * self._columns
        if order.side == _BUY:
            self._facts[row + BEST_BUY] = max(self._facts[row + BEST_BUY], order.price)
        else:
            self._facts[row + BEST_SELL] = min(self._facts[row + BEST_SELL], order.price)

    def _add(self, order: Order) -> None:
        order.held_back = _holds(order)
        self._working.setdefault(order.instrument, {})[order.order_id] = order

    def _forget_price(self, ended: Order) -> None:
        """Look for the best price that is left where the best has ended."""
        is_buy = ended.side == _BUY
        at = ended.instrument * self._columns + (BEST_BUY if is_buy else BEST_SELL)
        if self._facts[at] == ended.price:
            prices = (o.price for o in self.working(ended.instrument) if o.side == ended.side)
            self._facts[at] = max(prices, default=0) if is_buy else min(prices, default=NO_SELL)


def _holds(order: Order) -> int:
    """Return the pUSD micros a buy may still spend, the micro-shares a sale may still take."""
    remaining = order.remaining
    return notional_micros_ceil(order.price, remaining) if order.side == _BUY else remaining
