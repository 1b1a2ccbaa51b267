"""The kinds of numbers and texts a setting may be, each checked where it is read.

Money and shares are decimals, exact to the chain's own unit: TOML's text becomes a `Decimal`, never
a float, and what is finer than a micro is refused. Counts and durations are whole numbers in the
unit their name ends with.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

MICROS = 1_000_000
_MICRO = Decimal("0.000001")
_MICROS_MAX = 2**62  # half of what an int64 holds: sums of two stay inside
_AMOUNT_EXPONENT_MAX = 20  # a number with more digits before the point is none the engine can hold
COUNT_MAX = 10**9  # as seconds it is an int64 of nanoseconds still, and so are sums of a few


def to_micros(value: Decimal) -> int:
    """Return a decimal amount of pUSD or shares in micros, exactly; ValueError if it is finer."""
    if value % _MICRO:  # exact however many digits there are, unlike a product
        raise ValueError("must be exact to 0.000001")
    return int(value * MICROS)


def _decimal(value: Any, info: ValidationInfo) -> Decimal:
    """Let integers and decimals through; texts only from JSON, which is how we write decimals."""
    is_written_by_us = isinstance(value, str) and info.mode == "json"
    if isinstance(value, bool) or not (isinstance(value, (int, Decimal)) or is_written_by_us):
        raise ValueError("must be a decimal number")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError("must be a decimal number") from None


def _exact(value: Decimal) -> Decimal:
    # The exponent first: decimals compute with a million of digits if they are asked to, or raise.
    if not value.is_finite() or value.adjusted() > _AMOUNT_EXPONENT_MAX:
        raise ValueError("must be a number the engine can hold")
    if value and value.adjusted() < _MICRO.adjusted():
        raise ValueError("must be exact to 0.000001")
    if abs(value) * MICROS >= _MICROS_MAX:
        raise ValueError("must be a number the engine can hold")
    to_micros(value)
    return value + 0 if value else Decimal(0)  # of a million digits the context's 28 are left


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two")
    return value


def _no_slash(value: str) -> str:
    return value.rstrip("/")


Amount = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    AfterValidator(_exact),
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
]
PositiveAmount = Annotated[Amount, Field(gt=0)]
Price = Annotated[Amount, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
PositiveCount = Annotated[int, Field(gt=0, le=COUNT_MAX)]
Capacity = Annotated[int, Field(ge=64, le=1 << 24), AfterValidator(_power_of_two)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
TokenId = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,77}$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$"), AfterValidator(_no_slash)]
WsUrl = Annotated[str, Field(pattern=r"^wss?://[^\s/?#]+[^\s?#]*$"), AfterValidator(_no_slash)]
