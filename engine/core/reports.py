"""Execution reports and private events become order states, lots and cash.

Fills may arrive before the signer's SIGNED record names their order: they wait for it here. Those
of orders made elsewhere on our wallet are adopted when no name has come for a while.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from engine.core.orders import lifecycle
from engine.core.orders.contradictions import Fill, contradiction
from engine.core.orders.unnamed import Unnamed
from engine.core.recovery import Recovery, recovered_order
from engine.core.world.instruments import Market
from engine.core.world.lots import Lot
from engine.core.world.orders import Order, OrderState
from engine.core.world.world import World
from engine.math.fees import fee_micros
from engine.math.units import notional_micros_floor
from engine.wire.codes import FeeCurve, Kind, Liquidity, OrderStatus, Reason, Settlement, Side, Tif
from engine.wire.records import BODY_WORD

# The fields read of each body, in the order of the wire: a structured scalar of numpy takes longer
# to give one field than these take for all. A unit test compares them with `engine.wire.records`.
BODY_BYTE = 8 * BODY_WORD
_SIGNED = struct.Struct("<Q32s")
_ACK = struct.Struct("<Qqq40xB")  # order_id, making, taking, status
_REJECT = struct.Struct("<QH")  # order_id, reason; of UNKNOWN too
_DONE = struct.Struct("<QqH")  # order_id, matched, reason
_FILL = struct.Struct("<32s16sqqqBBBB")
_ORDER_STATE = struct.Struct("<32sqqqBB")  # order_hash, price, size, matched, status, side
_RECOVERED = struct.Struct("<Q32sqqBBBBB")  # …, strategy, side, tif, is_open, last
LOCAL_NS_WORD = 3
_FAILED, _DONE_STATE = int(Settlement.FAILED), OrderState.DONE
# What ends an order at the size it names, and why; UNMATCHED is no fill, whatever else it is.
_FINAL = {
    int(OrderStatus.CANCELED): Reason.CANCELED,
    int(OrderStatus.INVALID): Reason.CANCELED,
    int(OrderStatus.UNMATCHED): Reason.CANCELED,
    int(OrderStatus.MATCHED): Reason.FILLED,
}
# Ends after which a fill may still be told late; to be told one after any other is an alarm.
_ENDED_AT_VENUE = frozenset((Reason.CANCELED, Reason.FILLED, Reason.EXPIRED))


class Reports:
    """Applies one report at a time and tells the orders it changed.

    foreign: reports for orders we do not know.  external: orders made elsewhere on our wallet.
    revived: orders that were over by all evidence and were told alive.  contradicted: orders of
    which something was told that cannot be, and what; for the engine to take out.  unnamed: reports
    that wait for a name.
    """

    __slots__ = (
        "_handlers",
        "_world",
        "contradicted",
        "contradictions",
        "external",
        "fills",
        "foreign",
        "recovery",
        "revived",
        "unnamed",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self.unnamed = Unnamed()
        self.recovery = Recovery()
        self.fills = self.foreign = self.external = self.revived = self.contradictions = 0
        self.contradicted: list[tuple[Order, str]] = []
        self._handlers: dict[int, Callable[[np.ndarray], Iterable[Order]]] = {
            Kind.SIGNED: self._on_signed,
            Kind.ACK: self._on_ack,
            Kind.REJECT: self._on_reject,
            Kind.UNKNOWN: self._on_unknown,
            Kind.DONE: self._on_done,
            Kind.FILL: self._on_fill,
            Kind.ORDER_STATE: self._on_order_state,
            Kind.RECOVERED: self._on_recovered,
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
            self._world.holdings.forget(index)
        return ended

    def announced(self, instrument: int) -> Iterator[Order]:
        """Apply the reports that had come before their instrument."""
        yield from self._apply_all(self.unnamed.announced(instrument))

    def adopt_strangers(self) -> Iterator[Order]:
        """Adopt the orders that were not named for a while: they were made elsewhere.

        While the order log is not told in full, they may be of an earlier life of this engine.
        """
        if not self.recovery.is_listed:
            return
        for order_hash in self.unnamed.strangers(self._world.now_ns):
            rows = self.unnamed.named(order_hash)
            self._adopt(order_hash, rows[0])
            yield from self._apply_all(rows)

    def _adopt(self, order_hash: bytes, row: np.ndarray) -> None:
        """Know an order of other hands from its first report, what it may still do from others."""
        side = _FILL.unpack_from(row.data, BODY_BYTE)[5]
        if int(row[0]) & 0xFFFF == Kind.ORDER_STATE:
            side = _ORDER_STATE.unpack_from(row.data, BODY_BYTE)[5]
        self.external += 1
        number = -(1 << 62) - self.external  # no id of ours: those are positive, armed ones small
        order = Order(number, 0, _instrument_of(row), side, 0, 0, Tif.GTC, 0, state=_DONE_STATE)
        self._world.orders.adopt(order, order_hash)

    def _on_recovered(self, row: np.ndarray) -> Iterable[Order]:
        order_id, order_hash, price, size, strategy, side, tif, is_open, last = (
            _RECOVERED.unpack_from(row.data, BODY_BYTE)
        )
        if last:
            self.recovery.on_listed(int(row[LOCAL_NS_WORD]))
            return ()
        orders = self._world.orders
        if order_id in orders.by_id:
            return ()
        if strategy >= self._world.facts.strategies:
            strategy = 0
        order = recovered_order(order_id, price, size, strategy, side, tif, is_open=bool(is_open))
        orders.adopt(order, order_hash)
        self.recovery.on_order(order)
        return self._apply_all(self.unnamed.named(order_hash))

    def _apply_all(self, rows: Iterable[np.ndarray]) -> Iterator[Order]:
        for row in rows:
            yield from self.apply(row)

    def _on_signed(self, row: np.ndarray) -> Iterable[Order]:
        order_id, order_hash = _SIGNED.unpack_from(row.data, BODY_BYTE)
        order = self._find(order_id)
        if order is None:
            return ()
        orders = self._world.orders
        stranger = orders.by_hash.get(order_hash)
        if stranger is not None and stranger is not order:  # it was not one after all
            order.filled, order.failed = stranger.filled, stranger.failed
            orders.close(stranger, Reason.SUPERSEDED)
            orders.reckon(order)
        orders.name(order, order_hash)
        waiting = self.unnamed.named(order_hash)
        return self._apply_all(waiting) if waiting else ()

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
        order = self._placed(fill.order_hash, row)
        if order is None:
            return ()
        known = self._world.lots.find((fill.trade_id, fill.order_hash, fill.leg))
        wrong = contradiction(order, _instrument_of(row), fill, known)
        if wrong:
            self._contradict(order, fill, wrong)
        else:
            self._book(order, fill, known)
        return (order,)

    def _on_order_state(self, row: np.ndarray) -> Iterable[Order]:
        """The venue's own word on an order: a final one ends it at the size it names."""
        order_hash, price, size, matched, status, _ = _ORDER_STATE.unpack_from(row.data, BODY_BYTE)
        order = self._placed(order_hash, row)
        if order is None:
            return ()
        orders = self._world.orders
        was_over, ended_by = order.state == _DONE_STATE, order.reason
        if order.strategy == 0 and order.size == 0:
            order.price, order.size = price, size
        if status in _FINAL:
            lifecycle.on_done(orders, order, max(matched, 0), _FINAL[status])
        elif status == OrderStatus.LIVE:
            if was_over and int(row[LOCAL_NS_WORD]) <= order.ended_ns:
                return ()  # it was asked for before the end was told
            if was_over and lifecycle.on_alive(orders, order):
                order.cancel_requested = False  # that it was cancelled has proved nothing
            making, taking = (0, matched) if order.side == Side.BUY else (matched, 0)
            lifecycle.on_ack(orders, order, status, making, taking)
        is_alive = order.state == OrderState.LIVE or ended_by not in _ENDED_AT_VENUE
        if was_over and order.state != _DONE_STATE and is_alive and order.strategy:
            self.revived += 1
            order.is_revived = True
        return (order,)

    def _placed(self, order_hash: bytes, row: np.ndarray) -> Order | None:
        """Return the order a private report is of; None: the report waits for what it lacks."""
        order = self._world.orders.by_hash.get(order_hash)
        if order is None:
            self.unnamed.await_name(order_hash, row, self._world.now_ns)
            return None
        instrument = _instrument_of(row)
        if self._world.instruments.market_of(instrument) is None:
            self.unnamed.await_instrument(instrument, row)
            return None
        if order.instrument == 0:
            self._world.orders.place(order, instrument)
        return order

    def _contradict(self, order: Order, fill: Fill, wrong: str) -> None:
        """Book nothing; count what may be held after all until the venue's balance tells."""
        self.contradictions += 1
        if order.side == Side.BUY:
            size = min(max(fill.size, 0), max(order.size, 0))
            self._world.holdings.suspect(order.instrument, size)
        lifecycle.on_contradiction(self._world.orders, order)
        trade = fill.trade_id.hex()
        self.contradicted.append((order, f"{wrong}, order={fill.order_hash.hex()}, trade={trade}"))

    def _find(self, order_id: int) -> Order | None:
        """Return our order, or count a report for one we do not know."""
        order = self._world.orders.by_id.get(order_id)
        self.foreign += order is None
        return order

    def _book(self, order: Order, fill: Fill, known: Lot | None) -> None:
        """Book a fill into lots and cash; a repeated or later state moves no money twice."""
        fee = fill.fee
        if fee < 0:
            fee = self._fee(order, fill.price, fill.size, fill.liquidity)
        notional = notional_micros_floor(fill.price, fill.size)
        strategy = order.strategy if known is None else known.strategy
        lot = Lot(
            strategy,
            order.instrument,
            order.side,
            fill.price,
            fill.size,
            notional,
            fee,
            fill.settlement,
        )
        world = self._world
        position = world.position(strategy, order.instrument)
        cash, paid = position.cash, position.paid
        booked = world.lots.apply((fill.trade_id, fill.order_hash, fill.leg), lot)
        paid = position.paid - paid
        world.cash.flow += position.cash - cash - paid
        world.cash.redeemable += paid
        if known is None:
            order.spent += notional
        if booked:
            self.fills += 1 if booked > 0 else -1
            lifecycle.on_fill(world.orders, order, booked)
            self._pay_out_if_resolved(order)
        elif known is None and fill.settlement == _FAILED:
            lifecycle.on_failed(world.orders, order, fill.size)

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


def _instrument_of(row: np.ndarray) -> int:
    return int(row[0]) >> 32 & 0xFFFF_FFFF
