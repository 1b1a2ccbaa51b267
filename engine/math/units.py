"""Money, prices and sizes are int64 micros: 1e-6 pUSD, 1e-6 share. Every rounding has a name."""

from __future__ import annotations

from decimal import Decimal

MICROS = 1_000_000
PRICE_UNIT = 100  # micros: 1e-4, the finest tick the venue uses
PRICE_CELLS = 10_001  # prices 0, 0.0001, … 1 as indices
SIZE_STEP = 10_000  # micros: orders are in hundredths of a share


def micros_from_text(text: str) -> int:
    """Return a decimal text as micros, exactly.

    Raises ValueError where the text is no finite decimal or has more than six decimals.
    """
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"amount must be finite: value={text}")
    scaled = value * MICROS
    micros = int(scaled)
    if micros != scaled:
        raise ValueError(f"amount must have at most six decimals: value={text}")
    return micros


def text_from_micros(micros: int) -> str:
    """Return micros as a decimal text of six decimals: 1_500_000 → '1.500000'."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{fraction:06d}"


def notional_micros_floor(price: int, size: int) -> int:
    """Return price × size in pUSD micros, rounded down; exact for sizes of two decimals."""
    return price * size // MICROS


def notional_micros_ceil(price: int, size: int) -> int:
    """Return price × size in pUSD micros, rounded up: what a budget must reserve."""
    return -(-price * size // MICROS)


def floor_to(value: int, step: int) -> int:
    """Return the largest multiple of `step` that is not above `value`."""
    return value - value % step


def ceil_to(value: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `value`."""
    return -(-value // step) * step
