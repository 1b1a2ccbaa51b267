"""p50 and p99 of a benchmark, per unit of work, beside pytest-benchmark's own columns."""

from __future__ import annotations

import math

from pytest_benchmark.fixture import BenchmarkFixture

from engine.backoffice.hdr import min_samples


def note_percentiles(benchmark: BenchmarkFixture, *, units: int) -> None:
    """Put `p50_us` and `p99_us` of one unit into the benchmark's extra info.

    units: how much work one call of the benchmarked function does. Does nothing when benchmarks
    are disabled: then the call has only shown that it still works.
    """
    if benchmark.disabled or benchmark.stats is None:
        return
    data = sorted(benchmark.stats.stats.data)
    for name, quantile in (("p50_us", 0.50), ("p99_us", 0.99)):
        if len(data) < min_samples(quantile):
            continue  # its upper bound would be anything
        rank = max(1, math.ceil(quantile * len(data)))
        benchmark.extra_info[name] = round(data[rank - 1] / units * 1e6, 4)
    benchmark.extra_info["units"] = units
