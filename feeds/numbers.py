"""Exact numbers out of the venue's texts, for the cold paths; `feeds.text` is the jitted twin."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

MICROS = 1_000_000
UINT256_END = 1 << 256
MILLISECONDS_END = 4_102_444_800_000  # the year 2100; some way further on int64 nanoseconds end

_PLAIN = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})", re.ASCII)
_MILLISECONDS = re.compile(r"[1-9][0-9]{12}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{9}", re.ASCII)
_DIGITS = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_HEX31, _HEX32 = (re.compile(rf"0x[0-9a-fA-F]{{{digits}}}", re.ASCII) for digits in (62, 64))


def micros(text: str) -> int:
    """Return a plain decimal times 1e6, exactly.

    Nine digits at most before the point, six behind it, no sign or exponent; else ValueError.
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"not a plain decimal: text={text[:40]!r}")
    whole, _, fraction = text.partition(".")
    return int(whole or "0") * MICROS + int(fraction.ljust(6, "0") or "0")


def micros_floor(text: str) -> int:
    """Return a non-negative decimal times 1e6, rounded down: quotients the venue prints in full."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a decimal: text={text[:40]!r}") from None
    if not value.is_finite() or not 0 <= value < 10**9:
        raise ValueError(f"decimal out of range: text={text[:40]!r}")
    return int(value * MICROS)


def micros_of_number(value: object) -> int:
    """Return a JSON number or text times 1e6; ValueError if it is none or needs rounding.

    A float's shortest decimal text is what the venue wrote.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"not a number: value={value!r:.40}")
    try:
        exact = Decimal(str(value)) * MICROS
    except InvalidOperation:
        raise ValueError(f"not a number: value={value!r:.40}") from None
    if not exact.is_finite() or exact != exact.to_integral_value() or not 0 <= exact < 10**15:
        raise ValueError(f"number out of range or too fine: value={value!r:.40}")
    return int(exact)


def venue_ns(timestamp: str | int) -> int:
    """Return the venue's millisecond stamp as epoch nanoseconds; ValueError in any other unit."""
    text = str(timestamp)
    if not _MILLISECONDS.fullmatch(text) or int(text) >= MILLISECONDS_END:
        raise ValueError(f"not epoch milliseconds: timestamp={text[:40]!r}")
    return int(text) * 1_000_000


def venue_ns_lenient(timestamp: str | int | None) -> int:
    """Return a stamp in milliseconds or seconds as epoch nanoseconds, 0 where there is none."""
    text = "" if timestamp is None else str(timestamp)
    if text in ("", "0"):
        return 0
    if _SECONDS.fullmatch(text) and int(text) * 1_000 < MILLISECONDS_END:
        return int(text) * 1_000_000_000
    return venue_ns(text)


def token_number(text: str) -> int:
    """Return a token id as a number; ValueError unless it is a canonical uint256."""
    if not _DIGITS.fullmatch(text) or int(text) >= UINT256_END:
        raise ValueError(f"not a uint256: token_id={text[:80]!r}")
    return int(text)


def bytes32(text: str) -> bytes:
    """Return 0x and 64 hex digits as 32 bytes; 62 digits (a 31-byte id) are padded on the right."""
    if not _HEX32.fullmatch(text) and not _HEX31.fullmatch(text):
        raise ValueError(f"not 32 bytes of hex: text={text[:80]!r}")
    return bytes.fromhex(text[2:]).ljust(32, b"\0")


def order_hash_of(text: str) -> bytes:
    """Return an order id, 0x and 64 hex digits, as the hash it is; nothing is padded or guessed."""
    if not _HEX32.fullmatch(text):
        raise ValueError(f"not an order hash: text={text[:80]!r}")
    return bytes.fromhex(text[2:])


def whole_number(value: object) -> int:
    """Return a JSON integer, or its canonical decimal text, as a number from 0 on."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"not a whole number: value={value!r:.40}")
    return int(text)
