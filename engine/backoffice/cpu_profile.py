"""Where the core's time goes: cProfile over a replay of a run's own tape.

A replay does what the core did, batch by batch, without sockets and waits; jitted kernels are calls
that the profiler sees. Profiling makes small Python calls dearer, so Python's share is an upper
bound; `seconds` is of a replay without it. The live processes are not profiled: it would
change them, and one holds a key.
"""

from __future__ import annotations

import cProfile
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from numba.core.dispatcher import Dispatcher

import engine.core.engine
from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.tape.format import TapeError
from engine.tape.reader import TapeReader
from engine.tape.replay import replay

KERNELS, BUILTINS, LIBRARIES = "jitted kernels", "builtins and numpy's C", "generated, libraries"
_REPLAY = ("engine.tape.", "engine.bus.")  # reading and comparing: no part of the core
_ROOT = Path(engine.core.engine.__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CpuProfile:
    """A replay of the core. seconds: without the profiler.  modules: own time's shares, sum 1.

    Shares are of the core alone, what it calls included; KERNELS is one of them.
    """

    records: int
    batches: int
    seconds: float
    modules: dict[str, float]


def profile_replay(path: Path) -> CpuProfile:
    """Return the profile of a tape's replay. Raises TapeError."""
    profiler = cProfile.Profile()
    records, batches, _ = _replayed(path, profiler)
    _, _, seconds = _replayed(path, None)
    kernels = _kernels()
    spent: defaultdict[str, float] = defaultdict(float)
    for entry in profiler.getstats():
        module = KERNELS if entry.code in kernels else _module(entry.code)
        if not module.startswith(_REPLAY):
            spent[module] += entry.inlinetime
    whole = sum(spent.values()) or 1.0
    shares = sorted(((k, s / whole) for k, s in spent.items()), key=lambda share: -share[1])
    return CpuProfile(records, batches, seconds, dict(shares))


def _replayed(path: Path, profiler: cProfile.Profile | None) -> tuple[int, int, float]:
    """Replay into a fresh core; return records, batches, seconds."""
    with TapeReader(path) as tape:
        try:
            core = Engine(EngineParams.from_json(tape.header.params_text))
        except (ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
            raise TapeError(
                f"the tape's parameters make no core of this version: file={path}, "
                f"{type(error).__name__}: {error}"
            ) from None
        if profiler is not None:
            profiler.enable()
        verdict = replay(tape, core)
        if profiler is not None:
            profiler.disable()
    return verdict.records, verdict.batches, verdict.seconds


def _kernels() -> set[CodeType]:
    """Return the code of every jitted function that was imported."""
    ours = [module for name, module in sys.modules.items() if name.startswith("engine.")]
    return {
        value.py_func.__code__
        for module in ours
        for value in vars(module).values()
        if isinstance(value, Dispatcher)
    }


def _module(code: CodeType | str) -> str:
    """Return the module that a profiled call's own time belongs to."""
    if isinstance(code, str):
        return BUILTINS
    path = Path(code.co_filename)
    if not path.is_relative_to(_ROOT / "engine"):
        return LIBRARIES
    return ".".join(path.relative_to(_ROOT).with_suffix("").parts)
