"""`halftick top`: a run's counters and rings as they move, read from outside."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.cli.runs import JsonOption, NameOption, chosen_run
from engine.host.duty import State
from engine.host.errors import HostError
from engine.host.rates import Counter, Look, ProcessRates, Rates, look, rates
from engine.host.runfile import RunFile

_BAR = 12  # characters of a full queue


def top(
    name: NameOption = "",
    once: Annotated[bool, typer.Option(help="Look twice, an interval apart, and end.")] = False,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")] = 1.0,
    every: Annotated[bool, typer.Option("--all", help="Show counters that are 0, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every process's counters and every ring with what they change by in a second.

    Nothing is asked of the processes, so it works when one is stuck. Until Ctrl-C or the run's
    end; with --json an object a line. Exit code 0, or 1 when there is no such run.
    """
    directory = chosen_run(name)
    run = RunFile.load(directory)
    console = Console(highlight=False)
    before = look(run)
    if once:
        time.sleep(interval)
        _show(rates(before, look(run)), console, as_json=as_json, every=every)
        return
    try:
        _follow(run, before, console, interval, as_json=as_json, every=every)
    except KeyboardInterrupt:
        return
    if not as_json:
        console.print(f"{directory.name} is over", style="dim")


def _follow(
    run: RunFile, before: Look, console: Console, interval: float, *, as_json: bool, every: bool
) -> None:
    """Look again and again until the run's directory is gone."""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while _is_there(run):
            time.sleep(interval)
            after = look(run)
            found, before = rates(before, after), after
            if as_json or not console.is_terminal:
                _show(found, console, as_json=as_json, every=every)
            else:
                live.update(_picture(found, every=every), refresh=True)


def _is_there(run: RunFile) -> bool:
    try:
        return RunFile.load(run.runtime_dir).run_id == run.run_id
    except HostError:
        return False


def _show(found: Rates, console: Console, *, as_json: bool, every: bool) -> None:
    if as_json:
        print(msgspec.json.encode(found).decode(), flush=True)
    else:
        console.print(_picture(found, every=every))


def _picture(found: Rates, *, every: bool) -> RenderableType:
    """Return processes, rings, and a column of counters for each process."""
    own = [
        _own_table(name, process, every=every)
        for name, process in found.processes.items()
        if every or any(counter.value for counter in process.own.values())
    ]
    columns = Columns(own, padding=(0, 4))
    damage = [Text(f"damaged  {line}", "bold red") for line in found.damage]
    return Group(*damage, _process_table(found), Text(), _ring_table(found), Text(), columns)


def _process_table(found: Rates) -> Table:
    table = _table(
        "process", "state", "beat ms", "rounds/s", "work/s", "errors", "longest round us"
    )
    for name, process in found.processes.items():
        now = process.now
        table.add_row(
            name,
            now.state,
            "-" if now.state == State.STARTING.name else f"{now.heartbeat_ms:,}",
            _rate(process.rounds),
            _rate(process.work),
            f"{now.errors:,}",
            f"{now.round_us_max:,}",
            style="" if now.state == State.READY.name and not now.errors else "red",
        )
    return table


def _ring_table(found: Rates) -> Table:
    table = _table("ring", "published/s", "published", "waiting", "capacity")
    table.add_column()
    for name, ring in found.rings.items():
        filled = round((ring.waiting or 0) / ring.capacity * _BAR)
        table.add_row(
            name,
            _rate(ring.published),
            f"{ring.published.value:,}",
            "-" if ring.waiting is None else f"{ring.waiting:,}",
            f"{ring.capacity:,}",
            Text("" if ring.waiting is None else "━" * filled, "cyan"),
        )
    return table


def _own_table(name: str, process: ProcessRates, *, every: bool) -> Table:
    table = _table(name, "", "change/s")
    for key, counter in process.own.items():
        if every or counter.value:
            table.add_row(key, f"{counter.value:,}", _rate(counter))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for title in others:
        table.add_column(title, justify="right")
    return table


def _rate(counter: Counter) -> str:
    """Return a change a second in few digits."""
    if counter.per_s is None:
        return "-"
    is_slow = 0 < abs(counter.per_s) < 10
    return f"{counter.per_s:.2g}" if is_slow else f"{counter.per_s:,.0f}"
