"""`halftick replay`: prove a tape by living through it again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from engine.cli.progress import progress_bar
from engine.cli.tapes import instrument_names
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.host.errors import Exit
from engine.tape.format import TapeError
from engine.tape.reader import Damage, Gap, TapeReader, kind_name
from engine.tape.replay import Divergence, Verdict
from engine.tape.replay import replay as replay_tape

_SHOWN_MAX = 10


def replay(
    tape: Annotated[Path, typer.Argument(help="a tape file, such as runs/demo/tape.ht")],
    verify: Annotated[
        bool, typer.Option(help="Exit with 1 unless the whole tape is there and agrees.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Feed a tape's inputs to a fresh core and compare every byte it says with the tape."""
    with TapeReader(tape) as reader:
        core = _fresh_core(reader)
        with progress_bar("replaying", len(reader)) as advance:
            verdict = replay_tape(reader, core, advance)
        names = instrument_names(reader)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_to_json(tape, verdict, names)) + b"\n")
    else:
        _print(tape, verdict, names)
    if verify and not verdict.is_clean:
        raise typer.Exit(Exit.DIRTY)


def _fresh_core(tape: TapeReader) -> Engine:
    try:
        return Engine(EngineParams.from_json(tape.header.params_text))
    except (ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise TapeError(
            f"the tape's parameters make no core of this version: file={tape.path}, "
            f"{type(error).__name__}: {error}"
        ) from None


def _print(path: Path, verdict: Verdict, names: dict[int, str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rate = verdict.records / verdict.seconds if verdict.seconds else 0.0
    console.print(f"[dim]tape[/]       {path}")
    console.print(
        f"[dim]replayed[/]   {verdict.records:,} records, {verdict.batches:,} batches, "
        f"{verdict.outputs:,} outputs in {verdict.seconds:.2f} s ({rate:,.0f} records/s)"
    )
    for line in _damage_lines(verdict.damage):
        console.print(f"[bold red]damaged[/]    {line}")
    for line in _gap_lines(verdict.gaps):
        console.print(f"[bold red]gap[/]        {line}")
    if verdict.torn_bytes:
        console.print(f"[yellow]torn[/]       {verdict.torn_bytes} bytes of an unfinished entry")
    if verdict.unfinished:
        console.print(f"[yellow]unfinished[/] {verdict.unfinished} batches cut off")
    if verdict.first is not None:
        where = _divergence_text(verdict.first, names)
        console.print(f"[bold red]diverged[/]   first at {where}")
        console.print(f"           {verdict.divergent_batches:,} batches differ in all")
    elif verdict.damage:
        console.print("           every output still equals the tape")
    else:
        console.print("[bold green]identical[/]  every output equals the tape, byte for byte")


def _divergence_text(found: Divergence, names: dict[int, str]) -> str:
    market = f", {names.get(found.instrument, found.instrument)}" if found.instrument else ""
    return (
        f"sequence {found.sequence}, {found.kind}{market}, field {found.field}: "
        f"expected {found.expected}, got {found.got}"
    )


def _damage_lines(damage: list[Damage]) -> list[str]:
    lines = [f"sequence {d.sequence}, {kind_name(d.kind)}" for d in damage[:_SHOWN_MAX]]
    return _and_more(lines, len(damage), "damaged entries")


def _gap_lines(gaps: list[Gap]) -> list[str]:
    lines = [f"{gap.lost:,} records from sequence {gap.sequence} on" for gap in gaps[:_SHOWN_MAX]]
    return _and_more(lines, len(gaps), "gaps")


def _and_more(lines: list[str], total: int, what: str) -> list[str]:
    return lines if total <= len(lines) else [*lines, f"… {total:,} {what} in all"]


def _to_json(path: Path, verdict: Verdict, names: dict[int, str]) -> dict[str, Any]:
    first = verdict.first
    return {
        "tape": str(path),
        "identical": verdict.is_clean,
        "records": verdict.records,
        "batches": verdict.batches,
        "outputs": verdict.outputs,
        "seconds": round(verdict.seconds, 6),
        "divergent_batches": verdict.divergent_batches,
        "first_divergence": None
        if first is None
        else {
            "sequence": first.sequence,
            "kind": first.kind,
            "instrument": first.instrument,
            "name": names.get(first.instrument),
            "field": first.field,
            "expected": first.expected,
            "got": first.got,
        },
        "damage": [{"sequence": d.sequence, "kind": kind_name(d.kind)} for d in verdict.damage],
        "gaps": [{"sequence": gap.sequence, "lost": gap.lost} for gap in verdict.gaps],
        "unfinished_batches": verdict.unfinished,
        "torn_bytes": verdict.torn_bytes,
    }
