"""Order statistics: what may be said of a quantile without knowing a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class RankInterval:
    """Ranks, from 1, of the samples a quantile lies between; None = the sample cannot say.

    coverage: how likely the interval holds the quantile, at least the confidence asked for.
    """

    lower_rank: int | None
    upper_rank: int | None
    coverage: float


def nearest_rank(ordered: Sequence[float], p: Fraction) -> float:
    """Return the sample of rank max(1, ceil(p·n)) of an ascending sequence; n >= 1, 0 < p <= 1."""
    return ordered[max(1, math.ceil(p * len(ordered))) - 1]


def quantile_interval(n: int, p: float, confidence: float = 0.95) -> RankInterval:
    """Return the distribution-free interval of the quantile p of n samples.

    The number of samples below the quantile is binomial, whatever they are samples of. Samples of
    one burst depend on each other: take one for each block of a second or more.
    Source: Hahn and Meeker, Statistical Intervals, section 5.2.
    """
    if n < 1 or not 0 < p < 1 or not 0 < confidence < 1:
        raise ValueError(f"no interval exists: n={n}, p={p}, confidence={confidence}")
    cumulative = list(_cumulative_binomial(n, p))
    tail = (1 - confidence) / 2
    lower = _first_at_least(cumulative, tail)
    upper = _first_at_least(cumulative, 1 - tail) + 1
    below = cumulative[lower - 1] if lower else 0.0
    return RankInterval(
        lower if lower else None,
        upper if upper <= n else None,
        cumulative[upper - 1] - below,
    )


def without_omission(samples: Sequence[int], interval: int) -> list[int]:
    """Return samples of a closed loop with those it omitted while it waited for a slow one.

    Beside v come v - interval, v - 2·interval, … while at least interval: what requests would have
    seen that were due meanwhile. interval: between requests, same unit; 0 changes nothing.
    Source: Gil Tene's repair of coordinated omission, as HdrHistogram has it.
    """
    if interval < 0:
        raise ValueError(f"an interval is not negative: interval={interval}")
    if interval == 0:
        return list(samples)
    # v - k·interval >= interval, and v itself however small it is.
    return [due for v in samples for due in (v, *range(v - interval, interval - 1, -interval))]


def _cumulative_binomial(n: int, p: float) -> Iterator[float]:
    """Yield P(X <= k) for k = 0…n."""
    log_p, log_q = math.log(p), math.log1p(-p)
    total = 0.0
    for k in range(n + 1):
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        total += math.exp(ways + k * log_p + (n - k) * log_q)
        yield min(total, 1.0)


def _first_at_least(cumulative: Sequence[float], probability: float) -> int:
    """Return the quantile of a discrete distribution; its last value where rounding hides it."""
    found = (k for k, reached in enumerate(cumulative) if reached >= probability)
    return next(found, len(cumulative) - 1)
