"""Reading the values of vector files strictly: a clear ValueError for anything else."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeVar

from signer.amounts import ONE

_DIGITS_MAX = 80  # more than a 256-bit number and its decimals have
_EXPONENT_MAX = 8  # of a fee curve; the venue uses 1 and 2
_E = TypeVar("_E", bound=Enum)


def decimal(text: object) -> Decimal:
    """Return a decimal text exactly. Numbers too long to be meant are refused before computing."""
    if not isinstance(text, str) or len(text) > 2 * _DIGITS_MAX:
        raise ValueError(f"a decimal is a text of digits: value={text!r:.80}")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a decimal is a text of digits: value={text!r}") from None
    if not value.is_finite() or (value and abs(value.adjusted()) > _DIGITS_MAX):
        raise ValueError(f"a decimal is finite: value={text!r}")
    return value


def micros(text: object) -> int:
    """Return a decimal text in micros, rounded down: sizes are cut to two decimals anyway."""
    return int(decimal(text) * ONE // 1)


def exact_micros(text: object) -> int:
    """Return a decimal text in micros; ValueError where it has more than six decimals."""
    scaled = decimal(text) * ONE
    if scaled % 1:
        raise ValueError(f"an amount has at most six decimals: value={text!r}")
    return int(scaled)


def exponent(value: object) -> int | None:
    """Return the exponent of a fee curve, None where it is no whole number."""
    power = decimal(str(value))
    if not 0 <= power <= _EXPONENT_MAX:
        raise ValueError(f"an exponent is in 0…{_EXPONENT_MAX}: exponent={value}")
    return int(power) if power == int(power) else None


def integer(value: object) -> int:
    """Return a whole number written as a number or as a text of digits."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"a whole number is needed: value={value!r:.80}")
    if isinstance(value, str) and len(value) > _DIGITS_MAX:
        raise ValueError(f"a number of at most 256 bits is needed: value={value:.80}…")
    return int(value)


def member(kind: type[_E], name: object) -> _E:
    """Return the member of an enumeration by its name."""
    found = kind.__members__.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"one of {', '.join(kind.__members__)} is needed: value={name!r:.80}")
    return found


def hex_bytes(text: object) -> bytes:
    """Return the bytes of `0x` and hex digits."""
    if not isinstance(text, str) or text[:2] != "0x":
        raise ValueError(f"bytes are 0x and hex digits: value={text!r:.80}")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(f"bytes are 0x and hex digits: value={text!r:.80}") from None


def hex_text(data: bytes) -> str:
    """Return bytes as `0x` and hex digits."""
    return f"0x{data.hex()}"
