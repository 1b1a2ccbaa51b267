"""`halftick bench …`: measure this machine with the real engine."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engine.bench.circumstances import circumstances
from engine.bench.plan import Plan, Signing
from engine.bench.run import measure
from engine.cli.runs import JsonOption
from engine.host.errors import RefuseError

PROFILES = ("shared", "pipeline", "fused")


def bench_app() -> typer.Typer:
    """Return the commands of `halftick bench`."""
    app = typer.Typer(help="Measure this machine with the real engine.", no_args_is_help=True)
    app.callback()(_group)
    app.command()(tick_to_trade)
    return app


def _group() -> None:
    """Measure this machine with the real engine."""


def tick_to_trade(
    profile: Annotated[str, typer.Option(help="shared, pipeline or fused.")] = "fused",
    rate: Annotated[int, typer.Option(min=1, max=10_000, help="Ticks a second.")] = 1_000,
    ticks: Annotated[int, typer.Option(min=2, help="Ticks counted, over all rounds.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, in turn with the floor's.")] = 5,
    warmup: Annotated[int, typer.Option(min=0, help="Uncounted ticks before each.")] = 200,
    armed: Annotated[
        bool, typer.Option("--armed", help="Arm every other 64 ticks: both ways in one run.")
    ] = False,
    signing: Annotated[
        Signing, typer.Option(help="The rung of the ladder; presigned orders are all armed.")
    ] = Signing.FULL,
    as_json: JsonOption = False,
) -> None:
    """Measure from a frame on the market socket to the order's last byte at the venue.

    Beside it the floor: the same sockets and loop with a request made in advance, no engine.
    """
    if profile not in PROFILES:
        raise RefuseError(f"unknown profile: profile={profile}, profiles={','.join(PROFILES)}")
    plan = Plan(profile, rate, ticks, rounds, warmup, armed, signing)
    console = Console(stderr=True, quiet=as_json)
    with (
        tempfile.TemporaryDirectory(prefix="halftick-bench-") as directory,
        console.status("") as status,
    ):
        result = measure(plan, Path(directory), status.update).to_json()
        if as_json:
            result |= circumstances(Path(directory))
    if as_json:
        print(json.dumps(result))
    else:
        _show(result)
    for line in left_out(result):
        print(f"halftick bench: {line}", file=sys.stderr)
    if result["unanswered"] == result["ticks"]:
        raise typer.Exit(1)


def left_out(result: dict[str, Any]) -> list[str]:
    """Return a line for each client that has not answered all of its ticks, of what `--json`
    prints: those are in no figure, which is the better for it."""
    counts = {"": result["unanswered"], " of the floor": result["floor_unanswered"]}
    return [
        f"ticks without an order{whose}, in no figure: {count} of {result['ticks']}"
        for whose, count in counts.items()
        if count
    ]


def _show(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    title = (
        f"tick to trade, {result['profile']}, {result['signing']}, {result['rate']}/s, "
        f"{result['ticks']} ticks"
    )
    table = Table("microseconds", title=title, title_justify="left", box=None, header_style="dim")
    for name in ("p50", "p99", "p99.9"):
        table.add_column(name, justify="right")
    keys = ("p50", "p99", "p999")
    rows = {"engine": "", "floor": "floor_"}
    for name, prefix in rows.items():
        table.add_row(f"[bold]{name}[/]", *(_text(result[f"{prefix}{key}_us"]) for key in keys))
    _add_stages(table, {"received to logged": result["in_process"]})
    ways = [name for name in ("armed", "unarmed") if name in result]
    for way in ways:
        table.add_row(f"[bold]{way}[/]", *(_text(result[way][f"{key}_us"]) for key in keys))
        _add_stages(table, result[way]["stages"])
    if not ways:
        _add_stages(table, result["stages"])
    console.print(table)
    console.print(f"garbage collections while measuring: {result['gc_collections']}")


def _add_stages(table: Table, stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        numbers = (_text(stage[key]) for key in ("p50", "p99", "p999"))
        table.add_row(f"[dim]  {name}[/]", *numbers)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
