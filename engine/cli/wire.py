"""`halftick wire …`: the record layout for other languages."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from engine.wire import layout


class Format(StrEnum):
    """What the layout is written as."""

    JSON = "json"
    C = "c"
    RUST = "rust"


def wire_app() -> typer.Typer:
    """Return the commands of `halftick wire`."""
    app = typer.Typer(help="Export the record layout.", no_args_is_help=True)
    app.callback()(_group)
    app.command()(export)
    return app


def _group() -> None:
    """Export the record layout."""


def export(
    to: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSON,
) -> None:
    """Print the layout of every record: names, offsets, types, and the hash that rings carry."""
    writers = {
        Format.JSON: layout.to_json,
        Format.C: layout.to_c_header,
        Format.RUST: layout.to_rust,
    }
    print(writers[to](), end="")
