"""How much waited for the core and for the signer, exactly, from the stamps on a tape.

A watcher that looks now and then misses the moment; the tape has every moment. What the core found
when it polled is the size of the batch; an order waits for the signer from when it was published
until it was polled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.backoffice.hdr import P50, P99, percentile
from engine.backoffice.orders import OrderFacts
from engine.wire.codes import Flag, Kind
from engine.wire.records import BODY_WORD


@dataclass(frozen=True, slots=True)
class Depths:
    """Records the core found in one poll, and orders that waited for the signer at once."""

    batches: int
    batch_p50: int
    batch_p99: int
    batch_max: int
    orders_max: int


def batch_sizes(rows: np.ndarray) -> np.ndarray:
    """Return int64[batches]: how many records each batch that begins in rows[n,16] has."""
    heads = rows[:, 0]
    is_batch = ((heads & 0xFFFF) == Kind.TIMER) & ((heads >> 24) & Flag.BATCH != 0)
    return rows[is_batch, BODY_WORD]


def depths(sizes: np.ndarray, orders: Iterable[OrderFacts]) -> Depths:
    """Return the depths of a tape from its batches' sizes, int64[n], and its orders."""
    if not len(sizes):
        return Depths(0, 0, 0, 0, waiting_max(orders))
    p50, p99 = (percentile(sizes, p) for p in (P50, P99))
    return Depths(len(sizes), p50, p99, int(sizes.max()), waiting_max(orders))


def waiting_max(orders: Iterable[OrderFacts]) -> int:
    """Return how many orders at most were published and not yet polled by the signer."""
    pairs = [(o.published_ns, o.polled_ns) for o in orders if 0 < o.published_ns < o.polled_ns]
    if not pairs:
        return 0
    came, went = (np.sort(np.array(side, np.int64)) for side in zip(*pairs, strict=True))
    gone = np.searchsorted(went, came, side="right")
    return int((np.arange(1, len(came) + 1) - gone).max())
