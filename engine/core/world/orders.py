"""Every order of this run and what is known of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from engine.math.units import notional_micros_ceil
from engine.wire.codes import Side


class OrderState(IntEnum):
    """How much is known. Everything but DONE may be live at the venue and counts as exposure."""

    PENDING = 1  # handed to the signer
    LIVE = 2  # acknowledged, resting
    UNKNOWN = 3  # sent, outcome not seen
    ENDING = 4  # over at the venue, its last fills still on their way
    DONE = 5


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

    @property
    def remaining(self) -> int:
        """Micro-shares that may still fill."""
        return self.size - self.filled if self.final < 0 else self.final - self.filled


@dataclass(slots=True)
class Orders:
    """Orders by id and by venue hash; the working ones also by instrument."""

    by_id: dict[int, Order] = field(default_factory=dict)
    by_hash: dict[bytes, Order] = field(default_factory=dict)
    _working: dict[int, dict[int, Order]] = field(default_factory=dict)
    working_count: int = 0
    _opened_ns: deque[int] = field(default_factory=deque)

    def open(self, order: Order, now_ns: int) -> None:
        """Add a new order: from now on it is exposure."""
        assert order.order_id not in self.by_id, f"order id must be new: order_id={order.order_id}"
        self.by_id[order.order_id] = order
        self._working.setdefault(order.instrument, {})[order.order_id] = order
        self.working_count += 1
        self._opened_ns.append(now_ns)

    def name(self, order: Order, order_hash: bytes) -> None:
        """Attach the venue's id, by which its events find the order."""
        order.order_hash = order_hash
        self.by_hash[order_hash] = order

    def close(self, order: Order, reason: int) -> None:
        """End an order: it is exposure no longer."""
        if order.state != OrderState.DONE:
            order.state = OrderState.DONE
            order.reason = reason
            working = self._working[order.instrument]
            del working[order.order_id]
            if not working:
                del self._working[order.instrument]
            self.working_count -= 1

    def opened_since(self, since_ns: int) -> int:
        """Return how many orders were opened after `since_ns`; older ones are forgotten."""
        while self._opened_ns and self._opened_ns[0] <= since_ns:
            self._opened_ns.popleft()
        return len(self._opened_ns)

    def working(self, instrument: int) -> Iterator[Order]:
        """Yield the orders of one instrument that may still fill, oldest first."""
        return iter(self._working.get(instrument, {}).values())

    def instruments_working(self) -> list[int]:
        """Return the instruments that have orders which may still fill."""
        return list(self._working)

    def all_working(self) -> Iterator[Order]:
        """Yield every order that may still fill."""
        for orders in self._working.values():
            yield from orders.values()

    def working_buy_notional(self, instrument: int) -> int:
        """Return the pUSD micros the working buys of one instrument may still spend."""
        return sum(
            notional_micros_ceil(o.price, o.remaining)
            for o in self.working(instrument)
            if o.side == Side.BUY
        )

    def working_sell_size(self, instrument: int) -> int:
        """Return the micro-shares the working sells of one instrument may still take."""
        return sum(o.remaining for o in self.working(instrument) if o.side == Side.SELL)
