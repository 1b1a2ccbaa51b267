"""What a supervisor has to tell: one line for each thing that happened, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Note = Callable[[str, str, str], None]  # says what happened: process, what, detail


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. process: whom it concerns, "run" = all.

    what: started, ready, died, stalled, restarting, halted, resumed, refused, cancelled, stopping,
    killed, stopped or leftovers (`ops/RUNBOOK.md` says what each means). detail: for people.
    """

    time_ns: int
    process: str
    what: str
    detail: str = ""
