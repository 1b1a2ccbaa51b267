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

# Up to where the jitted fees are exact: ten million shares, a rate of 1.
SIZE_MAX = 10**13
RATE_PPM_MAX = MICROS
EXPONENTS = (1, 2)  # any other is a curve nobody has seen
# What they return beyond: ten billion pUSD, which nobody has and which can still be added up.
FEE_BEYOND = 10**16
_QUANTUM = 10  # micros


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


@njit(int64(int64, int64, int64, int64), cache=True, error_model="numpy", _nrt=False)
def _fee_v2(size: int, price: int, rate_ppm: int, is_up: int) -> int:
    """Return size · rate · p(1−p) / 1e19 quanta in micros, a rest counted as one if `is_up`.

    The product has up to 31 digits. Both its factors are split in two, their parts multiplied
    apart, and 1e19 divided out in three steps (1e7, 1e9, 1e3), each of which carries what it leaves
    whole: floor(floor(x / m) / n) is floor(x / mn). No term reaches 1e18.
    """
    is_exact = 0 <= size <= SIZE_MAX and 0 <= price <= MICROS and 0 <= rate_ppm <= RATE_PPM_MAX
    if not is_exact:
        return FEE_BEYOND
    share = rate_ppm * price * (MICROS - price)  # the fee of one share, 1e-18 pUSD
    size_high, size_low = size // 10**7, size % 10**7
    share_high, share_low = share // 10**9, share % 10**9
    low = size_low * share_low
    middle = size_high * share_low + size_low * share_high * 100 + low // 10**7
    high = size_high * share_high + middle // 10**9
    has_rest = (low % 10**7 | middle % 10**9 | high % 10**3) != 0
    return (high // 10**3 + (is_up & has_rest)) * _QUANTUM


@njit(int64(int64, int64, int64), cache=True, error_model="numpy", _nrt=False)
def fee_v2_floor(size: int, price: int, rate_ppm: int) -> int:
    """Hot path. Return `fee_micros` of curve V2 with e = 1 in pUSD micros; a rate of 0 is FREE.

    size: micro-shares in 0..SIZE_MAX.  price: micros in 0..1_000_000.  rate_ppm: 0..RATE_PPM_MAX.
    FEE_BEYOND where one of them is not: no trade pays that.
    """
    return _fee_v2(size, price, rate_ppm, 0)


@njit(int64(int64, int64, int64), cache=True, error_model="numpy", _nrt=False)
def fee_v2_ceil(size: int, price: int, rate_ppm: int) -> int:
    """Hot path. Return `fee_micros_ceil` likewise: what a budget must reserve, in pUSD micros."""
    return _fee_v2(size, price, rate_ppm, 1)


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
