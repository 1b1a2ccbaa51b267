"""`halftick config …`: a configuration before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from engine.cli.runs import JsonOption
from engine.host import pin, plan
from engine.host.config.load import load_settings
from engine.host.rundir import runtime_dir

FileArgument = Annotated[Path, typer.Argument(help="a TOML file, such as ops/config/paper.toml")]


def config_app() -> typer.Typer:
    """Return the commands of `halftick config`."""
    app = typer.Typer(help="Check or show a configuration.", no_args_is_help=True)
    app.command()(check)
    app.command()(show)
    return app


def check(file: FileArgument) -> None:
    """Check a configuration: every error at once, each with its key. Exit code 78 if any."""
    settings = load_settings(file)
    parts = plan.parts_of(settings, runtime_dir(settings.run.name), pin.cores())
    processes = ", ".join(part.name for part in parts)
    print(f"{file}: fine: run={settings.run.name}, mode={settings.run.mode}, processes={processes}")


def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show a configuration with every default filled in, a line for each key."""
    settings = load_settings(file).to_json()
    if as_json:
        print(orjson.dumps(settings).decode())
        return
    for key, value in _flat("", settings):
        print(f"{key} = {orjson.dumps(value).decode()}")


def _flat(prefix: str, table: dict[str, Any]) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        lines += _flat(f"{name}.", value) if isinstance(value, dict) else [(name, value)]
    return lines
