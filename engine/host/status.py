"""What can be seen of a run from outside, by reading its files and asking nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.bus.counters import read_counters
from engine.bus.ring import RingInfo, inspect_ring
from engine.bus.shm import BusError
from engine.host import proc, rundir
from engine.host.duty import PROCESS_COUNTERS, State
from engine.host.halt_markers import HaltMarkers
from engine.host.halts import LiveHalt, read_live_halt
from engine.host.latch import Halt, HaltLatch
from engine.host.runfile import RunFile
from engine.host.trading import Trading, trading_of
from engine.wire.codes import Reason


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process as its counters show it. state: a `State` name, DEAD when the process is gone.

    heartbeat_ms: the age of its last beat.  round_us_max: its longest round.  collections:
    of the garbage collector since it was ready.  own: the rest.
    """

    name: str
    pid: int
    state: str
    heartbeat_ms: int
    rounds: int
    work: int
    errors: int
    round_us_max: int
    collections: int
    own: dict[str, int]


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run. supervisor_pid: 0 = it is dead.  venue: the URLs in use.  halt: in force, if any.

    unstored: why the halt (or its end) is not on disk, empty = it is.  trading: what keeps the core
    from trading.  damage: a line for each file of counters and each ring that is none any more.
    """

    name: str
    supervisor_pid: int
    mode: str
    profile: str
    state_dir: str
    venue: dict[str, Any]
    halt: Halt | None
    processes: tuple[ProcessStatus, ...]
    rings: tuple[RingInfo, ...]
    damage: tuple[str, ...] = ()
    unstored: str = ""
    trading: Trading = field(default_factory=Trading)

    @property
    def is_healthy(self) -> bool:
        """Whether all processes are ready, nothing is halted or damaged, and the core may trade."""
        ready = State.READY.name
        return (
            self.supervisor_pid > 0
            and self.halt is None
            and not self.unstored
            and not self.damage
            and self.trading.is_healthy
            and bool(self.processes)
            and all(process.state == ready for process in self.processes)
        )


def read_status(runtime_dir: Path) -> RunStatus:
    """Return what is to be seen of the run in `runtime_dir`.

    Raises RefuseError when there is no run file there. Files that vanish while we look are left
    out.
    """
    run = RunFile.load(runtime_dir)
    settings = run.settings
    held = rundir.is_held(runtime_dir)
    processes = read_processes(run)
    core = next((process.own for process in processes if process.name == "core"), {})
    live = _live_halt(core, runtime_dir) if held else _left_halt(run)
    return RunStatus(
        name=runtime_dir.name,
        supervisor_pid=rundir.lock_holder(runtime_dir) if held else 0,
        mode=settings.get("run", {}).get("mode", ""),
        profile=settings.get("run", {}).get("profile", ""),
        state_dir=run.state_dir,
        venue=settings.get("venue", {}),
        halt=live.halt,
        processes=processes,
        rings=read_rings(runtime_dir),
        damage=damaged_files(runtime_dir),
        unstored=live.unstored,
        trading=trading_of(core),
    )


def _live_halt(core: dict[str, int], runtime_dir: Path) -> LiveHalt:
    """Return the halt of a run that is up, looking at no disk: that may be what hangs."""
    live = read_live_halt(runtime_dir)
    halted = core.get("halted", 0)
    if live.halt is None and halted:
        name = Reason(halted).name if halted in set(Reason) else str(halted)
        return LiveHalt(Halt(name, "the core is halted", ""))
    return live


def _left_halt(run: RunFile) -> LiveHalt:
    """Return the halt a dead run has left: its latch, or the marker that stands for it."""
    halt = HaltLatch(run.state_dir).read()
    if halt is not None:
        return LiveHalt(halt)
    marked = HaltMarkers(run.state_dir).read()
    return LiveHalt(marked, "its latch could not be written" if marked else "")


def read_processes(run: RunFile) -> tuple[ProcessStatus, ...]:
    """Return every process that has counters to be believed, by name."""
    now_ns = run.clock().now_ns()
    found = []
    for path in sorted(run.runtime_dir.glob("*.counters")):
        try:
            values = read_counters(path)
        except BusError:
            continue
        if not set(PROCESS_COUNTERS) <= set(values):
            continue
        common = {name: values.pop(name) for name in PROCESS_COUNTERS}
        found.append(
            ProcessStatus(
                name=path.name.removesuffix(".counters"),
                pid=common["pid"],
                state=_state_name(common["pid"], common["state"]),
                heartbeat_ms=max(0, now_ns - common["heartbeat_ns"]) // 1_000_000,
                rounds=common["rounds"],
                work=common["work"],
                errors=common["errors"],
                round_us_max=common["round_ns_max"] // 1_000,
                collections=common["collections"],
                own=values,
            )
        )
    return tuple(found)


def read_rings(runtime_dir: Path) -> tuple[RingInfo, ...]:
    """Return every ring, by name."""
    found = []
    for path in sorted(runtime_dir.glob("*.ring")):
        try:
            found.append(inspect_ring(path))
        except BusError:
            continue
    return tuple(found)


def damaged_files(runtime_dir: Path) -> tuple[str, ...]:
    """Return what is wrong with each file of counters and each ring that was cut or overwritten."""
    found = []
    looks: tuple[tuple[str, Callable[[Path], object]], ...] = (
        ("*.counters", read_counters),
        ("*.ring", inspect_ring),
    )
    for pattern, look in looks:
        for path in sorted(runtime_dir.glob(pattern)):
            try:
                look(path)
            except BusError as error:
                if path.exists():  # else it is in order: a process that ends takes its file along
                    found.append(str(error))
    return tuple(found)


def _state_name(pid: int, state: int) -> str:
    if state != State.STOPPED and pid and not proc.is_alive(pid):
        return "DEAD"
    return State(state).name if state in set(State) else str(state)
