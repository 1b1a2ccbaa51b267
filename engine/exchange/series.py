"""The venue's series: the numbers under which its directory lists windows that follow each other.

A client finds the next window by its series alone, so the numbers must be the venue's own. Sources:
feeds.md §5 for BTC 15m (an answer of 2026-10-05); the others from public clients that ask by them.
"""

from __future__ import annotations

import zlib

_IDS = {
    "btc-up-or-down-5m": 10_684,
    "btc-up-or-down-15m": 10_192,
    "eth-up-or-down-15m": 10_191,
    "sol-up-or-down-15m": 10_423,
    "xrp-up-or-down-15m": 10_422,
}
_UNKNOWN_MIN = 900_000  # above every number the venue has given


def series_id(name: str) -> int:
    """Return the number of a series by its slug: 0 for "", one of ours for one we do not know."""
    if not name:
        return 0
    return _IDS.get(name) or _UNKNOWN_MIN + zlib.crc32(name.encode()) % 90_000
