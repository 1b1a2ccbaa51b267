"""A strategy's name in four bytes: what the order log remembers of it, for runs number them anew.

A strategy's number on the wire is its place among the enabled ones of a run's configuration,
counted from 1. Its key is the crc32c of its name, so an order of an earlier run finds its strategy
wherever that stands now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.bus.crc32c import crc32c

NUMBERS_MAX = 256  # the wire has one byte
NO_STRATEGIES = (0,) * NUMBERS_MAX


def keys_by_number(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the key of every number's strategy, 0 where there is none; NUMBERS_MAX of them."""
    names = [name for name, values in settings.items() if values.get("enabled", True)]
    keys = (0, *(crc32c(name.encode()) for name in names))
    return (keys + NO_STRATEGIES)[:NUMBERS_MAX]


def number_of(key: int, keys: Sequence[int]) -> int:
    """Return the number of the strategy with this key, 0 where none has it now."""
    return keys.index(key) if key and key in keys else 0
