"""What a configuration means in processes and rings; nothing is started here.

```
profile             processes                                     spinning
shared, pipeline    recorder, signer, core, feeds.GROUP ...       (pipeline) signer, core, feeds
fused               recorder, core (with the signer and feeds)    -
```
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from engine.bus.ring import Discipline, Memory
from engine.host.config.schema import Settings
from engine.host.errors import RefuseError
from engine.host.pin import assign_cores


class Role(Enum):
    """What a process is for; how its death is answered hangs on it."""

    EXCHANGE = "exchange"
    RECORDER = "recorder"
    SIGNER = "signer"
    CORE = "core"
    FEED = "feed"


class Secret(Enum):
    """How much of the account a process is given."""

    NONE = "none"
    API = "api"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Part:
    """One process to be. core: the CPU it is pinned to, None = wherever the kernel likes."""

    name: str
    role: Role
    command: tuple[str, ...]
    secret: Secret = Secret.NONE
    core: int | None = None


@dataclass(frozen=True, slots=True)
class RingPlan:
    """One ring to be made. capacity: records."""

    name: str
    discipline: Discipline
    capacity: int


def feed_process(group: str) -> str:
    """Return the process name of a feed group: its counters and its log are called so."""
    return f"feeds.{group}"


def rings_of(settings: Settings) -> list[RingPlan]:
    """Return the rings of a run: a market data ring for each feed group, and the fixed ones."""
    capacity = settings.host.ring_capacity
    return [
        *(
            RingPlan(f"md.{group}", Discipline.BROADCAST, capacity.md)
            for group in sorted(settings.feeds)
        ),
        RingPlan("private", Discipline.QUEUE, capacity.private),
        RingPlan("control", Discipline.QUEUE, capacity.control),
        RingPlan("orders", Discipline.QUEUE, capacity.orders),
        RingPlan("exec", Discipline.QUEUE, capacity.exec),
        RingPlan("tape", Discipline.BROADCAST, capacity.tape),
    ]


def ring_memory(settings: Settings) -> Memory:
    """Return what is asked of the kernel for every ring of a run."""
    wanted = settings.host.ring_memory
    memory = Memory.LOCKED if wanted.locked else Memory.PLAIN
    return memory | Memory.HUGE_PAGES if wanted.huge_pages else memory


def python_command(*arguments: str) -> tuple[str, ...]:
    """Return a command for this interpreter that does not import from the current directory."""
    return (sys.executable, "-P", *arguments)


def parts_of(settings: Settings, runtime_dir: Path, cores: list[int]) -> list[Part]:
    """Return the processes of a run in the order they are started, the venue's not among them.

    cores: those we may use. Raises RefuseError when the profile asks for more of them, or when a
    command is configured for a process that does not exist.
    """
    at = str(runtime_dir)
    parts = [
        Part("recorder", Role.RECORDER, python_command("-m", "engine.backoffice", at)),
    ]
    if settings.run.profile == "fused":
        fused = python_command("-m", "engine", at, "--fused")
        parts.append(Part("core", Role.CORE, fused, Secret.KEY))
    else:
        parts.append(Part("signer", Role.SIGNER, python_command("-m", "signer", at), Secret.KEY))
        parts.append(Part("core", Role.CORE, python_command("-m", "engine", at)))
        for group, feeds in sorted(settings.feeds.items()):
            secret = Secret.API if "clob_user" in feeds.feeds else Secret.NONE
            command = python_command("-m", "feeds", group, at)
            parts.append(Part(feed_process(group), Role.FEED, command, secret))
    parts = _with_commands(parts, settings, at)
    return _pinned(parts, cores) if settings.run.profile == "pipeline" else parts


def _with_commands(parts: list[Part], settings: Settings, runtime_dir: str) -> list[Part]:
    unknown = sorted(set(settings.process) - {part.name for part in parts})
    if unknown:
        raise RefuseError(
            f"a command is set for a process there is not: process={','.join(unknown)}, "
            f"processes={','.join(part.name for part in parts)}"
        )
    return [
        Part(part.name, part.role, (*own.command, runtime_dir), part.secret)
        if (own := settings.process.get(part.name))
        else part
        for part in parts
    ]


def _pinned(parts: list[Part], cores: list[int]) -> list[Part]:
    spinners = [part.name for part in parts if part.role is not Role.RECORDER]
    pins = assign_cores(spinners, cores)
    return [
        Part(part.name, part.role, part.command, part.secret, pins.get(part.name)) for part in parts
    ]


def installation() -> Path:
    """Return the folder that holds engine, feeds and signer; refuse if they are of several.

    A foreign `signer` package in front of ours would be handed the private key.
    """
    parents = {}
    for package in ("engine", "feeds", "signer"):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise RefuseError(f"package is not installed: package={package}")
        parents[package] = Path(spec.origin).resolve().parents[1]
    if len(set(parents.values())) > 1:
        where = ", ".join(f"{package}={parent}" for package, parent in parents.items())
        raise RefuseError(f"packages must be of one installation: {where}")
    return parents["engine"]
