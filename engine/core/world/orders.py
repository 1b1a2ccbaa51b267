"""Every order of this run and what is known of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

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
    """One order. Sizes in micro-shares, prices in micros."""

    order_id: int
    strategy: int
    instrument: int
    side: int
    price: int
    size: int
    tif: int
    leg: int
    basket: int = 0  # order id of the basket's first leg, 0 = alone
    state: OrderState = OrderState.PENDING
    filled: int = 0
    final: int = -1  # how much it will have filled in all, once the venue has said
    reason: int = 0  # why it ended
    cancel_requested: bool = False
    order_hash: bytes = b""
    held_back: int = 0  # as `Orders.reckon` last counted it

    @property
    def remaining(self) -> int:
        """Micro-shares that may still fill."""
        return self.size - self.filled if self.final < 0 else self.final - self.filled


@dataclass(slots=True)
class Orders:
    """Orders by id and by venue hash; the working ones also by instrument, and what they add up to.

    Sums are kept, not made: a gate asks for them at every order, whatever else is working.
    """

    by_id: dict[int, Order] = field(default_factory=dict)
    by_hash: dict[bytes, Order] = field(default_factory=dict)
    _working: dict[int, dict[int, Order]] = field(default_factory=dict)
    working_count: int = 0
    armed_count: int = 0  # of the working ones
    buy_notional: int = 0  # pUSD micros all working buys may still spend
    changed: set[int] = field(default_factory=set)  # instruments reckoned anew, for `World`
    _buy_notional: dict[int, int] = field(default_factory=dict)
    _sell_size: dict[int, int] = field(default_factory=dict)
    _opened_ns: deque[int] = field(default_factory=deque)

    def open(self, order: Order, now_ns: int) -> None:
        """Add a new order: from now on it is exposure."""
        assert order.order_id not in self.by_id, f"order id must be new: order_id={order.order_id}"
        self.by_id[order.order_id] = order
        self._working.setdefault(order.instrument, {})[order.order_id] = order
        self.working_count += 1
        self._opened_ns.append(now_ns)
        self.reckon(order)

    def reserve(self, order: Order) -> None:
        """Add an armed order: exposure that has not been sent."""
        self._working.setdefault(order.instrument, {})[order.order_id] = order
        self.working_count += 1
        self.armed_count += 1
        self.reckon(order)

    def send(self, order: Order, order_id: int, now_ns: int) -> None:
        """Hot path. Open an armed order under the id it has now."""
        del self._working[order.instrument][order.order_id]
        self.working_count -= 1
        self.armed_count -= 1
        order.order_id, order.state = order_id, _PENDING
        self.open(order, now_ns)

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
            self.working_count -= 1

    def reckon(self, order: Order) -> None:
        """Bring the sums up to what an order may still do; to be called when that has changed."""
        now = 0
        is_buy = order.side == _BUY
        if order.state != _DONE:
            now = notional_micros_ceil(order.price, order.remaining) if is_buy else order.remaining
        change = now - order.held_back
        if change == 0:
            return
        order.held_back = now
        index = order.instrument
        sums = self._buy_notional if is_buy else self._sell_size
        sums[index] = sums.get(index, 0) + change
        if is_buy:
            self.buy_notional += change
            self.changed.add(index)

    def opened_since(self, since_ns: int) -> int:
        """Return how many orders were opened after `since_ns`; older ones are forgotten."""
        while self._opened_ns and self._opened_ns[0] <= since_ns:
            self._opened_ns.popleft()
        return len(self._opened_ns)

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
        return self._buy_notional.get(instrument, 0)

    def working_sell_size(self, instrument: int) -> int:
        """Return the micro-shares the working sells of one instrument may still take."""
        return self._sell_size.get(instrument, 0)
