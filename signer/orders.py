"""Every order this run has signed, and those of earlier runs; and how much is known of each.

```
IN_FLIGHT ──accepted──▶ LIVE ──cancelled, filled, gone──▶ ENDED
    │ │                   │ heartbeat gap
    │ └───not seen────▶ UNKNOWN ──looked up, sent again──▶ LIVE or ENDED
    └─refused──────────────────────────────────────────▶ ENDED
```
An id stays here when its order has ended, so that it is never signed again. An order that is alive
after its end is LIVE again, and doomed.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from engine.host.errors import HostError
from signer.reports import Stamps

ORDERS_MAX = 1 << 18
NO_STAMPS = Stamps(0)


class OrderState(IntEnum):
    """What is known of an order."""

    IN_FLIGHT = 0
    UNKNOWN = 1
    LIVE = 2
    ENDED = 3


# A member of an enum is looked up through its class: too slow for what every order does.
_IN_FLIGHT, _LIVE, _ENDED = OrderState.IN_FLIGHT, OrderState.LIVE, OrderState.ENDED


class SentOrder:
    """One order. trace: of its command.

    body: what was sent, to be sent again byte for byte; empty once the order has ended.
    size: micro-shares.  stake: what it may cost at most, micros.  signed_ns: when.
    is_known: the venue has had it.  is_strange: its answers to the bytes teach nothing.
    is_doomed: of an earlier run, or alive after its end: it is cancelled, and the core hears DONE.
    is_canceled: a doomed one whose cancel was acknowledged, and whose final size is asked for.
    missing_ns: when a look-up first did not find it.  denied_ns: when a cancel last did not. Or 0.
    refusal: why the venue refused the same bytes when they were sent again, or OK.
    released: how much of the stake was given back, micros.
    """

    __slots__ = (
        "asks",
        "attempt",
        "auth_retried",
        "body",
        "cancel_is_due",
        "cancel_is_in_flight",
        "cancel_is_wanted",
        "denied_ns",
        "instrument",
        "is_at_once",
        "is_canceled",
        "is_doomed",
        "is_known",
        "is_looked_up",
        "is_strange",
        "missing_ns",
        "order_hash",
        "order_id",
        "price",
        "refusal",
        "released",
        "side",
        "signed_ns",
        "size",
        "stake",
        "stamps",
        "state",
        "trace",
    )

    def __init__(
        self,
        order_id: int,
        attempt: int,
        order_hash: bytes,
        instrument: int,
        trace: int,
        side: int = 0,
        price: int = 0,
        size: int = 1,
        stake: int = 0,
        is_at_once: bool = False,
        body: bytes = b"",
        signed_ns: int = 0,
        stamps: Stamps = NO_STAMPS,
        state: OrderState = _IN_FLIGHT,
    ) -> None:
        """Hot path, where the arguments go by their places: names cost as much as all the rest."""
        self.order_id = order_id
        self.attempt = attempt
        self.order_hash = order_hash
        self.instrument = instrument
        self.trace = trace
        self.side = side
        self.price = price
        self.is_at_once = is_at_once
        self.state = state
        self.stamps = stamps
        self.body = body
        self.size = size
        self.stake = stake
        self.signed_ns = signed_ns
        self.is_known = state is _LIVE
        self.is_strange = self.is_doomed = self.is_canceled = False
        self.auth_retried = False
        self.refusal = self.released = 0
        self.cancel_is_wanted = self.cancel_is_due = False
        self.cancel_is_in_flight = False
        self.is_looked_up = False
        self.asks = 0
        self.missing_ns = self.denied_ns = 0

    def doom(self) -> None:
        """Let nothing but its end become of this order; what was known against it is forgotten."""
        self.is_doomed = self.cancel_is_wanted = True
        self.is_canceled = False
        self.refusal = self.missing_ns = self.denied_ns = 0


class RevivedOrder(HostError):
    """An order that was proven dead is alive; the message names its hash."""

    @classmethod
    def of(cls, order: SentOrder) -> RevivedOrder:
        """Return what to say of this order."""
        return cls(f"an order that was proven dead is alive: hash=0x{order.order_hash.hex()}")


class Orders:
    """All of them, by id and by hash; bounded, the oldest that have ended go first."""

    __slots__ = ("_by_hash", "_by_id", "open_count")

    def __init__(self) -> None:
        self.open_count = 0  # orders that have not ended
        self._by_id: dict[int, SentOrder] = {}
        self._by_hash: dict[str, SentOrder] = {}

    def add(self, order: SentOrder) -> None:
        """Take an order. Hot path."""
        if len(self._by_id) >= ORDERS_MAX:
            self._evict()
        self._by_id[order.order_id] = order
        self._by_hash[order.order_hash.hex()] = order
        self.open_count += order.state is not _ENDED

    def move(self, order: SentOrder, state: OrderState) -> None:
        """Change an order's state."""
        self.open_count += (order.state is _ENDED) - (state is _ENDED)
        order.state = state
        if state is _ENDED:
            order.body = b""
        elif state is _LIVE:
            order.is_known = True

    def forget(self, order_id: int) -> None:
        """Let go of an order, if it is here."""
        order = self._by_id.pop(order_id, None)
        if order is not None:
            del self._by_hash[order.order_hash.hex()]
            self.open_count -= order.state is not _ENDED

    def get(self, order_id: int) -> SentOrder | None:
        """Return the order with this id. Hot path."""
        return self._by_id.get(order_id)

    def by_hash(self, digits: str) -> SentOrder | None:
        """Return the order with this hash: 64 lower-case hex digits."""
        return self._by_hash.get(digits)

    def in_state(self, *states: OrderState) -> Iterator[SentOrder]:
        """Return the orders in any of these states, oldest first."""
        return (order for order in list(self._by_id.values()) if order.state in states)

    def _evict(self) -> None:
        """Forget the oldest eighth of what has ended, or of everything accepted if that is none."""
        count = ORDERS_MAX // 8
        ended = list(self.in_state(_ENDED))[:count]
        for order in ended or list(self.in_state(_LIVE))[:count]:
            self.forget(order.order_id)
