"""`halftick stop`: end a run in order, from another terminal."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from engine.bus.control import Request
from engine.cli.runs import NameOption, chosen_run, tell
from engine.host import rundir
from engine.host.errors import HostError

LOOK_S = 0.05


def stop(
    name: NameOption = "",
    wait_s: Annotated[float, typer.Option(help="How long to wait for the end.")] = 90.0,
) -> None:
    """Stop a run: cancel everything, end its processes, leave nothing; wait until it is done.

    A supervisor that does not answer is sent SIGTERM. Exit code 1 if the run is not gone in time.
    """
    directory = chosen_run(name)
    try:
        tell(directory, Request("stop"))
    except HostError:
        if not rundir.is_held(directory):
            raise
        os.kill(rundir.lock_holder(directory), signal.SIGTERM)
    deadline_s = time.monotonic() + wait_s
    while rundir.is_held(directory):
        if time.monotonic() >= deadline_s:
            raise HostError(f"stop: still there: name={directory.name}, wait_s={wait_s:g}")
        time.sleep(LOOK_S)
    print(f"{directory.name}: stopped")
