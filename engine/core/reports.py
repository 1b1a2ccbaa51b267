"""Execution reports and private events become order states, lots and cash.

Fills may arrive before the signer's SIGNED record names their order: they wait for it here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from engine.core.orders import lifecycle
from engine.core.world.instruments import Market
from engine.core.world.lots import Lot
from engine.core.world.orders import Order
from engine.core.world.world import World
from engine.math.fees import fee_micros
from engine.math.units import notional_micros_floor
from engine.wire.codes import FeeCurve, Kind, Liquidity, OrderStatus, Reason, Side
from engine.wire.records import BODY_WORD

# The fields read of each body, in the order of the wire: a structured scalar of numpy takes longer
# to give one field than these take for all. A unit test compares them with `engine.wire.records`.
BODY_BYTE = 8 * BODY_WORD
_SIGNED = struct.Struct("<Q32s")
_ACK = struct.Struct("<Qqq40xB")  # order_id, making, taking, status
_REJECT = struct.Struct("<QH")  # order_id, reason; of UNKNOWN too
_DONE = struct.Struct("<QqH")  # order_id, matched, reason
_FILL = struct.Struct("<32s16sqqqxBBB")
_ORDER_STATE = struct.Struct("<32s16xqB")  # order_hash, matched, status


class Fill(NamedTuple):
    """What a FILL says, but for the side: an order has but one. Units as on the wire."""

    order_hash: bytes
    trade_id: bytes
    price: int
    size: int
    fee: int
    liquidity: int
    settlement: int
    leg: int


class Reports:
    """Applies one report at a time and tells the orders it changed."""

    __slots__ = ("_handlers", "_unnamed", "_world", "fills", "foreign")

    def __init__(self, world: World) -> None:
        self._world = world
        self._unnamed: dict[bytes, list[np.ndarray]] = {}
        self.fills = 0
        self.foreign = 0  # reports for orders we do not know
        self._handlers: dict[int, Callable[[np.ndarray], Iterable[Order]]] = {
            Kind.SIGNED: self._on_signed,
            Kind.ACK: self._on_ack,
            Kind.REJECT: self._on_reject,
            Kind.UNKNOWN: self._on_unknown,
            Kind.DONE: self._on_done,
            Kind.FILL: self._on_fill,
            Kind.ORDER_STATE: self._on_order_state,
        }

    def apply(self, row: np.ndarray) -> Iterable[Order]:
        """Hot path. Apply one record, int64[16], and return the orders it changed.

        They are to be taken one by one: where fills had waited for their order's name, the next is
        booked when the order the last one changed has been seen to. Kinds that are no report of the
        private or execution streams change nothing.
        """
        handler = self._handlers.get(int(row[0]) & 0xFFFF)
        return handler(row) if handler is not None else ()

    def resolve(self, market: Market) -> list[Order]:
        """Pay out a resolved market and end its orders; return those that were still working."""
        ended = []
        for index in (market.up.index, market.down.index):
            for order in list(self._world.orders.working(index)):
                self._world.orders.close(order, Reason.MARKET_RESOLVED)
                ended.append(order)
            self._world.cash.redeemable += self._world.lots.settle(index, market.payout(index))
        return ended

    def _on_signed(self, row: np.ndarray) -> Iterable[Order]:
        order_id, order_hash = _SIGNED.unpack_from(row.data, BODY_BYTE)
        order = self._find(order_id)
        if order is None:
            return ()
        self._world.orders.name(order, order_hash)
        waiting = self._unnamed.pop(order_hash, None)
        return self._named(waiting) if waiting else ()

    def _named(self, waiting: list[np.ndarray]) -> Iterator[Order]:
        """Apply the reports that had come before their order's name."""
        for row in waiting:
            yield from self.apply(row)

    def _on_ack(self, row: np.ndarray) -> Iterable[Order]:
        order_id, making, taking, status = _ACK.unpack_from(row.data, BODY_BYTE)
        order = self._find(order_id)
        if order is None:
            return ()
        lifecycle.on_ack(self._world.orders, order, status, making, taking)
        return (order,)

    def _on_reject(self, row: np.ndarray) -> Iterable[Order]:
        order_id, reason = _REJECT.unpack_from(row.data, BODY_BYTE)
        order = self._find(order_id)
        if order is None:
            return ()
        lifecycle.on_reject(self._world.orders, order, reason)
        return (order,)

    def _on_unknown(self, row: np.ndarray) -> Iterable[Order]:
        order = self._find(_REJECT.unpack_from(row.data, BODY_BYTE)[0])
        if order is None:
            return ()
        lifecycle.on_unknown(order)
        return (order,)

    def _on_done(self, row: np.ndarray) -> Iterable[Order]:
        order_id, matched, reason = _DONE.unpack_from(row.data, BODY_BYTE)
        order = self._find(order_id)
        if order is None:
            return ()
        lifecycle.on_done(self._world.orders, order, matched, reason)
        return (order,)

    def _on_fill(self, row: np.ndarray) -> Iterable[Order]:
        fill = Fill(*_FILL.unpack_from(row.data, BODY_BYTE))
        order = self._world.orders.by_hash.get(fill.order_hash)
        if order is None:
            return self._keep(fill.order_hash, row)
        self._book(order, fill)
        return (order,)

    def _on_order_state(self, row: np.ndarray) -> Iterable[Order]:
        """The venue's own word on an order: a cancellation is final at the size it names."""
        order_hash, matched, status = _ORDER_STATE.unpack_from(row.data, BODY_BYTE)
        orders = self._world.orders
        order = orders.by_hash.get(order_hash)
        if order is None:
            return self._keep(order_hash, row)
        if status in (OrderStatus.CANCELED, OrderStatus.INVALID):
            lifecycle.on_done(orders, order, matched, Reason.CANCELED)
        elif status == OrderStatus.LIVE:
            making, taking = (0, matched) if order.side == Side.BUY else (matched, 0)
            lifecycle.on_ack(orders, order, status, making, taking)
        return (order,)

    def _find(self, order_id: int) -> Order | None:
        """Return our order, or count a report for one we do not know."""
        order = self._world.orders.by_id.get(order_id)
        self.foreign += order is None
        return order

    def _keep(self, order_hash: bytes, row: np.ndarray) -> Iterable[Order]:
        """Keep a report until its order has been named."""
        self._unnamed.setdefault(order_hash, []).append(row.copy())
        return ()

    def _book(self, order: Order, fill: Fill) -> None:
        """Book a fill into lots and cash; a repeated or later state moves no money twice."""
        fee = fill.fee
        if fee < 0:
            fee = self._fee(order, fill.price, fill.size, fill.liquidity)
        lot = Lot(
            order.strategy,
            order.instrument,
            order.side,
            fill.price,
            fill.size,
            notional_micros_floor(fill.price, fill.size),
            fee,
            fill.settlement,
        )
        position = self._world.position(order.strategy, order.instrument)
        before = position.cash
        booked = self._world.lots.apply((fill.trade_id, fill.order_hash, fill.leg), lot)
        self._world.cash.flow += position.cash - before
        if booked:
            self.fills += 1 if booked > 0 else -1
            lifecycle.on_fill(self._world.orders, order, booked)
            self._pay_out_if_resolved(order)

    def _fee(self, order: Order, price: int, size: int, liquidity: int) -> int:
        instrument = self._world.instruments.get(order.instrument)
        assert instrument is not None, f"an order has no instrument: {order}"
        if liquidity == Liquidity.MAKER or instrument.fee_curve == FeeCurve.UNKNOWN:
            return 0
        i = instrument
        return fee_micros(size, price, i.fee_curve, i.fee_rate_ppm, i.fee_exponent)

    def _pay_out_if_resolved(self, order: Order) -> None:
        """A fill that arrives after the resolution pays out at once."""
        market = self._world.instruments.market_of(order.instrument)
        if market is not None and market.payout_up >= 0:
            payout = market.payout(order.instrument)
            self._world.cash.redeemable += self._world.lots.settle(order.instrument, payout)
