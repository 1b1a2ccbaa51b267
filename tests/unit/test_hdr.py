"""Percentiles follow HdrHistogram and the golden vectors to the nanosecond."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backoffice import hdr


def cases(shared_dir: Path, fn: str) -> list[dict[str, Any]]:
    """The golden cases of one function."""
    vectors = json.loads((shared_dir / "vectors/quant_latency.json").read_text())
    found = [case for case in vectors["cases"] if case["fn"] == fn]
    assert found, fn
    return found


def test_buckets_equal_the_golden_ones(shared_dir: Path):
    """Every value falls into the bucket HdrHistogram gives it."""
    for case in cases(shared_dir, "hdr_bucket"):
        digits, values = case["in"]["significant_digits"], np.array(case["in"]["values"], np.int64)
        assert hdr.sub_bucket_count(digits) == case["out"]["sub_bucket_count"], case["id"]
        lows, highs = hdr.lowest_equivalent(values, digits), hdr.highest_equivalent(values, digits)
        assert lows.tolist() == case["out"]["lowest_equivalent"], case["id"]
        assert highs.tolist() == case["out"]["highest_equivalent"], case["id"]


def test_percentiles_equal_the_golden_ones(shared_dir: Path):
    """Ranks are exact and the bucket's highest value is reported."""
    for case in cases(shared_dir, "hdr_percentiles"):
        values = np.array(case["in"]["values"], np.int64)
        digits = case["in"]["significant_digits"]
        for percent, expected in zip(case["in"]["percentiles"], case["out"]["values"], strict=True):
            p = Fraction(str(percent)) / 100
            assert hdr.percentile(values, p, digits) == expected, (case["id"], percent)


def test_sample_minimums_equal_the_golden_ones(shared_dir: Path):
    """A percentile is printed only where its upper bound is finite."""
    for case in cases(shared_dir, "min_samples"):
        got = hdr.min_samples(case["in"]["p"], case["in"]["conf"])
        assert got == case["out"]["n"], case["id"]


def test_no_percentile_of_nothing():
    """Asking for a percentile of no samples is an error, not a zero."""
    with pytest.raises(ValueError, match="n=0"):
        hdr.percentile(np.zeros(0, np.int64), hdr.P50)


def test_the_largest_values_have_a_bucket():
    """Widths are right up to the last power of two of int64."""
    values = np.array([0, 1, 2**62], np.int64)
    assert hdr.lowest_equivalent(values).tolist() == values.tolist()
