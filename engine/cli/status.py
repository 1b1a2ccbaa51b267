"""`halftick status`: a run as its files show it; works also when its supervisor is stuck."""

from __future__ import annotations

from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.cli.runs import JsonOption, NameOption, chosen_run
from engine.host.errors import Exit
from engine.host.reach import unreachable_urls
from engine.host.status import RunStatus, read_status


def status(name: NameOption = "", as_json: JsonOption = False) -> None:
    """Show a run's processes, its halt, what keeps it from trading, and unreachable URLs.

    Exit code 0 when every process is ready, nothing is halted or damaged, the core has recovered
    and sees our fills, and no market is halted or of doubtful books; else 1.
    """
    found = read_status(chosen_run(name))
    unreachable = unreachable_urls(found)
    if as_json:
        print(msgspec.json.encode(status_json(found, unreachable)).decode())
    else:
        _print(found, unreachable, Console(highlight=False, soft_wrap=True))
    raise typer.Exit(Exit.CLEAN if found.is_healthy and not unreachable else Exit.DIRTY)


def status_json(found: RunStatus, unreachable: list[str]) -> dict[str, Any]:
    """Return the status as JSON values."""
    healthy = found.is_healthy and not unreachable
    return {
        **msgspec.to_builtins(found),
        "trading": found.trading.counters,
        "healthy": healthy,
        "unreachable": unreachable,
    }


def _print(found: RunStatus, unreachable: list[str], console: Console) -> None:
    who = (
        f"pid {found.supervisor_pid}" if found.supervisor_pid else "[red]its supervisor is dead[/]"
    )
    console.print(f"[bold]{found.name}[/]  {found.mode}, {found.profile}, {who}")
    console.print(f"state      {found.state_dir}")
    console.print(f"venue      {found.venue.get('rest_url', '-')}")
    for url in unreachable:
        console.print(f"[bold red]unreachable[/] {url}")
    for line in found.damage:
        console.print(f"[bold red]damaged[/]    {escape(line)}")
    if found.halt is not None:
        halt = found.halt
        console.print(
            f"[bold red]HALTED[/]     {halt.reason} since {halt.at}: {escape(halt.detail)}"
        )
    if found.unstored:
        console.print(f"[bold red]NOT STORED[/] on disk it is otherwise: {escape(found.unstored)}")
    for line in found.trading.faults:
        console.print(f"[bold red]trading[/]    {line}")
    for line in found.trading.warnings:
        console.print(f"[bold yellow]trading[/]    {line}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("process")
    for title in ("pid", "state", "beat ms", "rounds", "work", "errors", "longest round us"):
        table.add_column(title, justify="right")
    for process in found.processes:
        style = "" if process.state == "READY" else "red"
        table.add_row(
            process.name,
            str(process.pid),
            process.state,
            str(process.heartbeat_ms),
            f"{process.rounds:,}",
            f"{process.work:,}",
            f"{process.errors:,}",
            f"{process.round_us_max:,}",
            style=style,
        )
    console.print(table)
