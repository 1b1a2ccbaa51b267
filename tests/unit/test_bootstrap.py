"""The gate's arithmetic: draws that repeat, intervals that hold, verdicts that mean something."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backoffice.bootstrap import (
    NOISE_MAX,
    Ratio,
    SplitMix64,
    Verdict,
    bootstrap_ratio,
    levelled,
    noise,
)
from engine.backoffice.ranks import nearest_rank, quantile_interval, without_omission

samples = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=40)


def drawn(seed: int, scale: float = 1.0, n: int = 20) -> list[float]:
    """Round medians of something that takes about a microsecond, give or take three percent."""
    chance = random.Random(seed)
    return [scale * 1_000 * chance.gauss(1, 0.03) for _ in range(n)]


@given(samples, samples, st.integers(0, 2**64 - 1))
def test_the_interval_holds_possible_ratios_in_order(
    base: list[float], candidate: list[float], seed: int
) -> None:
    """Low is not above high, and neither is beyond what the samples could give."""
    found = bootstrap_ratio(base, candidate, repetitions=50, seed=seed)
    least, most = min(candidate) / max(base), max(candidate) / min(base)
    assert least <= found.lo <= found.hi <= most
    assert least <= found.ratio <= most


def test_the_same_seed_gives_the_same_verdict() -> None:
    """A verdict can be repeated from its numbers, and another seed draws otherwise."""
    base, candidate = drawn(1), drawn(2)
    one, same, other = (bootstrap_ratio(base, candidate, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_a_quarter_slower_fails_and_the_same_passes() -> None:
    """Twenty rounds with three percent of noise are enough to tell 1.25 from 1.00 every time."""
    for seed in range(20):
        base = drawn(seed)
        same = bootstrap_ratio(base, drawn(seed + 100), seed=seed)
        slower = bootstrap_ratio(base, drawn(seed + 200, 1.25), seed=seed)
        assert same.verdict(1.10) is Verdict.PASS
        assert slower.verdict(1.10) is Verdict.FAIL


def test_what_could_be_either_is_inconclusive() -> None:
    """An interval on both sides of the limit decides nothing; touching it from below passes."""
    assert Ratio(1.1, 1.05, 1.15).verdict(1.10) is Verdict.INCONCLUSIVE
    assert Ratio(1.1, 1.05, 1.10).verdict(1.10) is Verdict.PASS
    assert Ratio(1.2, 1.10, 1.30).verdict(1.10) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("base", "candidate", "repetitions"), [([], [1.0], 1), ([1.0], [], 1), ([1.0], [1.0], 0)]
)
def test_nothing_has_no_ratio(base: list[float], candidate: list[float], repetitions: int) -> None:
    """An empty sample or no draws is an error that says so."""
    with pytest.raises(ValueError, match=f"base={len(base)}"):
        bootstrap_ratio(base, candidate, repetitions=repetitions, seed=1)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(1, 1e6)), min_size=1), st.floats(0.1, 10))
def test_a_machine_that_changes_its_speed_changes_no_ratio(
    pairs: list[tuple[float, float]], speed: float
) -> None:
    """Levelled pairs keep their ratio, whatever speed the machine had while they were measured."""
    base, candidate = zip(*pairs, strict=True)
    plain = levelled(base, candidate)
    odd = [value * (speed if i % 2 else 1) for i, value in enumerate(base)]
    also = [value * (speed if i % 2 else 1) for i, value in enumerate(candidate)]
    assert levelled(odd, also) == (pytest.approx(plain[0]), pytest.approx(plain[1]))
    for (b, c), level_b, level_c in zip(pairs, *plain, strict=True):
        assert level_c / level_b == pytest.approx(c / b)


def test_noise_is_the_usual_distance_from_the_median() -> None:
    """One round in which the machine was busy is not noise; a machine that never rests is."""
    assert noise([100, 101, 99, 100, 400]) < NOISE_MAX
    assert noise([100, 120, 80, 130, 70]) > NOISE_MAX


def test_numbers_below_a_bound_reach_all_of_them() -> None:
    """Every index can be drawn, and none beyond the last."""
    generator = SplitMix64(7)
    assert {generator.below(5) for _ in range(200)} == {0, 1, 2, 3, 4}


@given(st.lists(st.integers(0, 1_000), min_size=1), st.fractions(Fraction(1, 1_000), 1))
def test_the_nearest_rank_has_its_share_below_it(values: list[int], p: Fraction) -> None:
    """At least the share p is not above it, and less than p is below it."""
    ordered = sorted(values)
    found = nearest_rank(ordered, p)
    assert sum(v <= found for v in ordered) >= p * len(ordered)
    assert sum(v < found for v in ordered) < p * len(ordered)


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.floats(0.5, 0.99))
def test_the_interval_of_a_quantile_covers_what_it_promises(
    n: int, p: float, confidence: float
) -> None:
    """The ranks are in order, inside the sample where they exist, and cover enough."""
    found = quantile_interval(n, p, confidence)
    lower, upper = found.lower_rank or 0, found.upper_rank or n + 1
    assert 0 <= lower < upper <= n + 1
    assert found.coverage >= confidence - 1e-9


@pytest.mark.parametrize(("n", "p", "confidence"), [(0, 0.5, 0.9), (5, 1.0, 0.9), (5, 0.5, 1.0)])
def test_impossible_intervals_are_refused(n: int, p: float, confidence: float) -> None:
    """No samples, a certain quantile or full confidence have no interval."""
    with pytest.raises(ValueError, match="no interval exists"):
        quantile_interval(n, p, confidence)


@given(st.lists(st.integers(1, 5_000)), st.integers(1, 500))
def test_repair_adds_what_was_due_while_waiting(values: list[int], interval: int) -> None:
    """Each sample keeps its place first and brings floor(v / interval) - 1 others, none shorter."""
    repaired = without_omission(values, interval)
    assert len(repaired) == sum(max(1, value // interval) for value in values)
    added = sorted(repaired)
    for value in values:
        added.remove(value)
    assert all(value >= interval for value in added)


def test_a_negative_interval_is_refused() -> None:
    """Requests do not come before the one that precedes them."""
    with pytest.raises(ValueError, match="interval=-1"):
        without_omission([1], -1)
