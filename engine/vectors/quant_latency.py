"""Latency statistics: histograms, ranks, repaired samples, and the gate's arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from engine.backoffice import hdr
from engine.backoffice.bootstrap import Ratio, SplitMix64, bootstrap_ratio
from engine.backoffice.ranks import quantile_interval, without_omission
from engine.vectors.case import Fact, Row
from engine.vectors.values import integer

_DIGITS_MAX = 5  # significant digits of a histogram, as HdrHistogram has it
_SAMPLES_MAX = 1_000_000  # of a row: more would only keep the checker busy
_DRAWS_MAX = 10_000_000


def _hdr_bucket(given: Row, want: Row) -> Iterable[Fact]:
    digits, values = _digits(given), np.array(given["values"], np.int64)
    yield "sub_bucket_count", want["sub_bucket_count"], hdr.sub_bucket_count(digits)
    lowest = hdr.lowest_equivalent(values, digits).tolist()
    yield "lowest_equivalent", want["lowest_equivalent"], lowest
    highest = hdr.highest_equivalent(values, digits).tolist()
    yield "highest_equivalent", want["highest_equivalent"], highest


def _hdr_percentiles(given: Row, want: Row) -> Iterable[Fact]:
    values = np.array(given["values"], np.int64)
    for percent, expected in zip(given["percentiles"], want["values"], strict=True):
        share = Fraction(str(percent)) / 100
        got = hdr.percentile(values, share, _digits(given))
        yield f"percentile {percent}", expected, got


def _digits(given: Row) -> int:
    digits: int = given["significant_digits"]
    if not 0 <= digits <= _DIGITS_MAX:
        raise ValueError(f"a histogram has 0…{_DIGITS_MAX} significant digits: digits={digits}")
    return digits


def _min_samples(given: Row, want: Row) -> Iterable[Fact]:
    yield "n", want["n"], hdr.min_samples(given["p"], given["conf"])


def _quantile_ci(given: Row, want: Row) -> Iterable[Fact]:
    n = given["n"]
    if not 0 < n <= _SAMPLES_MAX:
        raise ValueError(f"a sample has 1…{_SAMPLES_MAX} values: n={n}")
    got = quantile_interval(n, given["p"], given["conf"])
    yield "lower_rank", want["lower_rank"], got.lower_rank
    yield "upper_rank", want["upper_rank"], got.upper_rank
    yield "coverage", want["coverage"], got.coverage


def _coordinated_omission(given: Row, want: Row) -> Iterable[Fact]:
    interval = given["expected_interval"]
    if interval and sum(given["values"]) // interval > _SAMPLES_MAX:
        raise ValueError(f"more than {_SAMPLES_MAX} values would come of it: interval={interval}")
    got = np.array(without_omission(given["values"], interval), np.int64)
    yield "count", want["count"], len(got)
    yield "p50", want["p50"], hdr.percentile(got, hdr.P50)
    yield "p99", want["p99"], hdr.percentile(got, hdr.P99)
    yield "max", want["max"], hdr.percentile(got, hdr.MAX)


def _splitmix64(given: Row, want: Row) -> Iterable[Fact]:
    generator = SplitMix64(given["seed"])
    yield "count", len(want["hex"]), given["count"]
    for index, expected in enumerate(want["hex"]):
        yield f"hex[{index}]", expected, f"{generator.next():016x}"
    yield "next_below", want["next_below"], generator.below(integer(given["below"]))


def _bootstrap_ratio(given: Row, want: Row) -> Iterable[Fact]:
    base, candidate, repetitions = given["base"], given["cand"], given["reps"]
    if repetitions * (len(base) + len(candidate)) > _DRAWS_MAX:
        raise ValueError(f"a row draws at most {_DRAWS_MAX} times: reps={repetitions}")
    share = Fraction(str(given["quantile"]))
    got = bootstrap_ratio(base, candidate, p=share, repetitions=repetitions, seed=given["seed"])
    yield "ratio", want["ratio"], got.ratio
    yield "lo", want["lo"], got.lo
    yield "hi", want["hi"], got.hi
    yield "verdict", want["verdict"], got.verdict(given["limit"]).value


def _gate(given: Row, want: Row) -> Iterable[Fact]:
    got = Ratio(given["ratio"], given["lo"], given["hi"])
    yield "verdict", want["verdict"], got.verdict(given["limit"]).value


LATENCY: dict[str, Callable[[Any, Any], Iterable[Fact]]] = {
    "bootstrap_ratio": _bootstrap_ratio,
    "coordinated_omission": _coordinated_omission,
    "gate": _gate,
    "hdr_bucket": _hdr_bucket,
    "hdr_percentiles": _hdr_percentiles,
    "min_samples": _min_samples,
    "quantile_ci": _quantile_ci,
    "splitmix64": _splitmix64,
}
