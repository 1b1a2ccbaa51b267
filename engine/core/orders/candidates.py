"""Orders about to exist, a row of numbers each: what gates are asked about and records made from.

Prices in micros, sizes in micro-shares, money in pUSD micros. What the world says of the instrument
(tick, touch, what is held and what is working) is not here: gates look that up when they are asked.
"""

from __future__ import annotations

import struct

import numpy as np

from engine.core.world.instruments import Instrument
from engine.core.world.world import World
from engine.math.fees import fee_micros_ceil, fee_v2_ceil
from engine.math.units import MICROS, notional_micros_ceil
from engine.wire.codes import FeeCurve, Side

# Columns of a row.
STRATEGY = 0
INSTRUMENT = 1
SIDE = 2
PRICE = 3
SIZE = 4
TIF = 5
POST_ONLY = 6
LEG = 7
NOTIONAL = 8  # the worst case of price × size
EDGE = 9  # expected profit, for the record
SPENDS = 10  # what a marketable buy spends, 0 for all other orders
FEE = 11  # the worst case
TERMS = 12  # the version of the instrument's terms it was decided on
REASON = 13  # written by the kernels: why it is no order, 0 = it is one
ORDER_ID = 14  # written by the kernels
COLUMNS = 15

_ROW = struct.Struct(f"<{COLUMNS}q")
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_UNKNOWN, _V2 = int(FeeCurve.UNKNOWN), int(FeeCurve.V2)


class Candidates:
    """Room for a few rows. `rows`: int64[n, COLUMNS]."""

    __slots__ = ("_bytes", "_ids", "rows")

    def __init__(self, capacity: int) -> None:
        self.rows = np.zeros((capacity, COLUMNS), np.int64)
        self._bytes = self.rows.data.cast("B")
        self._ids = self._bytes.cast("Q")

    def put(
        self,
        k: int,
        world: World,
        strategy: int,
        index: int,
        side: int,
        price: int,
        size: int,
        tif: int,
        leg: int,
        *,
        post_only: bool = False,
        edge: int = 0,
        budget: int = 0,
    ) -> None:
        """Hot path. Write row `k`. budget: what a marketable buy spends, 0 = the notional.

        Raises ValueError for an instrument or a side there is not, and struct.error, TypeError or
        OverflowError for what is no number of 64 bits.
        """
        instrument = world.instruments.get(index)
        if instrument is None:
            raise ValueError(f"an order names an unknown instrument: instrument={index}")
        notional = notional_micros_ceil(price, size)
        fee = spends = 0
        if side == _BUY:
            if not post_only:
                spends = budget or notional
                fee = worst_fee(instrument, price, size)
        elif side != _SELL:
            raise ValueError(f"a side is 0 (buy) or 1 (sell): side={side}")
        _ROW.pack_into(
            self._bytes,
            8 * COLUMNS * k,
            strategy,
            index,
            side,
            price,
            size,
            tif,
            post_only,
            leg,
            notional,
            edge,
            spends,
            fee,
            world.terms(index),
            0,
            0,
        )

    def order_id(self, k: int) -> int:
        """Return the id row `k` has got, unsigned."""
        return self._ids[COLUMNS * k + ORDER_ID]


def worst_fee(instrument: Instrument, price: int, size: int) -> int:
    """Hot path. Return the highest fee of a buy in micros, whatever where other gates refuse it."""
    i = instrument
    if i.fee_curve == _V2 and i.fee_exponent == 1:
        fee: int = fee_v2_ceil(size, price, i.fee_rate_ppm)
        return fee
    if i.fee_curve == _UNKNOWN or not 0 <= price <= MICROS or size < 0:
        return 0
    return fee_micros_ceil(size, price, i.fee_curve, i.fee_rate_ppm, i.fee_exponent)
