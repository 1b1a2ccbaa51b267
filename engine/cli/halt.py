"""`halftick halt` and `halftick resume`: the operator's brake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.bus.control import Request
from engine.cli.runs import NameOption, ReasonOption, chosen_run, tell
from engine.host import rundir
from engine.host.clock import Clock
from engine.host.config.load import load_settings
from engine.host.errors import HostError, RefuseError
from engine.host.latch import HaltLatch


def halt(reason: ReasonOption, name: NameOption = "") -> None:
    """Halt a run: every order is cancelled and none is sent until `halftick resume`.

    The halt is latched on disk: it survives restarts.
    """
    directory = chosen_run(name)
    tell(directory, Request("halt", _said(reason)))
    print(f"{directory.name}: halted")


def resume(
    reason: ReasonOption,
    name: NameOption = "",
    config: Annotated[
        Path | None, typer.Option(help="Clear the halt of a run that is not running.")
    ] = None,
) -> None:
    """Clear a halt, of a running run or (with --config) before the next start."""
    if config is None:
        directory = chosen_run(name)
        tell(directory, Request("resume", _said(reason)))
        print(f"{directory.name}: resumed")
        return
    settings = load_settings(config)
    if rundir.is_held(rundir.runtime_dir(settings.run.name)):
        raise RefuseError(f"the run is up, use --name: name={settings.run.name}")
    halted = HaltLatch(settings.run.directory).clear(_said(reason), Clock.anchored())
    if halted is None:
        raise HostError(f"resume: not halted: directory={settings.run.directory}")
    print(f"{settings.run.name}: {halted.reason} of {halted.at} cleared")


def _said(reason: str) -> str:
    if not reason.strip():
        raise RefuseError("a reason must be given: --reason is empty")
    return reason.strip()
