"""`halftick tape …`: look into a tape, check it, print it, rebuild what is derived from it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from engine.backoffice.projector import Projector
from engine.cli.progress import progress_bar
from engine.host.errors import Exit
from engine.host.log import iso_time
from engine.tape.reader import Damage, Gap, TapeReader, kind_name
from engine.tape.text import describe
from engine.wire.codes import Kind

TapeArgument = Annotated[Path, typer.Argument(help="a tape file, such as runs/demo/tape.ht")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def tape_app() -> typer.Typer:
    """Return the commands of `halftick tape`."""
    app = typer.Typer(help="Look into a tape.", no_args_is_help=True)
    app.command()(info)
    app.command()(dump)
    app.command()(verify)
    app.command()(project)
    return app


def info(tape: TapeArgument, as_json: JsonOption = False) -> None:
    """Say who wrote a tape, when, and what is on it."""
    with TapeReader(tape) as reader:
        found = _survey(reader)
        header = reader.header
    about = {
        "tape": str(tape),
        "run_id": f"{header.run_id:016x}",
        "begun": iso_time(header.start_ns),
        "ended": iso_time(found["end_ns"]),
        "params_sha256": header.params_sha256.hex(),
        "records": sum(found["kinds"].values()),
        "lost": sum(gap.lost for gap in found["gaps"]),
        "damaged": len(found["damage"]),
        "torn_bytes": reader.torn_bytes,
    }
    if as_json:
        params = orjson.loads(header.params_text)
        _print_json(about | {"kinds": dict(found["kinds"].most_common()), "params": params})
        return
    console = Console(highlight=False)
    for name, value in about.items():
        text = f"{value:,}" if isinstance(value, int) else value
        console.print(f"[dim]{name.replace('_', ' '):14}[/] {text}", soft_wrap=True)
    table = Table("kind", box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("records", justify="right")
    for name, count in found["kinds"].most_common():
        table.add_row(name, f"{count:,}")
    console.print()
    console.print(table)


def dump(
    tape: TapeArgument,
    first: Annotated[int, typer.Option("--from", min=0, help="First sequence to print.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Records to print at most.")] = 100,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may repeat.")] = None,
) -> None:
    """Print records as JSON, one a line."""
    wanted = {_kind_number(name) for name in kind or ()}
    left = count
    try:
        with TapeReader(tape) as reader:
            for piece in reader.slices():
                keep = piece.sequences >= first
                if wanted:
                    keep &= np.isin(piece.rows[:, 0] & 0xFFFF, list(wanted))
                for index in np.flatnonzero(keep)[:left]:
                    _print_json(describe(piece.rows[index], int(piece.sequences[index])))
                    left -= 1
                if left <= 0:
                    break
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has seen enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def verify(tape: TapeArgument, as_json: JsonOption = False) -> None:
    """Check every entry's checksum and sequence; exit with 1 where anything is wrong."""
    with TapeReader(tape) as reader:
        found = _survey(reader)
        torn_bytes = reader.torn_bytes
    damage: list[Damage] = found["damage"]
    gaps: list[Gap] = found["gaps"]
    if as_json:
        _print_json(
            {
                "tape": str(tape),
                "whole": not (damage or gaps),
                "damage": [{"sequence": d.sequence, "kind": kind_name(d.kind)} for d in damage],
                "gaps": [{"sequence": gap.sequence, "lost": gap.lost} for gap in gaps],
                "torn_bytes": torn_bytes,
            }
        )
    else:
        console = Console(highlight=False)
        for entry in damage:
            console.print(
                f"[bold red]damaged[/] sequence {entry.sequence}, {kind_name(entry.kind)}"
            )
        for gap in gaps:
            console.print(f"[bold red]gap[/]     {gap.lost:,} records from sequence {gap.sequence}")
        if torn_bytes:
            console.print(f"[yellow]torn[/]    {torn_bytes} bytes of an unfinished entry")
        if not (damage or gaps):
            console.print(f"[bold green]whole[/]   {sum(found['kinds'].values()):,} records")
    if damage or gaps:
        raise typer.Exit(Exit.DIRTY)


def project(
    tape: TapeArgument,
    database: Annotated[Path, typer.Option("--db", help="The SQLite file to fill.")],
) -> None:
    """Rebuild the database of a tape, or bring it up to date."""
    with TapeReader(tape) as reader:
        total = len(reader)
    projector = Projector.to_sqlite(tape, database)
    try:
        with progress_bar("projecting", total) as advance:
            rows = projector.catch_up(advance)
    finally:
        projector.close()
    Console(highlight=False).print(f"{total:,} records, {rows:,} rows written: {database}")


def _survey(tape: TapeReader) -> dict[str, Any]:
    """Return what is on a tape: kinds by count, damage, gaps and the last local stamp."""
    kinds: Counter[str] = Counter()
    damage: list[Damage] = []
    gaps: list[Gap] = []
    end_ns = tape.header.start_ns
    with progress_bar("reading", len(tape)) as advance:
        done = 0
        for piece in tape.slices():
            numbers, counts = np.unique(piece.rows[:, 0] & 0xFFFF, return_counts=True)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                kinds[kind_name(number)] += count
            damage += piece.damage
            gaps += piece.gaps
            if not piece.damage:
                end_ns = max(end_ns, int(piece.rows[-1, 3]))
            done += len(piece.rows)
            if advance is not None:
                advance(done)
    return {"kinds": kinds, "damage": damage, "gaps": gaps, "end_ns": end_ns}


def _kind_number(name: str) -> int:
    try:
        return int(Kind[name.upper()])
    except KeyError:
        known = ", ".join(kind.name for kind in Kind)
        raise typer.BadParameter(f"no such kind: {name}; known are {known}") from None


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
