"""Tick to trade: from the frame that caused an order to its last byte written, stage by stage.

```
 received ── polled ──── published ──── polled ─── signed ─── logged ─── sent
 (feed)      (core)      (core)         (signer)
    `ring `----' core `--------' ring `----' sign `---' log `---' send `--'
```
All stamps are of one clock. An order counts once: its first answer that saw the bytes leave. Orders
the core decided on its own timer were caused by no tick and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.backoffice import hdr
from engine.backoffice.orders import OrderFacts

# Name of a stage and the stamps of OrderFacts it lies between.
STAGES = (
    ("received_to_polled", "trigger_ns", "decided_ns"),
    ("polled_to_published", "decided_ns", "published_ns"),
    ("published_to_signer", "published_ns", "polled_ns"),
    ("signed", "polled_ns", "signed_ns"),
    ("logged", "signed_ns", "logged_ns"),
    ("sent", "logged_ns", "sent_ns"),
)
_STAMPS = ("trigger_ns", *(end for _, _, end in STAGES))
_PERCENTILES = (("p50", hdr.P50), ("p99", hdr.P99), ("p999", hdr.P999))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """n samples; a percentile the sample is too small for is None. Nanoseconds."""

    n: int
    p50: int | None
    p99: int | None
    p999: int | None

    def to_json(self) -> dict[str, Any]:
        """Return n and the percentiles in microseconds, to the nanosecond."""
        values = {name: getattr(self, name) for name, _ in _PERCENTILES}
        return {"n": self.n} | {k: None if v is None else v / 1000 for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class TickToTrade:
    """The whole and its stages. samples_ns: int64[n], one an order, in the order of the tape."""

    total: Percentiles
    stages: dict[str, Percentiles]
    samples_ns: np.ndarray = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the shape of `halftick demo --json`, microseconds."""
        stages = {name: stage.to_json() for name, stage in self.stages.items()}
        return self.total.to_json() | {"stages": stages}


def percentiles(samples_ns: np.ndarray) -> Percentiles:
    """Return the percentiles of int64[n] that n samples are enough for."""
    n = len(samples_ns)
    found = {
        name: hdr.percentile(samples_ns, p) if n >= hdr.min_samples(float(p)) else None
        for name, p in _PERCENTILES
    }
    return Percentiles(n, **found)


def tick_to_trade(orders: Iterable[OrderFacts]) -> TickToTrade:
    """Return how long the orders of a tape took."""
    total_ns, steps_ns = samples(orders)
    stages = {name: percentiles(steps_ns[:, i]) for i, (name, _, _) in enumerate(STAGES)}
    return TickToTrade(percentiles(total_ns), stages, total_ns)


def samples(orders: Iterable[OrderFacts]) -> tuple[np.ndarray, np.ndarray]:
    """Return int64[n] and int64[n, len(STAGES)]: each order as a whole, and its stages."""
    rows = [[getattr(order, stamp) for stamp in _STAMPS] for order in orders if order.sent_ns]
    stamps = np.array(rows, np.int64).reshape(-1, len(_STAMPS))
    # A stamp of 0 was never taken; a trigger at the batch's own time is the core's timer.
    stamps = stamps[(stamps > 0).all(axis=1) & (stamps[:, 0] < stamps[:, 1])]
    total_ns = np.maximum(stamps[:, -1] - stamps[:, 0], 0)
    return total_ns, np.maximum(np.diff(stamps, axis=1), 0)
