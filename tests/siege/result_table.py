"""The results of a campaign as a table: rounds by kind, violations by invariant, worst figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from siege.round import Result

HALT_MS_MAX = 50


def summary(seed: str, results: list[Result]) -> dict[str, Any]:
    """Return everything the table shows, and every round, as JSON values."""
    violated = Counter(name for result in results for name, _ in result.violations)
    late_ms = sorted(
        max(result.late_ms, default=0) for result in results for _ in range(result.halts)
    )
    unknown = [result.unknown_s for result in results]
    return {
        "seed": seed,
        "rounds": len(results),
        "rounds_violated": sum(bool(result.violations) for result in results),
        "violations": dict(sorted(violated.items())),
        "orders": sum(result.orders for result in results),
        "fills": sum(result.fills for result in results),
        "runs": sum(result.starts for result in results),
        "halts": len(late_ms),
        "halt_to_last_order_ms_p99": late_ms[int(len(late_ms) * 0.99)] if late_ms else 0,
        "unknown_s_max": None if None in unknown else max((u or 0 for u in unknown), default=0),
        "seconds_max": max((result.seconds for result in results), default=0),
        "results": [asdict(result) for result in results],
    }


def show(found: dict[str, Any], results: list[Result]) -> None:
    """Print the table."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("kind")
    for title in ("rounds", "violated", "runs", "orders", "fills", "longest s"):
        table.add_column(title, justify="right")
    for kind in sorted({result.kind for result in results}):
        of = [result for result in results if result.kind == kind]
        table.add_row(
            kind,
            str(len(of)),
            str(sum(bool(result.violations) for result in of)),
            str(sum(result.starts for result in of)),
            str(sum(result.orders for result in of)),
            str(sum(result.fills for result in of)),
            f"{max(result.seconds for result in of):.1f}",
        )
    console.print(table)
    for name, count in found["violations"].items():
        console.print(f"[red]violated[/] {name}: {count}")
    for key in ("rounds", "rounds_violated", "orders", "fills", "halts"):
        console.print(f"{key}: {found[key]}")
    late_ms = found["halt_to_last_order_ms_p99"]
    console.print(f"halt to last order, p99: {late_ms} ms (at most {HALT_MS_MAX})")
    console.print(f"longest unknown after the venue was well: {found['unknown_s_max']} s")
