"""`halftick rings`: how much is in flight between the processes of a run."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from engine.bus.ring import Discipline, RingInfo
from engine.cli.runs import JsonOption, NameOption, chosen_run
from engine.host.status import read_rings


def rings(name: NameOption = "", as_json: JsonOption = False) -> None:
    """Show every ring: who is at its ends, how many records went through, how many wait.

    A broadcast ring never fills: its readers keep their own count of what they lost.
    """
    found = read_rings(chosen_run(name))
    if as_json:
        print(msgspec.json.encode({"rings": found}).decode())
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("ring")
    table.add_column("discipline")
    for title in ("capacity", "published", "waiting", "full", "writer", "reader"):
        table.add_column(title, justify="right")
    for ring in found:
        table.add_row(*_row(ring))
    Console(highlight=False).print(table)


def _row(ring: RingInfo) -> tuple[str, ...]:
    is_queue = ring.discipline is Discipline.QUEUE
    return (
        ring.name,
        ring.discipline.name.lower(),
        f"{ring.capacity:,}",
        f"{ring.head:,}",
        f"{ring.lag:,}" if is_queue else "-",
        f"{ring.lag / ring.capacity:.0%}" if is_queue else "-",
        str(ring.writer_pid or "-"),
        str(ring.reader_pid or "-") if is_queue else "many",
    )
