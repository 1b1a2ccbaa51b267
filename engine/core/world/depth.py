"""How deep a book is: its best levels, found by its bitmap (`engine.core.world.books` draws it)."""

from __future__ import annotations

from numba import int64, njit, uint64

from engine.math.bits import count_leading_zeros
from engine.math.units import PRICE_CELLS, PRICE_UNIT


@njit(
    int64(int64[:, :, ::1], uint64[:, :, ::1], int64, int64, int64[:, ::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def best_levels(sizes, bits, instrument, side, out):  # type: ignore[no-untyped-def]
    """Hot path. Write the best levels of one side into `out`, best first; return how many.

    out: int64[m, 2], rows (price, size) in micros; what does not fit is left out.
    """
    n = 0
    for k in range(bits.shape[2] - 1, -1, -1):
        word = bits[instrument, side, k]
        while word != 0:
            if n == out.shape[0]:
                return n
            bit = 63 - count_leading_zeros(word)
            rank = k * 64 + bit
            cell = rank if side == 0 else PRICE_CELLS - 1 - rank
            out[n, 0] = cell * PRICE_UNIT
            out[n, 1] = sizes[instrument, side, cell]
            n += 1
            word &= ~(uint64(1) << uint64(bit))
    return n
