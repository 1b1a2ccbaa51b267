"""The order of a stop: no new orders, every order cancelled and seen to be, then the processes.

```
1  HALT_STOPPING to the core; it answers with CANCEL_ALL
2  wait until no order is open and has not been for a moment (or host.stop_ms_max is over: dirty)
3  SIGTERM and wait, in turn: core, signer, feeds, recorder (drains the tape), exchange
4  SIGKILL to who is left (dirty)
```
A second stop request while this runs shortens every wait to `HURRY_S_MAX`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.host.duty import State
from engine.host.errors import Exit
from engine.host.events import Note
from engine.host.fleet import Fleet
from engine.host.last_resort import HURRY_S_MAX, STEP_S
from engine.host.plan import Role
from engine.host.processes import Child
from engine.host.venue_cancel import Attempt
from engine.wire.codes import Reason

# Given whether the stop is hurried, what the venue has shown once everything was cancelled there.
CancelHere = Callable[[Callable[[], bool]], Attempt]

QUIET_S = 0.2
TERMINATE_S_MAX = 10.0

STOP_ORDER = (Role.CORE, Role.SIGNER, Role.FEED, Role.RECORDER, Role.EXCHANGE)


def shut_down(
    fleet: Fleet,
    note: Note,
    *,
    is_hurried: Callable[[], bool],
    cancel_all: CancelHere,
) -> bool:
    """Stop every process of the fleet; return whether all ended well and no order was left.

    cancel_all: cancels at the venue without the signer, for when it is gone or cannot.
    """
    is_clean = _cancel_orders(fleet, note, is_hurried, cancel_all)
    for role in STOP_ORDER:
        children = [child for child in fleet.of(role) if not child.is_settled]
        for child in children:
            child.terminate()
        for child in children:
            is_clean &= _ended_well(child, note, is_hurried)
    return is_clean


def _cancel_orders(
    fleet: Fleet, note: Note, is_hurried: Callable[[], bool], cancel_all: CancelHere
) -> bool:
    """Have every order cancelled; return whether the core says that none is open."""
    core, signer = fleet.one(Role.CORE), fleet.one(Role.SIGNER)
    if core is None or _never_ready(core):
        return True  # nothing was ever sent
    if core.is_ready and fleet.tell_core(Reason.HALT_STOPPING, is_engaged=True):
        deadline_s = time.monotonic() + fleet.settings.host.stop_ms_max / 1_000
        is_signing = signer is None or signer.is_alive
        if is_signing and _wait_until_flat(core, signer, deadline_s, is_hurried):
            note("run", "cancelled", "no order is open")
            return True
    left = core.counters().get("orders_open", "unknown" if core.damage else 0)
    shown = cancel_all(is_hurried)
    if shown.is_proven:
        how = shown.problem or "no order is open, as the venue shows"
        note("run", "cancelled", f"by the supervisor: {how}; the core had orders_open={left}")
    else:
        note("run", "unverified", f"{shown}; the core had orders_open={left}")
    return False


def _never_ready(core: Child) -> bool:
    """Return whether it is seen to have been starting up all its life."""
    state = core.counters().get("state", State.STARTING)
    return state == State.STARTING and not core.damage


def _wait_until_flat(
    core: Child, signer: Child | None, deadline_s: float, is_hurried: Callable[[], bool]
) -> bool:
    """Wait until the core is halted and no order has been open for QUIET_S."""
    flat_since_s: float | None = None
    while True:
        now_s = time.monotonic()
        counters = core.counters()
        is_flat = (
            not core.damage
            and bool(counters.get("halted", 1))
            and not counters.get("orders_open", 0)
        )
        if not is_flat:
            flat_since_s = None
        elif flat_since_s is None:
            flat_since_s = now_s
        elif now_s - flat_since_s >= QUIET_S:
            return True
        if now_s >= deadline_s or not core.is_alive or not (signer is None or signer.is_alive):
            return False
        if is_hurried():
            deadline_s = min(deadline_s, now_s + HURRY_S_MAX)
        time.sleep(STEP_S)


def _ended_well(child: Child, note: Note, is_hurried: Callable[[], bool]) -> bool:
    """Wait for a process that was told to end, kill it if it does not; return whether it did."""
    deadline_s = time.monotonic() + TERMINATE_S_MAX
    while not child.wait(min(deadline_s, time.monotonic() + STEP_S)):
        if is_hurried():
            deadline_s = min(deadline_s, time.monotonic() + HURRY_S_MAX)
        if time.monotonic() >= deadline_s:
            note(child.name, "killed", f"did not stop when asked: pid={child.pid}")
            child.kill()
            child.wait(time.monotonic() + HURRY_S_MAX)
            child.is_settled = True
            return False
    child.is_settled = True
    if child.exit_code == Exit.CLEAN:
        note(child.name, "stopped", "")
        return True
    note(child.name, "stopped", f"exit_code={child.exit_code}, log={child.output}")
    return False
