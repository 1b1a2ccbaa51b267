"""The pulse of a process: work the duties in turn, wait when idle, beat, drain and close.

One catch-all exists in a process, and it is here: it counts, reports and decides. Once a stop is
asked (SIGTERM, SIGINT, a fatal error), duties that are `Draining` go on working until they say they
are done or `drain_s_max` is over; then all are closed, the last started first.

Code that has not run for a millisecond has left the caches and runs several times slower. A loop
that never sleeps anyway spends its idle rounds on dry runs of what must be fast (`Warming`), one
duty a round, so that whatever arrives meanwhile waits for no more than one of them. A whole round
that finds nothing takes longer than a glance at where there could be something (`Glancing`), so for
a while after one such a loop only glances.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.bus.counters import CounterFile
from engine.host import pin
from engine.host.clock import Clock
from engine.host.duty import (
    COLLECTIONS,
    DRY_RUNS,
    ERRORS,
    HEARTBEAT_NS,
    ROUND_NS_MAX,
    ROUNDS,
    STATE,
    WORK,
    Arriving,
    Draining,
    Duty,
    Fencing,
    Glancing,
    State,
    Warming,
)
from engine.host.errors import HostError
from engine.host.idle import Idle
from engine.host.log import ErrorLog

GLANCES_NS = 100_000
HOUSEKEEPING_NS = 1_000_000_000
# A collection takes a millisecond or two after a second of trading, and a gap between two ticks is
# no longer than that: it waits until nothing has happened for a while, or until it must be.
QUIET_NS = 50_000_000
HELD_UP_NS = 5_000_000  # a loop that did not turn for so long knows nothing of quiet meanwhile
UNCOLLECTED_NS_MAX = 60_000_000_000
CLOSE_TURNS = 4  # loop turns a closing transport needs to say goodbye


class DryRun(NamedTuple):
    """What keeps a duty warm."""

    name: str
    run: Callable[[], None]


class DutyLoop:
    """The duties of one process and their common pulse; runs plainly or inside an event loop."""

    def __init__(
        self,
        duties: Sequence[Duty],
        counters: CounterFile,
        idle: Idle,
        clock: Clock,
        errors: ErrorLog,
        *,
        errors_are_fatal: bool,
        drain_s_max: float,
        chain: Sequence[Duty] = (),
        warm_us: int = 0,
    ) -> None:
        """chain, warm_us: as `run_duties` takes them; dry runs need an `idle` that never sleeps."""
        self._duties = tuple(duties)
        self._chain = tuple(chain)
        self._chained = 0
        self._hears_first: DryRun | None = None
        self._dry_runs: deque[DryRun] = deque()
        for duty in duties:
            if isinstance(duty, Warming) and warm_us and idle.never_sleeps:
                dry_run = DryRun(duty.name, duty.keep_warm)
                if self._hears_first is None and isinstance(duty, Arriving):
                    self._hears_first = dry_run
                else:
                    self._dry_runs.append(dry_run)
        self._glancing = tuple(
            duty.is_called_for
            for duty in duties
            if isinstance(duty, Glancing) and idle.never_sleeps
        )
        self._glance_until_ns = 0
        self._warm_ns = warm_us * 1_000
        self._warmed_ns = 0
        self._counters = counters
        self._idle = idle
        self._now_ns = clock.now_ns
        self._errors = errors
        self._errors_are_fatal = errors_are_fatal
        self._drain_ns_max = int(drain_s_max * 1e9)
        self._drain_until_ns = 0
        self._kept_ns = 0
        self._worked_ns = 0
        self._rounded_ns = 0
        self._collected_ns = self._now_ns()
        self._round_ns_max = 0
        self._started: list[Duty] = []
        self.is_clean = True
        self.is_stopping = False

    def start(self) -> None:
        """Start every duty in order, put the collector to rest and say READY."""
        for duty in self._duties:
            self._started.append(duty)
            if self._chain and isinstance(duty, Arriving):
                duty.on_arrival(self.work_chain)
            if isinstance(duty, Fencing):
                duty.on_fenced(self.note)
            duty.start()
        pin.freeze_garbage(self._on_collection)
        self._counters.set(HEARTBEAT_NS, self._now_ns())
        self._counters.set(STATE, State.READY)

    def request_stop(self) -> None:
        """Let the next round begin the stop. Safe in a signal handler and to repeat."""
        self.is_stopping = True

    def note(self, where: str, error: BaseException) -> None:
        """Count an error and write it down; the process goes on."""
        self._counters.add(ERRORS, 1)
        self._errors.record(where, error)

    def report(self, where: str, error: BaseException) -> None:
        """Count and note an error; a fatal one begins the stop."""
        self.note(where, error)
        if self._errors_are_fatal:
            self.is_clean = False
            self.is_stopping = True

    def round(self) -> int:
        """Hot path. Work every duty once and beat; return how much was done."""
        begin_ns = self._now_ns()
        if begin_ns < self._glance_until_ns and not self._chained:
            for is_called_for in self._glancing:
                if is_called_for():
                    break
            else:
                return 0
        worked, self._chained = self._chained, 0
        for duty in self._duties:
            try:
                worked += duty.work()
            except Exception as error:  # noqa: BLE001  the one catch-all of the process
                self.report(duty.name, error)
        end_ns = self._now_ns()
        if begin_ns - self._rounded_ns > HELD_UP_NS:
            self._worked_ns = end_ns
        self._rounded_ns = end_ns
        counters = self._counters
        counters.set(HEARTBEAT_NS, end_ns)
        counters.add(ROUNDS, 1)
        if worked:
            counters.add(WORK, worked)
            self._worked_ns = end_ns
        if end_ns - begin_ns > self._round_ns_max:
            self._round_ns_max = end_ns - begin_ns
            counters.set(ROUND_NS_MAX, self._round_ns_max)
        self._glance_until_ns = 0
        if not worked:
            if self._glancing:
                self._glance_until_ns = end_ns + GLANCES_NS
            if (self._dry_runs or self._hears_first) and end_ns - self._warmed_ns >= self._warm_ns:
                self._keep_warm()
            if self._idle.is_patient:
                self._keep_house(end_ns)
        return worked

    def work_chain(self) -> None:
        """Hot path. Work those who come after a duty that has just handed something on.

        For callbacks of the event loop, never from within a round: there their turn comes anyway.
        """
        for duty in self._chain:
            try:
                self._chained += duty.work()
            except Exception as error:  # noqa: BLE001  as in a round
                self.report(duty.name, error)

    def _keep_warm(self) -> None:
        """Let the next duty in line make its dry run; one that fails makes no more of them.

        Whoever hears first goes again after each of the others: what it does is little, it is
        needed soonest, and their runs push it out of the caches.
        """
        if self._dry_runs:
            self._dry_run(self._dry_runs[0])
            self._dry_runs.rotate(-1)
        if self._hears_first is not None:
            self._dry_run(self._hears_first)
        self._warmed_ns = self._now_ns()

    def _dry_run(self, dry_run: DryRun) -> None:
        self._counters.add(DRY_RUNS, 1)
        try:
            dry_run.run()
        except Exception as error:  # noqa: BLE001  nothing of the run hangs on it, so it goes on
            if dry_run is self._hears_first:
                self._hears_first = None
            else:
                self._dry_runs.popleft()
                self._dry_runs.rotate(1)
            self.note(f"{dry_run.name}: keep_warm", error)

    def _keep_house(self, now_ns: int) -> None:
        """Do what nobody waits for, about once a second."""
        if now_ns - self._kept_ns > HOUSEKEEPING_NS:
            self._kept_ns = now_ns
            self._errors.write()
        uncollected_ns = now_ns - self._collected_ns
        is_quiet = now_ns - self._worked_ns > QUIET_NS
        if uncollected_ns > (HOUSEKEEPING_NS if is_quiet else UNCOLLECTED_NS_MAX):
            self._collected_ns = now_ns
            pin.collect_young()

    def is_drained(self) -> bool:
        """Return whether the stop may go on to closing: all is drained, or time is over."""
        if self._drain_until_ns == 0:
            self._counters.set(STATE, State.STOPPING)
            self._drain_until_ns = self._now_ns() + self._drain_ns_max
        left = [duty.name for duty in self._started if not self._drain_one(duty)]
        if not left:
            return True
        if self._now_ns() < self._drain_until_ns:
            return False
        self.is_clean = False
        late = HostError(f"not drained in time: duties={','.join(left)}")
        self._errors.record("stop", late)
        return True

    def _drain_one(self, duty: Duty) -> bool:
        if not isinstance(duty, Draining):
            return True
        try:
            return duty.drain()
        except Exception as error:  # noqa: BLE001  a duty that cannot drain must not keep the rest
            self._fail(f"{duty.name}: drain", error)
            return True

    def close(self) -> None:
        """Close what was started, the last first; an error in one does not spare the others."""
        self._counters.set(STATE, State.STOPPING)
        self._chain = ()  # what a closing socket still brings finds nobody to work
        while self._started:
            duty = self._started.pop()
            try:
                duty.close()
            except Exception as error:  # noqa: BLE001  see above
                self._fail(f"{duty.name}: close", error)
        self._errors.write()
        pin.thaw_garbage(self._on_collection)

    def _fail(self, where: str, error: BaseException) -> None:
        self.note(where, error)
        self.is_clean = False

    def _on_collection(self, phase: str, _details: dict[str, object]) -> None:
        if phase == "start":
            self._counters.add(COLLECTIONS)

    def run(self) -> None:
        """Start, work until a stop is asked, drain, close: for a process without an event loop."""
        try:
            self.start()
            while not (self.is_stopping and self.is_drained()):
                self._idle.idle(self.round())
        finally:
            self.close()

    async def run_in_loop(self) -> None:
        """The same inside the running event loop, one round a loop turn."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._on_loop_error)

        def turn() -> None:
            if self.is_stopping and self.is_drained():
                done.set_result(None)
                return
            sleep_s = self._idle.idle(self.round())
            if sleep_s and not self.is_stopping:
                loop.call_later(sleep_s, turn)
            else:
                loop.call_soon(turn)

        try:
            self.start()
            loop.call_soon(turn)
            await done
        finally:
            self.close()
            for _ in range(CLOSE_TURNS):
                await asyncio.sleep(0)

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = HostError(str(context.get("message")))
        self.report("event loop", error)
