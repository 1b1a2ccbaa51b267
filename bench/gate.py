"""`python bench/gate.py`: fails where this tree is slower than it may be.

Two questions, each answered PASS, FAIL or INCONCLUSIVE by a bootstrap over rounds that were played
in turn (`comparison.py`): is a part beyond its budget beside a baseline (`ratios.py`), and is this
tree slower than another version of itself (`versions.py`). Only FAIL fails; what three tries could
not decide is told. What can be counted is counted by tests, without a clock: `make bench-gate`.

On a machine that others use (`--confirm`), what failed is measured once more with twice the rounds,
and fails where it fails again. `--seconds-max` bounds it all; what there was no time for is told.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import ratios
import versions
from comparison import ROUNDS, Comparison, any_failed
from versions import Version

from engine.backoffice.bootstrap import Verdict
from engine.host.errors import HostError

ROOT = Path(__file__).resolve().parents[1]
PARENT = "HEAD~1"
FIRST_SHARE = 0.75  # of the time, where something may have to be confirmed
RATIOS_SHARE = 0.4  # of that, where versions are compared too: those compile first


def main(arguments: Sequence[str]) -> int:
    """Run the gate; return 0 where nothing failed, 1 where something did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, help="tree to compare with; or:")
    parser.add_argument("--base-revision", default=PARENT, help="revision to compare with")
    parser.add_argument("--candidate", type=Path, default=ROOT, help="tree to judge")
    parser.add_argument("--units", nargs="+", choices=versions.NAMES, default=versions.NAMES)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the first try")
    parser.add_argument("--only", choices=("ratios", "versions"))
    parser.add_argument("--tick-to-trade", action="store_true", help="measure the whole path too")
    parser.add_argument("--confirm", action="store_true", help="measure what failed once more")
    parser.add_argument("--seconds-max", type=float, default=math.inf, help="for everything")
    parser.add_argument("--json", type=Path, help="write every number here")
    chosen = parser.parse_args(arguments)
    names = [*ratios.SIDES, *([ratios.TICK_TO_TRADE] if chosen.tick_to_trade else [])]
    began_s = time.monotonic()
    with base_tree(chosen.base, chosen.base_revision, is_needed=chosen.only != "ratios") as base:
        task = Task(
            () if chosen.only == "versions" else tuple(names),
            () if chosen.only == "ratios" else tuple(chosen.units),
            chosen.rounds,
        )
        share = chosen.seconds_max * (FIRST_SHARE if chosen.confirm else 1)
        done = task.measure(base, chosen.candidate, began_s, share)
        if chosen.confirm and any_failed(done):
            left_s = began_s + chosen.seconds_max - time.monotonic()
            again = task.of_failed(done)
            tell(f"once more, with {again.rounds} rounds: {', '.join(again.ratios + again.units)}")
            done = again.measure(base, chosen.candidate, time.monotonic(), left_s)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([each.to_json() for each in done], indent=1))
    return int(any_failed(done))


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: names of ratios, names of units of two versions, rounds of the first try."""

    ratios: tuple[str, ...]
    units: tuple[str, ...]
    rounds: int

    def measure(
        self, base: Path | None, candidate: Path, began_s: float, seconds_max: float
    ) -> list[Comparison]:
        """Measure and tell; versions, which come last, have the time that ratios leave them."""
        ratios_share = RATIOS_SHARE if self.units else 1.0
        until_s = began_s + seconds_max * ratios_share, began_s + seconds_max
        done: list[Comparison] = []
        if self.ratios:
            done += ratios.compare(self.ratios, tell, rounds=self.rounds, until_s=until_s[0])
        if self.units:
            done += compare_versions(base, candidate, self.units, self.rounds, until_s[1])
        return done

    def of_failed(self, done: Sequence[Comparison]) -> Task:
        """Return the task to confirm what failed, with twice the rounds."""
        failed = {each.name for each in done if each.verdict is Verdict.FAIL}
        return Task(
            tuple(name for name in self.ratios if name in failed),
            tuple(name for name in self.units if name in failed),
            2 * self.rounds,
        )


def compare_versions(
    base: Path | None, candidate: Path, units: Sequence[str], rounds: int, until_s: float
) -> list[Comparison]:
    """Compare two trees and tell; nothing to compare with is told too, and is no failure."""
    if base is None or not (base / versions.SCRIPT).is_file():
        tell(f"{'SKIPPED':12} versions: the base has no units of work")
        return []
    with tempfile.TemporaryDirectory(prefix="halftick-gate-") as caches:
        trees = [
            Version(tree, Path(caches, name))
            for tree, name in ((base, "base"), (candidate, "candidate"))
        ]
        done, other = versions.compare(*trees, units, rounds=rounds, until_s=until_s)
    for comparison in done:
        tell(comparison.line())
    for name in other:
        tell(f"{'SKIPPED':12} {name:32} the two versions compute different things")
    return done


@contextmanager
def base_tree(given: Path | None, revision: str, *, is_needed: bool) -> Iterator[Path | None]:
    """Yield the tree to compare with; None where this checkout has no such revision."""
    if given is not None or not is_needed:
        yield given
        return
    archive = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        tell(f"{'SKIPPED':12} {revision}: {archive.stderr.decode(errors='replace').strip()}")
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="halftick-base-") as folder,
        tarfile.open(fileobj=BytesIO(archive.stdout)) as files,
    ):
        files.extractall(folder, filter="data")
        yield Path(folder)


def tell(line: str) -> None:
    """Say a line at once: some take their time."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HostError as error:
        sys.exit(f"gate: {error}")
