"""How a process lives: a few duties, worked in turn, and the counters everyone may read.

A duty does a bounded amount of work a round and says how much it did; `engine.host.duty_loop`
decides how to wait when nobody did anything. In a process with a loop (feeds, signer, fused)
`start()` and `close()` are called while the loop runs, so they may create transports and tasks;
`work()` is called once a loop turn and never awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from engine.bus.counters import CounterFile


class Duty(Protocol):
    """One thing a process does, at its own pace."""

    @property
    def name(self) -> str:
        """Names the duty in logs and errors."""
        ...

    def start(self) -> None:
        """Get everything ready that work() needs; an exception here stops the process."""
        ...

    def work(self) -> int:
        """Do one bounded round; return how much was handled (0 = idle)."""
        ...

    def close(self) -> None:
        """Let go of everything; called once, also when start() of a later duty failed."""
        ...


@runtime_checkable
class Draining(Protocol):
    """A duty with something to finish once a stop is asked: orders to cancel, a tape to write."""

    def drain(self) -> bool:
        """Called after each work() while stopping; return whether nothing is left to do."""
        ...


@runtime_checkable
class Warming(Protocol):
    """A duty whose work is rare, and must be as fast the first time as in a loop."""

    def keep_warm(self) -> None:
        """Go the way of a work() that finds something, on scratch state, and forget the outcome.

        Called between rounds that found nothing, where the loop never sleeps. Nobody else may see a
        trace of it: no record, no counter, no byte.
        """
        ...


@runtime_checkable
class Glancing(Protocol):
    """A duty that can tell at a glance whether work() would find something.

    In a loop that never sleeps, a round is cut short when every such duty says no and all have
    worked a moment ago: whatever comes next is then heard of sooner.
    """

    def is_called_for(self) -> bool:
        """Hot path. Return whether something waits that should not wait for the next whole round.

        What time alone brings about need not be looked for: whole rounds are `GLANCES_NS` apart.
        """
        ...


@runtime_checkable
class Arriving(Protocol):
    """A duty whose input comes in callbacks of the event loop, between two rounds."""

    def on_arrival(self, work_next: Callable[[], None]) -> None:
        """Be given, before start(), what to call there once input has been handed on.

        It works the duties that come after, so that they need not wait for the loop's next turn.
        """
        ...


@runtime_checkable
class Fencing(Protocol):
    """A duty that runs code of others' and goes on when that fails."""

    def on_fenced(self, note: Callable[[str, BaseException], None]) -> None:
        """Be given, before start(), what to call with where it failed and the error.

        It is counted and written down, and is never fatal.
        """
        ...


class State(IntEnum):
    """The life of a process, as its `state` counter shows it."""

    STARTING = 0
    READY = 1
    STOPPING = 2
    STOPPED = 3


# Every process has these first, in this order; its own follow. `round_ns_max` is the longest time
# all duties together took for one round: a loop that was held up is a counter, not a mystery; so is
# every run of the garbage collector since the process was ready, and every dry run (`Warming`).
PROCESS_COUNTERS = (
    "heartbeat_ns",
    "state",
    "pid",
    "rounds",
    "work",
    "errors",
    "round_ns_max",
    "collections",
    "dry_runs",
)
HEARTBEAT_NS, STATE, PID, ROUNDS, WORK, ERRORS, ROUND_NS_MAX, COLLECTIONS, DRY_RUNS = range(
    len(PROCESS_COUNTERS)
)


def create_counters(path: Path, own: Sequence[str] = ()) -> CounterFile:
    """Return a new counter file with the process's common counters and its `own` after them."""
    return CounterFile.create(path, [*PROCESS_COUNTERS, *own])
