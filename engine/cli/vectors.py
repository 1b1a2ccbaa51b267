"""`halftick vectors`: golden vectors against this implementation."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from engine.host.errors import Exit
from engine.vectors.check import CheckResult, Difference, FolderResult, check_folder

_COLUMNS = (" checked", "   equal", "different", "not computed")
_BEFORE, _SHOWN = 24, 96  # characters of a long value: before its first difference, and in all


def vectors(
    folder: Annotated[Path, typer.Argument(help="a folder of vector files")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every vector file of a folder that is known; exit with 1 where anything differs.

    Signatures, hashes, bodies, amounts, headers, addresses and fees are computed anew from each
    row's inputs and compared. Rows of functions that do not exist here are counted apart.
    """
    result = check_folder(folder)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_to_json(folder, result)) + b"\n")
    else:
        _print(result)
    if not result.is_good:
        raise typer.Exit(Exit.DIRTY)


def _to_json(folder: Path, result: FolderResult) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "equal": result.is_good,
        "files": [
            asdict(file) | {"checked": file.checked, "is_good": file.is_good}
            for file in result.files
        ],
        "unknown": list(result.unknown),
    }


def _print(result: FolderResult) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(file.file) for file in result.files)
    console.print(Text(f"{'file':{width}}  {'  '.join(_COLUMNS)}", "dim"))
    for file in result.files:
        counts = (file.checked, file.equal, file.different, file.not_computed)
        cells = (f"{n:{len(name)},}" for name, n in zip(_COLUMNS, counts, strict=True))
        style = "" if file.is_good else "bold red"
        console.print(Text(f"{file.file:{width}}  {'  '.join(cells)}", style))
        if not file.is_good:
            console.print(_complaint(file))
    for name in result.unknown:
        console.print(Text(f"{name:{width}}  unknown", "dim"))


def _complaint(file: CheckResult) -> Text:
    """Return why a file is not good: its first difference, or that it could not be checked."""
    found = file.first_difference
    if found is None:
        return Text(f"  the file {file.error}")
    where = ", ".join(part for part in (found.id, found.field) if part)
    expected, got = _shown(found)
    return Text(f"  first at {where}: expected {expected}, got {got}")


def _shown(found: Difference) -> tuple[str, str]:
    """Return both values, long ones cut to where they begin to differ."""
    pairs = enumerate(zip(found.expected, found.got, strict=False))
    length = min(len(found.expected), len(found.got))
    start = max(0, next((i for i, (a, b) in pairs if a != b), length) - _BEFORE)
    return _window(found.expected, start), _window(found.got, start)


def _window(text: str, start: int) -> str:
    if len(text) <= _SHOWN:
        return text
    head, tail = "…" if start else "", "…" if len(text) > start + _SHOWN else ""
    return f"{head}{text[start : start + _SHOWN]}{tail}"
