"""The tables of `bench/README.md`: what is shown of a run, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from table import BEGIN, END, README, Section, numbers, percentiles_us, table

SIGN = Section("Sign", "test_sign", "How.", "test_curve_floor", "the curve")


def bench(name: str, seconds: list[float], **extra: Any) -> dict[str, Any]:
    """Return a bench of `test_sign.py` as pytest-benchmark writes it."""
    return {
        "name": name,
        "fullname": f"bench/test_sign.py::{name}",
        "group": None,
        "extra_info": extra,
        "stats": {"data": seconds},
    }


def test_a_percentile_needs_samples() -> None:
    """p99 appears from 368 rounds on; below, its confidence interval has no upper end."""
    assert percentiles_us(bench("test_a", [1e-6] * 367)) == (1.0, None)
    assert percentiles_us(bench("test_a", [1e-6] * 368)) == (1.0, 1.0)


def test_a_call_that_does_many_units_is_divided() -> None:
    """The table is of single units of work, whatever one call does."""
    assert percentiles_us(bench("test_a", [1e-3] * 10, units=500))[0] == pytest.approx(2, rel=1e-3)


def test_what_a_bench_measured_itself_is_shown() -> None:
    """Percentiles of single units of work win over those of whole rounds."""
    assert percentiles_us(bench("test_a", [1.0], p50_us=2.5, p99_us=4.0)) == (2.5, 4.0)


def test_rows_are_compared_with_the_baseline() -> None:
    """The baseline is 1.00x and everything else a multiple of it."""
    benches = [bench("test_ours", [2e-6]), bench("test_curve_floor", [1e-6] * 10, records=1_000)]
    lines = table(SIGN, benches)
    assert lines[-3:] == [
        "| ours | 2 | - | 2.00x |  |",
        "| curve floor | 1 | - | 1.00x | records 1,000 |",
        "",
    ]


def test_a_comparison_is_a_row_for_each_contender() -> None:
    """What a bench measured of others stands under their names; its own time means nothing."""
    noted = {"p50_us": 1234.5, "p99_us": None, "stock_over_this": 17.111}
    lines = table(SIGN, [bench("test_field", [0.3], full=noted), bench("test_way", [0.3], times=9)])
    assert lines[-3:] == [
        "| field: full | 1,234 | - |  | stock over this 17.1 |",
        "| way |  |  |  | times 9 |",
        "",
    ]


def test_a_table_says_how_and_over_what() -> None:
    """The method stands above it, and the ratio's head names what is 1.00x."""
    lines = table(SIGN, [bench("test_curve_floor", [1e-6])])
    assert lines[2] == "How."
    assert "p50 over the curve" in lines[4]


def test_a_run_without_benches_makes_no_tables() -> None:
    """Only where it was made is left."""
    machine = {"cpu": {}, "machine": "x86_64", "release": "6", "python_version": "3.11"}
    run = {"datetime": "2026-01-01T00:00:00", "machine_info": machine, "benchmarks": []}
    assert len(numbers(run)) == 3


def test_the_readme_has_a_place_for_the_numbers() -> None:
    """They are written between two marks and nowhere else."""
    text = README.read_text()
    assert text.index(BEGIN) < text.index(END)
