"""The histogram of each stage of a tape's orders, and what taking the stamps cost them.

```
 trigger ─ decided ─ published ─ polled ─ signed ─ logged ─ sent ─ answered     one clock read each
```
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.backoffice import hdr
from engine.backoffice.latency import STAGES, Percentiles, percentiles, samples
from engine.backoffice.orders import OrderFacts
from engine.host.clock import Clock

WHOLE = "whole"
STAMPS_AN_ORDER = len(STAGES) + 2  # the ends of its stages, the frame's receipt, and the answer
_READS, _ROUNDS = 2_000, 25


@dataclass(frozen=True, slots=True)
class Histogram:
    """The latencies of one stage. samples_ns: int64[n]."""

    name: str
    percentiles: Percentiles
    samples_ns: np.ndarray = field(repr=False, compare=False)

    @property
    def max_ns(self) -> int:
        """The longest, 0 where there is none."""
        return int(self.samples_ns.max(initial=0))

    def octaves(self) -> dict[int, int]:
        """Return how many samples lie from each power of two nanoseconds to the next.

        What is below a microsecond counts with the first above it.
        """
        exponents = np.frexp(np.maximum(self.samples_ns, 1_024).astype(np.float64))[1] - 1
        found, counts = np.unique(exponents, return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return percentiles and the maximum in microseconds, and the buckets in nanoseconds."""
        return self.percentiles.to_json() | {
            "max": self.max_ns / 1_000,
            "buckets_ns": hdr.buckets(self.samples_ns).tolist(),
        }


def histograms(orders: Iterable[OrderFacts]) -> list[Histogram]:
    """Return the histogram of each stage in order, and of the WHOLE."""
    total_ns, steps_ns = samples(orders)
    parts = [(name, steps_ns[:, i]) for i, (name, _, _) in enumerate(STAGES)]
    return [Histogram(name, percentiles(ns), ns) for name, ns in (*parts, (WHOLE, total_ns))]


def stamp_ns() -> float:
    """Return what one stamp costs on this machine: a clock read as every process does it."""
    now_ns = Clock(0).now_ns
    spent = []
    for _ in range(_ROUNDS):
        began_ns = time.perf_counter_ns()
        for _ in range(_READS):
            now_ns()
        spent.append((time.perf_counter_ns() - began_ns) / _READS)
    return sorted(spent)[_ROUNDS // 2]
