"""Which run a command means, and asking its supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.bus.control import Request, ask
from engine.host import rundir
from engine.host.errors import HostError

NameOption = Annotated[
    str, typer.Option("--name", "-n", help="Which run; may be left out if there is just one.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", "-r", help="Why, in words; it is kept with the halt.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ANSWER_MS_MAX = 5_000


def chosen_run(name: str) -> Path:
    """Return the runtime directory of the run called `name`, or of the only one.

    HostError when there is none, or several and no name.
    """
    names = rundir.run_names()
    if not name:
        if len(names) == 1:
            return rundir.runtime_dir(names[0])
        if names:
            raise HostError(f"several runs, say which with --name: {', '.join(names)}")
    if name not in names:
        known = ", ".join(names) or "none"
        raise HostError(f"no such run: name={name or '-'}, running={known}")
    return rundir.runtime_dir(name)


def tell(directory: Path, request: Request) -> None:
    """Have the run's supervisor do something; HostError saying why if it did not."""
    reply = ask(directory / rundir.CONTROL_SOCKET, request, timeout_ms=ANSWER_MS_MAX)
    if not reply.ok:
        raise HostError(f"{request.command}: {reply.error}")
