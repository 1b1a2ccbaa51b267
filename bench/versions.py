"""Two versions of this project, measured in turn: has the candidate become slower than the base?

Each round starts a fresh process for either version (`units.py` of that version), both pinned to
the same core, so that no accident of one process's memory is taken for the code. Within a round
short blocks of the two alternate; a round's value is the median of all its samples. The first
process of each version compiles and is thrown away, and their jitted code is cached apart from the
developer's: numba's cache does not notice a change in a function that was inlined.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison import ROUNDS, Comparison, decide

from engine.backoffice.hdr import P50
from engine.backoffice.ranks import nearest_rank
from engine.host import pin
from engine.host.errors import HostError

LIMIT = 1.10
NAMES = ("decode", "book", "sign", "ring")
BLOCKS, SAMPLES, WARM_UP_SAMPLES = 10, 5, 10
SCRIPT = "bench/units.py"


class VersionError(HostError):
    """A version that cannot be measured; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Version:
    """A source tree. cache: where its jitted code is kept; of this tree alone."""

    root: Path
    cache: Path

    @property
    def is_measurable(self) -> bool:
        """Whether the tree has units of work at all."""
        return (self.root / SCRIPT).is_file()


class Worker:
    """A process that runs the units of one version."""

    def __init__(self, version: Version) -> None:
        self._version = version
        root = version.root.resolve()
        self._process = subprocess.Popen(
            [sys.executable, str(root / SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests"))),
                "PYTHONDONTWRITEBYTECODE": "1",
                "NUMBA_CACHE_DIR": str(version.cache),
            },
        )

    def ask(self, task: str, **arguments: Any) -> Any:
        """Return the answer to one question; VersionError where there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"task": task, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            line = json.dumps({"error": f"its process ended: exit_code={self._process.wait()}"})
        said = json.loads(line)
        if "error" in said:
            raise VersionError(
                f"a version cannot be measured: tree={self._version.root}, {said['error']}"
            )
        return said["answer"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def prepare(self, names: Sequence[str]) -> dict[str, str]:
        """Make the units and take a place on the last core; return what they computed."""
        root, wanted = self.ask("root"), str(self._version.root.resolve())
        if root != wanted:
            raise VersionError(f"another tree was imported: tree={wanted}, imported={root}")
        computed: dict[str, str] = self.ask("digests", names=list(names))
        os.sched_setaffinity(self._process.pid, {pin.cores()[-1]})
        return computed


def compare(
    base: Version,
    candidate: Version,
    names: Sequence[str] = NAMES,
    *,
    rounds: int = ROUNDS,
    limit: float = LIMIT,
    until_s: float = math.inf,
) -> tuple[list[Comparison], list[str]]:
    """Return a comparison of each unit, and the names of those that do other work in the two."""
    digests = []
    for version in (base, candidate):
        with Worker(version) as worker:
            digests.append(worker.prepare(names))
    other = [name for name in names if digests[0][name] != digests[1][name]]
    comparisons = [Comparison(name, limit) for name in names if name not in other]
    decide(comparisons, lambda undecided: _play(base, candidate, undecided), rounds, until_s)
    return comparisons, other


def _play(base: Version, candidate: Version, comparisons: Sequence[Comparison]) -> None:
    """Play one round of these comparisons in two fresh processes."""
    names = [comparison.name for comparison in comparisons]
    with Worker(base) as ours, Worker(candidate) as theirs:
        ours.prepare(names)
        theirs.prepare(names)
        for comparison in comparisons:
            spent: tuple[list[float], list[float]] = ([], [])
            sides = list(zip((ours, theirs), spent, strict=True))
            for side, _ in sides:
                side.ask("time", name=comparison.name, samples=WARM_UP_SAMPLES)
            for block in range(BLOCKS):
                for side, samples in sides if block % 2 else reversed(sides):
                    samples += side.ask("time", name=comparison.name, samples=SAMPLES)
            comparison.add(*(nearest_rank(sorted(samples), P50) for samples in spent))
