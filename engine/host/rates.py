"""How fast the counters and rings of a run move, from two looks at its files; nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.bus.ring import Discipline, RingInfo
from engine.host.runfile import RunFile
from engine.host.status import ProcessStatus, damaged_files, read_processes, read_rings


@dataclass(frozen=True, slots=True)
class Look:
    """A run at one moment. at_ns: by the run's own clock.  damage: what cannot be believed."""

    at_ns: int
    processes: Mapping[str, ProcessStatus]
    rings: Mapping[str, RingInfo]
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter's value and its change a second; None where there was no value before."""

    value: int
    per_s: float | None


@dataclass(frozen=True, slots=True)
class ProcessRates:
    """A process: what it is now, its rounds and work a second, and its own counters."""

    now: ProcessStatus
    rounds: Counter
    work: Counter
    own: dict[str, Counter]


@dataclass(frozen=True, slots=True)
class RingRates:
    """A ring. waiting: records published and not taken, None for a broadcast, which never fills."""

    capacity: int
    published: Counter
    waiting: int | None


@dataclass(frozen=True, slots=True)
class Rates:
    """A run between two looks. seconds: between them, 0 = there was one look only."""

    seconds: float
    processes: dict[str, ProcessRates]
    rings: dict[str, RingRates]
    damage: tuple[str, ...]


def look(run: RunFile) -> Look:
    """Return what is to be seen of a run now."""
    return Look(
        at_ns=run.clock().now_ns(),
        processes={process.name: process for process in read_processes(run)},
        rings={ring.name: ring for ring in read_rings(run.runtime_dir)},
        damage=damaged_files(run.runtime_dir),
    )


def rates(before: Look | None, after: Look) -> Rates:
    """Return how fast everything moved between two looks, or its values alone after the first.

    A process that was started anew in between counts from its own beginning: it has no rate yet.
    """
    seconds = 0.0 if before is None else (after.at_ns - before.at_ns) / 1e9
    processes = {}
    for name, now in after.processes.items():
        old = before.processes.get(name) if before is not None else None
        known = old if old is not None and old.pid == now.pid else None
        processes[name] = ProcessRates(
            now=now,
            rounds=_counter(now.rounds, known.rounds if known else None, seconds),
            work=_counter(now.work, known.work if known else None, seconds),
            own={
                key: _counter(value, known.own.get(key) if known else None, seconds)
                for key, value in now.own.items()
            },
        )
    rings = {}
    for name, ring in after.rings.items():
        was = before.rings.get(name) if before is not None else None
        rings[name] = RingRates(
            capacity=ring.capacity,
            published=_counter(ring.head, was.head if was else None, seconds),
            waiting=ring.lag if ring.discipline is Discipline.QUEUE else None,
        )
    return Rates(seconds, processes, rings, after.damage)


def _counter(value: int, before: int | None, seconds: float) -> Counter:
    if before is None or seconds <= 0:
        return Counter(value, None)
    return Counter(value, (value - before) / seconds)
