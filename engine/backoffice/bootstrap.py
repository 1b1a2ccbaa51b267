"""Whether a change made something slower: a seeded bootstrap of a ratio, and the verdict on it.

Two samples are redrawn many times with replacement; the ratios of their quantiles tell how far the
ratio seen could have been chance. The draws are of a fixed generator, so a verdict can be repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from engine.backoffice.hdr import P50
from engine.backoffice.ranks import nearest_rank

REPETITIONS = 1_000
NOISE_MAX = 0.05  # median absolute deviation of the base, relative to its median

_LOW, _HIGH = Fraction(25, 1_000), Fraction(975, 1_000)
_MASK = (1 << 64) - 1


class Verdict(Enum):
    """What a comparison says. INCONCLUSIVE: measure more; after that, report and do not fail."""

    PASS = "PASS"  # noqa: S105  not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Candidate over base, and the interval that holds it 95 times in 100."""

    ratio: float
    lo: float
    hi: float

    def verdict(self, limit: float) -> Verdict:
        """Return whether the ratio is surely above the limit, surely not above it, or neither."""
        if self.lo > limit:
            return Verdict.FAIL
        return Verdict.PASS if self.hi <= limit else Verdict.INCONCLUSIVE


class SplitMix64:
    """The generator splitmix64: 64 bits of state, the same numbers everywhere.

    Source: Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def next(self) -> int:
        """Return the next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """Return a number in 0…n-1."""
        return (self.next() * n) >> 64


def bootstrap_ratio(
    base: Sequence[float],
    candidate: Sequence[float],
    *,
    p: Fraction = P50,
    repetitions: int = REPETITIONS,
    seed: int,
) -> Ratio:
    """Return the ratio of the quantiles p of two samples, all values > 0, and its 95 % interval.

    Raises ValueError for an empty sample or no repetitions.
    """
    if not base or not candidate or repetitions < 1:
        raise ValueError(
            "a ratio needs samples and repetitions: "
            f"base={len(base)}, candidate={len(candidate)}, repetitions={repetitions}"
        )
    chance = SplitMix64(seed)
    ratios = []
    for _ in range(repetitions):
        below = _quantile([base[chance.below(len(base))] for _ in base], p)
        above = _quantile([candidate[chance.below(len(candidate))] for _ in candidate], p)
        ratios.append(above / below)
    ratios.sort()
    return Ratio(
        _quantile(candidate, p) / _quantile(base, p),
        nearest_rank(ratios, _LOW),
        nearest_rank(ratios, _HIGH),
    )


def levelled(base: Sequence[float], candidate: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return both samples with what the two of a pair have in common taken out.

    The pairs were measured at the same moment: a machine that changed its speed between two pairs
    changed both of a pair alike, and that says nothing of their ratio.
    """
    means = [math.sqrt(b * c) for b, c in zip(base, candidate, strict=True)]
    return (
        [b / mean for b, mean in zip(base, means, strict=True)],
        [c / mean for c, mean in zip(candidate, means, strict=True)],
    )


def noise(sample: Sequence[float]) -> float:
    """Return the median absolute deviation relative to the median; above NOISE_MAX, rest."""
    middle = statistics.median(sample)
    return statistics.median(abs(value - middle) for value in sample) / middle


def _quantile(sample: Sequence[float], p: Fraction) -> float:
    return nearest_rank(sorted(sample), p)
