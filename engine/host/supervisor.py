"""Starts the processes of a run, watches them, answers their deaths, and stops them in order.

```
death of     answer
feed         restart with backoff; too many a minute: halt. The core sees its books go stale
recorder     restart at once; not back within recorder.lag_ms_max: halt
core         latch a halt; the signer sees the heartbeat stop and cancels all; then stop, exit 1
signer       latch a halt, tell the core, cancel all from here by API credentials; stop, exit 1
exchange     (paper) latch a halt; stop, exit 1; what does not answer is killed
supervisor   the kernel sends every process SIGTERM; the last one removes the runtime directory
```
A process whose heartbeat stops for host.heartbeat_ms_max is killed and so counts as dead; so is one
whose counters were cut or removed, for its beat cannot be seen. A ring that is not as it was made,
or a record of a queue that was damaged, ends the run as well: halt, everything cancelled, exit 1.
A halt is told before it is stored: no disk and no venue is waited for here (`engine.host.halts`,
`engine.host.venue_cancel`).

One thread, the main one. The caller calls `poll()` while `is_running`, and `wait()` between two
polls, then `stop()`; leaving the `with` block ends everything too, whatever happened before.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from engine.bus.control import ControlServer, Reply, Request
from engine.host import proc, rundir
from engine.host.config.schema import Settings
from engine.host.control_replies import status_reply
from engine.host.core_line import CoreLine
from engine.host.descriptors import ReservedDescriptors
from engine.host.errors import Exit, HostError
from engine.host.events import Event
from engine.host.fleet import ExchangePlan, Fleet
from engine.host.halts import Halts
from engine.host.last_resort import LastResort
from engine.host.plan import Role
from engine.host.processes import Child
from engine.host.restarts import Restarts
from engine.host.ring_guard import RingGuard
from engine.host.secrets import Account, SealedKey
from engine.host.shutdown import QUIET_S, shut_down
from engine.host.startup import (
    bring_up,
    launch,
    note_ready,
    wait_until_ready,
    wait_until_recovered,
)
from engine.host.status import damaged_files
from engine.host.venue_cancel import CancelAll
from engine.host.venue_probe import VenueProbe
from engine.host.vitals import Vitals
from engine.wire.codes import Reason

CANCEL_S_MAX = 6.0  # for the signer to cancel everything once it has missed its core
RESUME_S = 2.0  # for the core to hear of a resume and its counters to show it


class Supervisor:
    """One run, from nothing to nothing. `exchange_ready`: the local exchange's ready line."""

    def __init__(
        self,
        settings: Settings,
        *,
        account: Account | None = None,
        sealed: SealedKey | None = None,
        exchange: ExchangePlan | None = None,
        cancel_all: CancelAll | None = None,
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        """Nothing is started yet.

        account: who trades; without one, the local exchange's first account.  sealed: what a live
        signer takes its key out of.  exchange: the local exchange to start and trade at.
        cancel_all: cancels when the signer is gone.  listener: is told every event at once.
        """
        self.fleet = Fleet(settings, account, sealed)
        self.exchange_ready: dict[str, Any] = {}
        self.is_running = False
        self.exit_code = Exit.CLEAN
        self._exchange = exchange
        self._listener = listener
        self._halts = Halts(self.fleet.state_dir, self.fleet.runtime_dir, self.fleet.clock)
        self._core_line = CoreLine(self.fleet)
        self._vitals = Vitals(self.fleet)
        self._probe: VenueProbe | None = None
        self._last_resort = LastResort(self.fleet, cancel_all, self._note)
        self._descriptors = ReservedDescriptors()
        self._control: ControlServer | None = None
        self._rings = RingGuard(())
        self._events: list[Event] = []
        self._stop_requests = 0
        self._restarts = Restarts(settings.host.restarts_per_minute_max)
        self._gave_up_s: float | None = None
        self._resumed_s = -RESUME_S
        self._is_stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Ask for the stop; a second time: to hurry. Safe in a signal handler."""
        self._stop_requests += 1

    @property
    def is_stop_requested(self) -> bool:
        """Whether somebody asked for the stop: a signal, or `halftick stop`."""
        return self._stop_requests > 0

    def start(self) -> bool:
        """Bring everything up and wait until every process is ready.

        Returns False if a stop was asked meanwhile; then call `stop()`. Raises HostError or
        RefuseError naming the process and its log; everything has been ended by then.
        """
        try:
            self._take_place()
            self._halts.load()
            self.exchange_ready = bring_up(
                self.fleet, self._halts, self._exchange, self._note, self._goes_on
            )
            self._rings = RingGuard(sorted(self.fleet.runtime_dir.glob("*.ring")))
            if self.exchange_ready:
                self._probe = VenueProbe(self.exchange_ready["rest"])
            waited = self.fleet, self._note, self._goes_on
            self.is_running = wait_until_ready(*waited) and wait_until_recovered(*waited)
        except OSError as error:  # no descriptor, no room, no right: named, and not a traceback
            self._abandon()
            what = f"{error.strerror or error}: file={error.filename or 'none'}"
            raise HostError(f"run cannot be started: {what}") from error
        except BaseException:
            self._abandon()
            raise
        return self.is_running

    def _abandon(self) -> None:
        self.exit_code = Exit.DIRTY
        self.stop()

    def wait(self, seconds_max: float) -> None:
        """Wait until the control socket has something to say, or the time is over."""
        assert self._control is not None, "start() comes first"
        self._control.wait(seconds_max)

    def poll(self) -> list[Event]:
        """Serve the control socket, see who died or is stuck, act; return the new events."""
        self._serve_control()
        for child in list(self.fleet.children.values()):
            if child.is_settled:
                continue
            if not child.is_alive:
                child.is_settled = True
                self._on_death(child)
            elif wrong := self._why_to_kill(child):
                self._note(child.name, "stalled", f"{wrong}: pid={child.pid}; killing it")
                child.kill()
            elif not child.was_ready:
                note_ready(child, self._note)
        self._restart_who_is_due()
        self._halt_for_troubles()
        self._latch_the_cores_halt()
        self._core_line.retry()
        self._follow_the_latch()
        self._check_rings()
        self._check_whether_to_give_up()
        return self.take_events()

    def halt(self, reason: Reason, detail: str) -> bool:
        """Halt: no new orders, all cancelled, until a human resumes; return whether it was told.

        The core is told first; then the halt is in force here, and on its way to the disk.
        """
        is_told = self._core_line.halt(reason)
        self._halts.engage(reason, detail)
        self._note("run", "halted", f"{reason.name}: {detail}" + ("" if is_told else " (not told)"))
        return is_told

    def resume(self, detail: str) -> bool:
        """Lift the halt and tell the core; return whether there was one."""
        halt = self._halts.clear(detail)
        if halt is None:
            return False
        self._core_line.lift(halt.code)
        self._resumed_s = time.monotonic()
        self._note("run", "resumed", f"{halt.reason} cleared: {detail}")
        return True

    def stop(self) -> bool:
        """End everything in order (`engine.host.shutdown`); return whether the run was clean.

        Leaves no process, socket or ring, also when something goes wrong here; safe to repeat.
        """
        if self._is_stopped:
            return self.exit_code == Exit.CLEAN
        self._is_stopped = True
        self.is_running = False
        requests = self._stop_requests
        self._descriptors.release()
        try:
            is_clean = shut_down(
                self.fleet,
                self._note,
                is_hurried=lambda: self._stop_requests > max(1, requests),
                cancel_all=self._last_resort.finish,
            )
            unstored = self._halts.close()
            if unstored:
                self._note("run", "unstored", f"{unstored}; the next start is refused")
            if not is_clean or unstored:
                self.exit_code = Exit.DIRTY
        except BaseException:
            self.exit_code = Exit.DIRTY
            raise
        finally:
            if self._probe is not None:
                self._probe.close()
            if self._control is not None:
                self._control.close()
            self._rings.close()
            self.fleet.remove()
        return self.exit_code == Exit.CLEAN

    def take_events(self) -> list[Event]:
        """Return the events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def counters(self, process: str) -> dict[str, int]:
        """Return the counters of a process, empty if there are none."""
        child = self.fleet.children.get(process)
        return child.counters() if child is not None else {}

    # -- coming up

    def _take_place(self) -> None:
        """Take the runtime directory and answer on its control socket."""
        proc.restrict_files()
        self._descriptors.take()
        leftovers = self.fleet.claim()
        if leftovers:
            detail = f"removed a dead run's: {self.fleet.runtime_dir}: {', '.join(leftovers)}"
            self._note("run", "leftovers", detail)
        self._control = ControlServer(self.fleet.runtime_dir / rundir.CONTROL_SOCKET)

    def _goes_on(self) -> bool:
        """Serve the control socket; return whether nobody asked for the stop yet."""
        self._serve_control()
        return not self.is_stop_requested

    # -- deaths

    def _on_death(self, child: Child) -> None:
        detail = f"exit_code={child.exit_code}, log={child.output}{child.last_words()}"
        if child.exit_code == -signal.SIGBUS:  # it touched shared memory that is not there
            detail = "; ".join([detail, *damaged_files(self.fleet.runtime_dir)])
        self._note(child.name, "died", detail)
        what = f"process {child.name} died: exit_code={child.exit_code}"
        match child.part.role:
            case Role.FEED:
                self._plan_restart(child)
            case Role.RECORDER:
                self._vitals.recorder_died()
                self._plan_restart(child)
            case Role.CORE:
                self.halt(Reason.HALT_CORE_LOST, what)
                if self.fleet.one(Role.SIGNER) is None:  # fused: the signer went with it
                    self._last_resort.begin()
                self._give_up()
            case Role.SIGNER:
                self.halt(Reason.HALT_SIGNER_LOST, what)
                self._last_resort.begin()
                self._give_up()
            case Role.EXCHANGE:
                self.halt(Reason.HALT_VENUE_LOST, f"the venue is gone: {what}")
                self._give_up()

    def _plan_restart(self, child: Child) -> None:
        """Restart soon; who dies too often a minute halts the run and is restarted slowly."""
        deaths = self._restarts.plan(child.name, time.monotonic())
        if self._restarts.is_too_often(deaths) and self._halts.in_force is None:
            is_feed = child.part.role is Role.FEED
            reason = Reason.HALT_FEED_LOST if is_feed else Reason.HALT_RECORDER_LOST
            self.halt(reason, f"process {child.name} died {deaths} times in a minute")

    def _restart_who_is_due(self) -> None:
        for name in self._restarts.take_due(time.monotonic()):
            child = self.fleet.children[name]
            try:
                launch(self.fleet, child.part, self._note)
            except (HostError, OSError) as error:  # no descriptor, no memory: as if it had died
                self._note(name, "failed", f"cannot be restarted: {error}")
                self._plan_restart(child)

    def _halt_for_troubles(self) -> None:
        for trouble in self._vitals.look():
            is_lost = trouble.reason is Reason.HALT_RUNTIME_LOST
            if self._halts.in_force is None or (is_lost and self.is_running):
                self.halt(trouble.reason, trouble.detail)
            if is_lost:  # no command could reach this run, so it stops by itself
                self.exit_code = Exit.DIRTY
                self.is_running = False

    def _latch_the_cores_halt(self) -> None:
        """A halt the core engaged by itself outlives it like any other."""
        if time.monotonic() - self._resumed_s < RESUME_S or self._halts.in_force is not None:
            return
        if halted := self.counters("core").get("halted", 0):
            known = halted in set(Reason)
            self.halt(Reason(halted) if known else Reason.HALT_OPERATOR, "engaged by the core")

    def _follow_the_latch(self) -> None:
        news = self._halts.look()
        if news:
            self._note("run", "unstored" if self._halts.unstored else "stored", news)

    def _check_rings(self) -> None:
        """A damaged ring, or a record in one, ends the run: no process can be trusted to notice."""
        if self._gave_up_s is not None:
            return
        if self.counters("core").get("halted", 0) == Reason.HALT_RECORD_DAMAGED:
            self._give_up()
        damage = self._rings.look()
        if not damage:
            return
        core = self.fleet.one(Role.CORE)
        if not self.halt(Reason.HALT_RUNTIME_LOST, "; ".join(damage)) and core is not None:
            core.kill()  # it cannot be told; the signer cancels everything once it misses it
        self._give_up()

    def _why_to_kill(self, child: Child) -> str:
        if child.damage or (child.lacks_counters and self.fleet.runtime_dir.is_dir()):
            return child.damage or "no counters"  # all of them go with the directory: see Vitals
        return "no heartbeat" if child.was_ready and self._is_stuck(child) else ""

    def _is_stuck(self, child: Child) -> bool:
        if child.part.role is Role.EXCHANGE and self._probe is not None:
            return self._probe.silence_ms > self.fleet.settings.host.heartbeat_ms_max
        age_ms = child.heartbeat_age_ms(self.fleet.clock.now_ns())
        return age_ms > self.fleet.settings.host.heartbeat_ms_max

    def _give_up(self) -> None:
        """End the run as soon as a signer that lives has cancelled everything by itself."""
        self.exit_code = Exit.DIRTY
        if self._gave_up_s is None:
            self._gave_up_s = time.monotonic()

    def _check_whether_to_give_up(self) -> None:
        if self._gave_up_s is None:
            return
        signer = self.fleet.one(Role.SIGNER)
        venue = self.fleet.one(Role.EXCHANGE)
        if signer is None or not signer.is_alive or (venue is not None and not venue.is_alive):
            self.is_running = self._last_resort.is_busy
            return
        # Before the signer can have missed the core, what it says of its orders means nothing.
        silence_s = self.fleet.settings.signer.core_silence_ms_max / 1_000
        waited_s = time.monotonic() - self._gave_up_s - silence_s
        is_flat = signer.counters().get("orders_open") == 0
        if (waited_s > QUIET_S and is_flat) or waited_s > CANCEL_S_MAX:
            self.is_running = False

    # -- control

    def _serve_control(self) -> None:
        assert self._control is not None, "start() comes first"
        self._control.serve(self._answer)

    def _answer(self, request: Request) -> Reply:
        if request.command == "status":
            return status_reply(self.fleet.runtime_dir)
        if request.command == "halt":
            self.halt(Reason.HALT_OPERATOR, request.reason)
            return Reply(True, data={"unstored": self._halts.unstored})
        if request.command == "resume":
            return Reply(True) if self.resume(request.reason) else Reply(False, "not halted")
        self.request_stop()
        return Reply(True)

    def _note(self, process: str, what: str, detail: str) -> None:
        event = Event(self.fleet.clock.now_ns(), process, what, detail)
        if self._listener is not None:
            with contextlib.suppress(OSError):  # who reads our output went away; the run goes on
                self._listener(event)
        else:
            self._events.append(event)
