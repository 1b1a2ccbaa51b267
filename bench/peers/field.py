"""A field of peers: everyone plays a round in turn, and again; then a table and a JSON file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.backoffice.hdr import P50, P99, min_samples, percentile

OUT = Path(__file__).resolve().parents[2] / ".benchmarks"
ROUNDS = 7

Row = dict[str, float | None]  # microseconds and counts by column; None = too few samples
Round = Callable[[], Sequence[int]]  # plays one round; nanoseconds, a value a unit of work


def play(field: Mapping[str, Round], rounds: int = ROUNDS) -> dict[str, np.ndarray]:
    """Return the samples of everyone, int64[n], the first round of each thrown away."""
    for warm_up in field.values():
        warm_up()
    samples: dict[str, list[int]] = {name: [] for name in field}
    for _ in range(rounds):
        for name, one in field.items():
            samples[name] += one()
    return {name: np.array(each, np.int64) for name, each in samples.items()}


def tell(title: str, samples: Mapping[str, np.ndarray], **also: Mapping[str, float]) -> None:
    """Publish the percentiles of samples.

    also: more columns, by name of the column and then of the row.
    """
    rows = {name: _row(each) for name, each in samples.items()}
    for column, cells in also.items():
        for name, value in cells.items():
            rows[name][column] = value
    publish(title, rows, ("p50_us", "p99_us", *also))


def publish(title: str, rows: Mapping[str, Row], columns: Sequence[str]) -> None:
    """Print rows as a table, ratios to the first by p50, and write `.benchmarks/peers-TITLE.json`.

    rows: by name, each with `p50_us` and more.
    """
    first = next(iter(rows.values()))["p50_us"] or 1.0
    print(f"| {title} | {' | '.join(c.replace('_', ' ') for c in columns)} | ratio |")
    print(f"|---|{'---:|' * (len(columns) + 1)}")
    for name, row in rows.items():
        cells = [_text(row.get(column)) for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {(row['p50_us'] or 0) / first:.2f}x |")
    sys.stdout.flush()
    OUT.mkdir(exist_ok=True)
    path = OUT / f"peers-{title.replace(' ', '-')}.json"
    path.write_text(json.dumps({"title": title, "rows": rows}, indent=1))


def _row(samples: np.ndarray) -> Row:
    is_enough = len(samples) >= min_samples(float(P99))
    p99 = percentile(samples, P99) / 1_000 if is_enough else None
    return {"n": len(samples), "p50_us": percentile(samples, P50) / 1_000, "p99_us": p99}


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
