"""Fills that cannot be: what the venue says of them is held against what is known, not believed.

A fill that contradicts its order, or what was told of the same fill before, is booked by no one:
either we or the venue are wrong about money, and a human must look.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.core.world.lots import Lot
from engine.core.world.orders import Order
from engine.math.units import MICROS, SIZE_STEP, notional_micros_ceil, notional_micros_floor
from engine.wire.codes import Settlement, Side, Tif

# The venue rounds matched sizes to its own decimals: a fill may exceed its order by this dust.
DUST_SIZE = SIZE_STEP
DUST_NOTIONAL = SIZE_STEP
DUST_PRICE = 1  # prices are quotients, told rounded down
SHARES_MAX = 10**15  # a thousand million shares: there is not so much money
_UNKNOWN, _FAILED, _BUY = int(Settlement.UNKNOWN), int(Settlement.FAILED), int(Side.BUY)
_AT_ONCE = frozenset((int(Tif.FOK), int(Tif.FAK)))
_SETTLEMENTS = frozenset(map(int, Settlement))


class Fill(NamedTuple):
    """What a FILL says. Units as on the wire; leg: how many parts of the same order come before."""

    order_hash: bytes
    trade_id: bytes
    price: int
    size: int
    fee: int
    side: int
    liquidity: int
    settlement: int
    leg: int


def contradiction(order: Order, instrument: int, fill: Fill, known: Lot | None) -> str:
    """Return what is wrong with a fill of an order, or "". known: what was told of it before."""
    if fill.settlement == _UNKNOWN or fill.settlement not in _SETTLEMENTS:
        return f"settlement is unknown: settlement={fill.settlement}"
    if not 0 < fill.size <= SHARES_MAX:
        return f"size must be positive: size={fill.size}"
    if not 0 < fill.price < MICROS:
        return f"price must be within 0 and 1: price={fill.price}"
    if instrument != order.instrument or fill.side != order.side:
        return f"fill is of another token or side: instrument={instrument}, side={fill.side}"
    if known is not None:
        if (fill.size, fill.price) != (known.size, known.price):
            return (
                f"fill was told otherwise: size={fill.size}, price={fill.price}, "
                f"size_before={known.size}, price_before={known.price}"
            )
        return ""
    if order.strategy == 0:
        return ""  # made elsewhere: on what terms is not ours to know
    is_worse = fill.price > order.price + DUST_PRICE
    if order.side != _BUY:
        is_worse = fill.price < order.price - DUST_PRICE
    if is_worse:
        return f"price is worse than the limit: price={fill.price}, limit={order.price}"
    if order.side == _BUY and order.tif in _AT_ONCE:
        spent = order.spent + notional_micros_floor(fill.price, fill.size)
        budget = order.budget or notional_micros_ceil(order.price, order.size)
        is_within = spent <= budget + DUST_NOTIONAL
        return "" if is_within else f"fills spend more: spent={spent}, budget={budget}"
    total = order.told + fill.size
    if total > order.size + DUST_SIZE:
        return f"fill is larger than its order: told={total}, size={order.size}"
    return ""
