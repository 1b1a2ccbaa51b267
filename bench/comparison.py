"""Comparing two things that were measured in turn: rounds until a verdict, or three tries."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.backoffice.bootstrap import (
    NOISE_MAX,
    Ratio,
    Verdict,
    bootstrap_ratio,
    levelled,
    noise,
)

SEED = 20_261_121
TRIES = 3
ROUNDS = 10
ROUNDS_MIN = 5  # fewer, where time was up, conclude nothing


@dataclass(slots=True)
class Comparison:
    """One thing measured on both sides. base, candidate: a median a round, the same unit.

    limit: how much of the base the candidate may cost.  noise_max: above it nothing is concluded;
    None where the two sides are so different that noise cannot hide on which side of the limit.
    """

    name: str
    limit: float
    noise_max: float | None = NOISE_MAX
    base: list[float] = field(default_factory=list)
    candidate: list[float] = field(default_factory=list)

    def add(self, base: float, candidate: float) -> None:
        """Take the medians of one round."""
        self.base.append(base)
        self.candidate.append(candidate)

    @property
    def ratio(self) -> Ratio:
        """Candidate over base, without the speed the machine happened to have in each round."""
        return bootstrap_ratio(*levelled(self.base, self.candidate), seed=SEED)

    @property
    def noise(self) -> float:
        """How far a round usually is from the median round."""
        return noise(levelled(self.base, self.candidate)[0])

    @property
    def verdict(self) -> Verdict:
        """PASS or FAIL where the rounds say so; nothing is concluded from a restless machine."""
        if len(self.base) < ROUNDS_MIN:
            return Verdict.INCONCLUSIVE
        if self.noise_max is not None and self.noise > self.noise_max:
            return Verdict.INCONCLUSIVE
        return self.ratio.verdict(self.limit)

    def line(self) -> str:
        """Return the comparison as one line for people."""
        if not self.base:
            return f"{self.verdict.value:12} {self.name:32} time was up before the first round"
        found = self.ratio
        return (
            f"{self.verdict.value:12} {self.name:32} {found.ratio:8.3f}x"
            f"  [{found.lo:.3f}, {found.hi:.3f}]  limit {self.limit:.3f}x"
            f"  {len(self.base)} rounds, noise {self.noise:.1%}"
        )

    def to_json(self) -> dict[str, object]:
        """Return everything the verdict was made of."""
        found = self.ratio if self.base else None
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "ratio": found and found.ratio,
            "lo": found and found.lo,
            "hi": found and found.hi,
            "limit": self.limit,
            "noise": self.noise if self.base else None,
            "base": self.base,
            "candidate": self.candidate,
        }


def decide(
    comparisons: Sequence[Comparison],
    play: Callable[[Sequence[Comparison]], None],
    rounds: int = ROUNDS,
    until_s: float = math.inf,
) -> None:
    """Play rounds until every comparison has a verdict or there were three tries.

    play: measures one round of these comparisons and adds it. Each try doubles the rounds, those
    already played included, and plays only what is not decided yet. until_s: monotonic; no round
    begins after it.
    """
    wanted = rounds
    for _ in range(TRIES):
        undecided = [c for c in comparisons if len(c.base) < rounds or not is_decided(c)]
        while undecided and len(undecided[0].base) < wanted and time.monotonic() < until_s:
            play(undecided)
        wanted *= 2


def is_decided(comparison: Comparison) -> bool:
    """Tell whether more rounds could not change anything."""
    return comparison.verdict is not Verdict.INCONCLUSIVE


def any_failed(comparisons: Iterable[Comparison]) -> bool:
    """Tell whether something is surely beyond its limit; what is not sure does not fail."""
    return any(comparison.verdict is Verdict.FAIL for comparison in comparisons)
