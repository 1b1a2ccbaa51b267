"""The order of a start: whatever a process looks for is there before it.

```
1  the run file and the rings
2  the local exchange, where it is the venue: its ready line says where everything is
3  a halt that is still latched, into the control ring: the core starts halted
4  the other processes in the order of the plan, and the wait until all are ready
5  the wait until the core knows what earlier runs have left: before that it opens nothing
```
Every wait ends when `goes_on` says no: somebody asked for a stop. Raises HostError or RefuseError
naming the process and its log; the caller ends what was started, as `engine.host.shutdown` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.host.events import Note
from engine.host.fleet import ExchangePlan, Fleet
from engine.host.halts import Halts
from engine.host.plan import Part, Role
from engine.host.processes import Child

STEP_S = 0.02
RECOVERED_S_MAX = 15.0

GoesOn = Callable[[], bool]  # serves the control socket meanwhile


def bring_up(
    fleet: Fleet, halts: Halts, exchange: ExchangePlan | None, note: Note, goes_on: GoesOn
) -> dict[str, Any]:
    """Lay out the run and start its processes; return the exchange's ready line, {} without one.

    halts: what is in force, from an earlier run or since this one began to start.
    """
    ready: dict[str, Any] = {}
    fleet.lay_out()
    if exchange is not None:  # a mirror reads the rings, so it comes after them
        ready = _start_exchange(fleet, exchange, note, goes_on)
    fleet.claim_wallet()  # only now is it known where we trade, and in paper mode as whom
    if not goes_on():
        return ready
    halt = halts.in_force
    if halt is not None:
        fleet.tell_core(halt.code, is_engaged=True)
        note("run", "halted", f"still, since {halt.at}: {halt.reason}: {halt.detail}")
    for part in fleet.parts():
        launch(fleet, part, note)
    return ready


def launch(fleet: Fleet, part: Part, note: Note) -> Child:
    """Start one process, in place of its former self if there was one."""
    child = fleet.spawn(part)
    note(child.name, "started", f"pid={child.pid}")
    return child


def wait_until_ready(fleet: Fleet, note: Note, goes_on: GoesOn) -> bool:
    """Wait until every process is ready; return whether that is so, or a stop was asked."""
    deadline_s = _deadline_s(fleet)
    while goes_on():
        for child in fleet.children.values():
            if not child.is_alive:
                raise child.not_ready()
            note_ready(child, note)
        awaited = [name for name, child in fleet.children.items() if not child.was_ready]
        if not awaited:
            return True
        if time.monotonic() >= deadline_s:
            raise fleet.children[min(awaited)].not_ready()
        time.sleep(STEP_S)
    return False


def wait_until_recovered(fleet: Fleet, note: Note, goes_on: GoesOn) -> bool:
    """Wait until the core knows what earlier runs have left; return whether no stop was asked.

    A venue that does not tell it keeps the core shut, not the run down: the wait is bounded, and a
    process that dies meanwhile is the caller's to see.
    """
    core = fleet.one(Role.CORE)
    hears_of_fills = any("clob_user" in group.feeds for group in fleet.settings.feeds.values())
    deadline_s = time.monotonic() + RECOVERED_S_MAX
    while goes_on():
        if core is None or not hears_of_fills or core.counters().get("is_recovered", 1):
            return True
        if not all(child.is_alive for child in fleet.children.values()):
            return True
        if time.monotonic() >= deadline_s:
            note("run", "recovering", "the venue has not yet told what earlier runs have left")
            return True
        time.sleep(STEP_S)
    return False


def note_ready(child: Child, note: Note) -> None:
    """Say it once when a process has become ready."""
    if not child.was_ready and child.is_ready:
        child.was_ready = True
        note(child.name, "ready", f"pid={child.pid}")


def _start_exchange(
    fleet: Fleet, exchange: ExchangePlan, note: Note, goes_on: GoesOn
) -> dict[str, Any]:
    child = launch(fleet, exchange.part(), note)
    deadline_s = _deadline_s(fleet)
    while goes_on():
        ready = child.ready_line(deadline_s)
        if ready is not None:
            fleet.join_exchange(ready, serves_market_data=exchange.serves_market_data)
            child.was_ready = True
            note(child.name, "ready", str(ready["rest"]))
            return ready
    return {}


def _deadline_s(fleet: Fleet) -> float:
    return time.monotonic() + fleet.settings.host.ready_ms_max / 1_000
