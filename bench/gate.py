"""`python bench/gate.py`: fails where this tree is slower than it may be.

Two questions, each answered PASS, FAIL or INCONCLUSIVE by a bootstrap over rounds that were played
in turn (`comparison.py`): is a part beyond its budget beside a baseline (`ratios.py`), and is this
tree slower than another version of itself (`versions.py`). Only FAIL fails; what three tries could
not decide is told. What can be counted is counted by tests, without a clock: `make bench-gate`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import ratios
import versions
from comparison import ROUNDS, Comparison, any_failed
from versions import Version

from engine.host.errors import HostError

ROOT = Path(__file__).resolve().parents[1]
PARENT = "HEAD~1"


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
    parser.add_argument("--json", type=Path, help="write every number here")
    chosen = parser.parse_args(arguments)
    done: list[Comparison] = []
    if chosen.only != "versions":
        names = [*ratios.SIDES, *([ratios.TICK_TO_TRADE] if chosen.tick_to_trade else [])]
        done += ratios.compare(names, tell)
    if chosen.only != "ratios":
        with base_tree(chosen.base, chosen.base_revision) as base:
            done += compare_versions(base, chosen.candidate, chosen.units, chosen.rounds)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([each.to_json() for each in done], indent=1))
    return int(any_failed(done))


def compare_versions(
    base: Path | None, candidate: Path, units: Sequence[str], rounds: int
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
        done, other = versions.compare(*trees, units, rounds=rounds)
    for comparison in done:
        tell(comparison.line())
    for name in other:
        tell(f"{'SKIPPED':12} {name:32} the two versions compute different things")
    return done


@contextmanager
def base_tree(given: Path | None, revision: str) -> Iterator[Path | None]:
    """Yield the tree to compare with; None where this checkout has no such revision."""
    if given is not None:
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
