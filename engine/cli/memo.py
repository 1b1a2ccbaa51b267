"""`halftick memo`: what the numbers of runs and benches say about Python and Rust."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.backoffice.evidence import Evidence, Undecidable, of_bench, of_run
from engine.backoffice.memo import memo as memo_of
from engine.bench.circumstances import machine
from engine.bench.limits import native_limits_us
from engine.cli.tapes import tape_of
from engine.host.errors import RefuseError

BENCH_SUFFIX = ".json"


def memo(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="A run's directory or tape, or FILE.json of `bench tick-to-trade --json`.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to write it; - prints it.")] = Path(
        "ops/RUST_DECISION.md"
    ),
) -> None:
    """Decide for each component: stay, hybrid or full, with the numbers it turns on.

    The first RUN decides, the others stand beside it; those whose numbers say nothing (the machine
    could not follow, too few orders) are named. Exit code 1 where the first is one of them, 78
    where a RUN is something else.
    """
    sources = [_evidence(runs[0])]
    silent = []
    for path in runs[1:]:
        try:
            sources.append(_evidence(path))
        except Undecidable as error:
            silent.append(str(error))
            print(f"halftick memo: {error}", file=sys.stderr)
    needs_limits = any(source.limits_us is None for source in sources)
    limits_us = native_limits_us() if needs_limits else {}
    text = memo_of(sources, limits_us, machine(), silent)
    if str(out) == "-":
        sys.stdout.write(text)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RefuseError(f"memo cannot be written: file={out}, {error.strerror}") from None
    Console(highlight=False, soft_wrap=True).print(str(out))


def _evidence(path: Path) -> Evidence:
    if path.suffix != BENCH_SUFFIX:
        return of_run(tape_of(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefuseError(f"numbers cannot be read: file={path}, {error}") from None
    return of_bench(str(path), content)
