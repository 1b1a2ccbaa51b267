"""`halftick report`: a run as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.backoffice.report import write_report
from engine.backoffice.summary import summarize
from engine.cli.progress import progress_bar
from engine.tape.reader import TapeReader


def report(
    tape: Annotated[Path, typer.Argument(help="a tape file, such as runs/demo/tape.ht")],
    out: Annotated[Path | None, typer.Option(help="Where to write it.")] = None,
) -> None:
    """Write a self-contained HTML report of a tape; report.html beside it by default."""
    target = out or tape.with_name("report.html")
    with TapeReader(tape) as reader:
        total = len(reader)
    with progress_bar("reading", total) as advance:
        summary = summarize(tape, advance)
    write_report(summary, target)
    Console(highlight=False, soft_wrap=True).print(str(target))
