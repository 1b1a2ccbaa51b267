"""Execution reports and private events become order states, lots and cash.

Fills may arrive before the signer's SIGNED record names their order: they wait for it here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.core.orders import lifecycle
from engine.core.world.instruments import Market
from engine.core.world.lots import Lot
from engine.core.world.orders import Order
from engine.core.world.world import World
from engine.math.fees import fee_micros
from engine.math.units import notional_micros_floor
from engine.wire.codes import FeeCurve, Kind, Liquidity, OrderStatus, Reason, Side
from engine.wire.records import typed


class Reports:
    """Applies one report at a time and yields the orders it changed."""

    __slots__ = ("_unnamed", "_world", "fills", "foreign")

    def __init__(self, world: World) -> None:
        self._world = world
        self._unnamed: dict[bytes, list[np.ndarray]] = {}
        self.fills = 0
        self.foreign = 0  # reports for orders we do not know

    def apply(self, row: np.ndarray, kind: int) -> Iterator[Order]:
        """Apply one record of the private or execution streams; other kinds change nothing."""
        match kind:
            case Kind.SIGNED:
                yield from self._on_signed(row)
            case Kind.ACK | Kind.REJECT | Kind.UNKNOWN | Kind.DONE:
                yield from self._on_execution(row, kind)
            case Kind.FILL | Kind.ORDER_STATE:
                yield from self._on_private(row, kind)

    def resolve(self, market: Market) -> list[Order]:
        """Pay out a resolved market and end its orders; return those that were still working."""
        ended = []
        for index in (market.up.index, market.down.index):
            for order in list(self._world.orders.working(index)):
                self._world.orders.close(order, Reason.MARKET_RESOLVED)
                ended.append(order)
            self._world.cash.redeemable += self._world.lots.settle(index, market.payout(index))
        return ended

    def _on_signed(self, row: np.ndarray) -> Iterator[Order]:
        record = typed(row, Kind.SIGNED)[0]
        order = self._world.orders.by_id.get(int(record["order_id"]))
        if order is None:
            self.foreign += 1
            return
        order_hash = record["order_hash"].tobytes()
        self._world.orders.name(order, order_hash)
        for waiting in self._unnamed.pop(order_hash, ()):
            yield from self._on_private(waiting, int(waiting[0]) & 0xFFFF)

    def _on_execution(self, row: np.ndarray, kind: int) -> Iterator[Order]:
        record = typed(row, Kind(kind))[0]
        orders = self._world.orders
        order = orders.by_id.get(int(record["order_id"]))
        if order is None:
            self.foreign += 1
            return
        match kind:
            case Kind.ACK:
                making, taking = int(record["making"]), int(record["taking"])
                lifecycle.on_ack(orders, order, int(record["status"]), making, taking)
            case Kind.REJECT:
                lifecycle.on_reject(orders, order, int(record["reason"]))
            case Kind.UNKNOWN:
                lifecycle.on_unknown(order)
            case Kind.DONE:
                matched, reason = int(record["matched"]), int(record["reason"])
                lifecycle.on_done(orders, order, matched, reason)
        yield order

    def _on_private(self, row: np.ndarray, kind: int) -> Iterator[Order]:
        record = typed(row, Kind(kind))[0]
        order_hash = record["order_hash"].tobytes()
        order = self._world.orders.by_hash.get(order_hash)
        if order is None:
            self._unnamed.setdefault(order_hash, []).append(row.copy())
            return
        if kind == Kind.FILL:
            self._book(order, record, order_hash)
        else:
            self._on_order_state(order, record)
        yield order

    def _book(self, order: Order, record: np.void, order_hash: bytes) -> None:
        """Book a fill into lots and cash; a repeated or later state moves no money twice."""
        price, size = int(record["price"]), int(record["size"])
        fee = int(record["fee"])
        if fee < 0:
            fee = self._fee(order, price, size, int(record["liquidity"]))
        notional = notional_micros_floor(price, size)
        lot = Lot(
            order.strategy,
            order.instrument,
            order.side,
            price,
            size,
            notional,
            fee,
            int(record["settlement"]),
        )
        position = self._world.position(order.strategy, order.instrument)
        before = position.cash
        key = (record["trade_id"].tobytes(), order_hash, int(record["leg"]))
        booked = self._world.lots.apply(key, lot)
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

    def _on_order_state(self, order: Order, record: np.void) -> None:
        """The venue's own word on an order: a cancellation is final at the size it names."""
        orders, status = self._world.orders, int(record["status"])
        if status in (OrderStatus.CANCELED, OrderStatus.INVALID):
            matched = int(record["matched"])
            lifecycle.on_done(orders, order, matched, Reason.CANCELED)
        elif status == OrderStatus.LIVE:
            matched = int(record["matched"])
            making, taking = (0, matched) if order.side == Side.BUY else (matched, 0)
            lifecycle.on_ack(orders, order, status, making, taking)
