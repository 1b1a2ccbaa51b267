"""Latency statistics against every golden vector of the quantitative reference."""

from __future__ import annotations

import json
from pathlib import Path

from engine.vectors import quant
from engine.vectors.check import check_file
from engine.vectors.quant_latency import LATENCY


def test_every_latency_vector_is_computed_and_equal(shared_dir: Path) -> None:
    """Buckets, percentiles, intervals, draws, ratios and verdicts: all rows, none left out."""
    path = shared_dir / "vectors/quant_latency.json"
    result = check_file(path, quant.cases)
    assert result.first_difference is None
    rows = json.loads(path.read_text())["cases"]
    assert (result.equal, result.not_computed) == (len(rows), 0)
    assert {row["fn"] for row in rows} <= LATENCY.keys()
