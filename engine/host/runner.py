"""The life of a process of ours, from its start to its exit code.

It makes the process one that is watched, stopped by signal and never outlives its supervisor, runs
its duties (`engine.host.duty_loop`), and says in one line why it could not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import uvloop

from engine.bus.counters import CounterFile
from engine.bus.shm import BusError
from engine.host import proc, rundir
from engine.host.duty import ERRORS, PID, STATE, Duty, State
from engine.host.duty_loop import DutyLoop
from engine.host.errors import Exit, HostError
from engine.host.idle import Idle
from engine.host.log import ErrorLog, Log
from engine.host.runfile import RunFile

DRAIN_S_MAX = 8.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_duties(
    process: str,
    runtime: RunFile,
    duties: Sequence[Duty],
    *,
    counters: CounterFile,
    idle: Idle,
    uses_loop: bool,
    errors_are_fatal: bool = False,
    drain_s_max: float = DRAIN_S_MAX,
    chain: Sequence[Duty] = (),
) -> int:
    """Run a process's duties until it is told to stop; return its exit code (see `Exit`).

    counters: from `create_counters`; closed here.  uses_loop: whether the duties need a running
    uvloop.  errors_are_fatal: a duty that raises ends the process (the core: it is safer to stop
    than to trade on a broken belief) instead of being counted.  chain: those of the duties that are
    worked at once when one that is `Arriving` has handed something on.
    """
    clock = runtime.clock()
    log = Log(runtime.log(process), process, clock)
    errors = ErrorLog(runtime.log(process).with_suffix(".errors.json"), clock)
    duty_loop = DutyLoop(
        duties,
        counters,
        idle,
        clock,
        errors,
        errors_are_fatal=errors_are_fatal,
        drain_s_max=drain_s_max,
        chain=chain,
        warm_us=runtime.settings.get("host", {}).get("warm_us", 0),
    )
    # The parent-death signal comes once for each thread of the parent: catch it to the very end.
    with _stop_signals(duty_loop.request_stop):
        proc.forbid_core_dumps()
        proc.restrict_files()
        proc.sleep_exactly()
        counters.set(PID, os.getpid())
        log.event("starting", pid=os.getpid(), wait=idle.wait.value)
        if not proc.die_with_parent(runtime.supervisor_pid):
            duty_loop.request_stop()
        exit_code = _live(process, duty_loop, log, errors, uses_loop=uses_loop)
        counters.set(STATE, State.STOPPED)
        log.event("stopped", exit_code=int(exit_code), errors=counters.get(ERRORS))
        counters.close()
        log.close()
        rundir.leave_if_orphaned(runtime, process)
    return int(exit_code)


def _live(
    process: str, duty_loop: DutyLoop, log: Log, errors: ErrorLog, *, uses_loop: bool
) -> Exit:
    """Run the loop to its end; return how it went, having said in one line why it could not."""
    try:
        if uses_loop:
            uvloop.run(duty_loop.run_in_loop())
        else:
            duty_loop.run()
    except (HostError, BusError) as error:
        log.event("failed", reason=str(error))
        _complain(process, str(error))
        return error.exit_code if isinstance(error, HostError) else Exit.DIRTY
    except Exception as error:  # noqa: BLE001  start() failed: one line here, the trace in the file
        errors.record("start", error)
        errors.write()
        reason = f"{type(error).__name__}: {error}"
        log.event("failed", reason=reason)
        _complain(process, reason)
        return Exit.DIRTY
    return Exit.CLEAN if duty_loop.is_clean else Exit.DIRTY


@contextlib.contextmanager
def _stop_signals(request_stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for the stop instead of ending the process."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        request_stop()

    before = {number: signal.signal(number, on_signal) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain(process: str, reason: str) -> None:
    """Say on stderr why the process could not run; the supervisor keeps that in a file."""
    print(f"halftick {process}: {reason}", file=sys.stderr, flush=True)
