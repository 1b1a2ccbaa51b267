"""Micros as the venue spells them: shortest decimal, no exponent, no trailing zeros."""

from __future__ import annotations

from functools import lru_cache

MICROS = 1_000_000


@lru_cache(maxsize=65_536)
def decimal_text(micros: int) -> str:
    """Return non-negative micros as the venue writes prices and sizes: 490_000 → "0.49"."""
    whole, fraction = divmod(micros, MICROS)
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else str(whole)
