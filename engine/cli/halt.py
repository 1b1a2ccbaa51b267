"""`halftick halt` and `halftick resume`: the operator's brake."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from engine.bus.control import Request
from engine.cli.runs import NameOption, ReasonOption, chosen_run, tell
from engine.host import rundir
from engine.host.clock import Clock
from engine.host.config.load import load_settings
from engine.host.errors import HostError, RefuseError
from engine.host.halt_markers import HaltMarkers
from engine.host.halts import read_live_halt
from engine.host.latch import Halt, HaltLatch
from engine.host.log import iso_time
from engine.host.statedir import refuse_used_state

STORED_S_MAX = 1.0
LOOK_S = 0.02


def halt(reason: ReasonOption, name: NameOption = "") -> None:
    """Halt a run: every order is cancelled and none is sent until `halftick resume`.

    It is in force at once and then latched on disk, so that it survives restarts. Exit code 1: it
    is in force, and the disk does not take it; the next start will be refused.
    """
    directory = chosen_run(name)
    tell(directory, Request("halt", _said(reason)))
    print(f"{directory.name}: halted", flush=True)
    unstored = _unstored(directory)
    if unstored:
        raise HostError(f"halt is in force, and not on disk yet: {unstored}; it is tried on")


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
    refuse_used_state(Path(settings.run.directory).absolute())
    halted = _cleared(Path(settings.run.directory).absolute(), _said(reason))
    if halted is None:
        raise HostError(f"resume: not halted: directory={settings.run.directory}")
    print(f"{settings.run.name}: {halted.reason} of {halted.at} cleared")


def _cleared(state_dir: Path, reason: str) -> Halt | None:
    """Clear the halt of a run that is down; return it. A halt that could not be stored counts."""
    latch, markers = HaltLatch(state_dir), HaltMarkers(state_dir)
    halt = latch.read() or markers.read()
    if halt is None:
        return None
    try:
        latch.remember("cleared", Halt(halt.reason, reason, iso_time(Clock.anchored().now_ns())))
        latch.clear()
        markers.remove(markers.in_memory)
        markers.remove(markers.on_disk)
    except OSError as error:
        raise HostError(
            f"resume: the halt stays, for that it is cleared cannot be stored: "
            f"file={error.filename or state_dir}, {error.strerror}"
        ) from None
    return halt


def _unstored(directory: Path) -> str:
    """Return why the halt is not on disk, having given the disk a moment; empty = it is."""
    deadline_s = time.monotonic() + STORED_S_MAX
    while (unstored := read_live_halt(directory).unstored) and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return unstored


def _said(reason: str) -> str:
    if not reason.strip():
        raise RefuseError("a reason must be given: --reason is empty")
    return reason.strip()
