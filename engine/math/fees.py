"""Taker fees, exact in integers.

```
curve V2      fee = C · r · (p(1−p))^e        every market today, e = 1
curve LEGACY  fee = C · p · r · (p(1−p))^e    January to spring 2026, for replaying old tapes
```
C shares, p the execution price of that fill, r the market's own rate. The venue quantises to five
decimals (four under LEGACY) without saying in which direction; it is seen to round down, per fill.
Source: docs.polymarket.com/trading/fees; the published tables are in the contract tests.
"""

from __future__ import annotations

from numba import float64, int64, njit

from engine.math.units import MICROS

CURVE_UNKNOWN, CURVE_FREE, CURVE_V2, CURVE_LEGACY = 0, 1, 2, 3

# All-in costs a share are exact in this unit when e = 1: micros of price × ppm of rate.
COST_UNIT = 10**14


def _fee_parts(size: int, price: int, curve: int, rate_ppm: int, exponent: int) -> tuple[int, int]:
    """Return the fee in pUSD as (numerator, denominator), unrounded."""
    if not 0 <= price <= MICROS:
        raise ValueError(f"fee price must lie in 0..1_000_000 micros: price={price}")
    if size < 0:
        raise ValueError(f"fee size must not be negative: size={size}")
    if curve == CURVE_FREE:
        return 0, 1
    if curve not in (CURVE_V2, CURVE_LEGACY):
        raise ValueError(f"fee curve must be known: curve={curve}")
    numerator = size * rate_ppm * (price * (MICROS - price)) ** exponent
    denominator = MICROS * MICROS * (MICROS * MICROS) ** exponent
    if curve == CURVE_LEGACY:
        numerator, denominator = numerator * price, denominator * MICROS
    return numerator, denominator


def fee_micros(size: int, price: int, curve: int, rate_ppm: int, exponent: int) -> int:
    """Return the taker fee of one fill in pUSD micros, as the venue books it (rounded down).

    size: micro-shares, >= 0.  price: micros in 0..1_000_000.  rate_ppm: 70_000 is 0.07.
    Raises ValueError outside these ranges and for an unknown curve.
    """
    numerator, denominator = _fee_parts(size, price, curve, rate_ppm, exponent)
    step = 100 if curve == CURVE_LEGACY else 10
    return numerator * MICROS // (denominator * step) * step


def fee_micros_ceil(size: int, price: int, curve: int, rate_ppm: int, exponent: int) -> int:
    """Return the taker fee rounded up to its quantum: what a budget must reserve."""
    numerator, denominator = _fee_parts(size, price, curve, rate_ppm, exponent)
    step = 100 if curve == CURVE_LEGACY else 10
    return -(-numerator * MICROS // (denominator * step)) * step


@njit(int64(int64, int64), cache=True)
def cost_buy(price: int, rate_ppm: int) -> int:
    """Hot path. Return the all-in cost of buying one share as taker, in units of 1e-14 pUSD.

    price: micros on the 1e-4 grid.  Curve V2 with e = 1; exact: p·1e8 micros + r·p(1−p).
    """
    cell = price // 100
    return price * 100_000_000 + rate_ppm * cell * (10_000 - cell)


@njit(int64(int64, int64), cache=True)
def proceeds_sell(price: int, rate_ppm: int) -> int:
    """Hot path. Return what selling one share as taker brings, in units of 1e-14 pUSD."""
    cell = price // 100
    return price * 100_000_000 - rate_ppm * cell * (10_000 - cell)


@njit(float64(float64, float64, float64), cache=True)
def breakeven_probability(price: float, rate: float, exponent: float) -> float:
    """Return the win probability at which a taker buy held to settlement earns zero (curve V2)."""
    fee: float = rate * (price * (1.0 - price)) ** exponent
    return price + fee
