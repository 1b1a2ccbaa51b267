"""Percentiles of latencies as HdrHistogram reports them, on integer nanoseconds.

A value is known to `digits` significant decimal digits: values share a bucket whose width doubles
with every power of two. A percentile is the highest value its bucket could hold, so it is never
flattering. Probabilities are fractions: 99.9 % is 999/1000, never 0.999.
Source: hdrhistogram.org; `min_samples` from the distribution-free interval of order statistics.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

DIGITS = 3
P50, P99, P999 = Fraction(1, 2), Fraction(99, 100), Fraction(999, 1000)
MAX = Fraction(1)

_POWERS = 1 << np.arange(63, dtype=np.int64)


def sub_bucket_count(digits: int = DIGITS) -> int:
    """Return how many buckets of width 1 there are: the power of two >= 2·10^digits."""
    return 1 << (2 * 10**digits - 1).bit_length()


def lowest_equivalent(values: np.ndarray, digits: int = DIGITS) -> np.ndarray:
    """Return the smallest value of each value's bucket. values: int64[n], >= 0."""
    values = np.asarray(values, np.int64)
    return values & -_widths(values, digits)


def highest_equivalent(values: np.ndarray, digits: int = DIGITS) -> np.ndarray:
    """Return the largest value of each value's bucket. values: int64[n], >= 0."""
    values = np.asarray(values, np.int64)
    widths = _widths(values, digits)
    return (values & -widths) + widths - 1


def percentile(values: np.ndarray, p: Fraction, digits: int = DIGITS) -> int:
    """Return the percentile `p` (0 < p <= 1) of values, int64[n], n >= 1, all >= 0.

    The rank is max(1, ceil(p·n)), exact. Raises ValueError for no values.
    """
    if len(values) == 0:
        raise ValueError("a percentile needs at least one value: n=0")
    rank = max(1, math.ceil(p * len(values)))
    # Buckets are ordered as their values are, so the value of that rank names the bucket.
    return int(highest_equivalent(np.partition(values, rank - 1)[rank - 1 : rank], digits)[0])


def buckets(values: np.ndarray, digits: int = DIGITS) -> np.ndarray:
    """Return int64[k, 3]: lowest value, highest value and count of each bucket that is not empty.

    Histograms merge by adding the counts of the same bucket; percentiles never do.
    """
    lowest, counts = np.unique(lowest_equivalent(values, digits), return_counts=True)
    return np.column_stack((lowest, highest_equivalent(lowest, digits), counts))


def min_samples(p: float, confidence: float = 0.95) -> int:
    """Return how many samples a percentile needs before its upper bound is finite."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(p))


def _widths(values: np.ndarray, digits: int) -> np.ndarray:
    bits = np.searchsorted(_POWERS, values, side="right")
    shift = np.maximum(0, bits - sub_bucket_count(digits).bit_length() + 1)
    return np.left_shift(np.int64(1), shift.astype(np.int64))
