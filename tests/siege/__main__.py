"""`python -m siege`: rounds of faults against real processes, judged by what the venue knows.

Exit code 0 when no invariant was violated, else 1.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from siege.kinds import KINDS, kind_of
from siege.result_table import show, summary
from siege.round import Result, play


def main() -> int:
    """Play the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m siege", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", default="", help="of everything a round does; random if absent")
    parser.add_argument("--round", type=int, default=0, help="only this one")
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], help="only of this kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument("--keep", type=Path, help="with --round: a new folder for what it leaves")
    chosen = parser.parse_args()
    seed = chosen.seed or secrets.token_hex(4)
    numbers = [chosen.round] if chosen.round else range(1, chosen.rounds + 1)
    results: list[Result] = []
    if chosen.keep:
        chosen.keep.mkdir(parents=True)
    for number in numbers:
        kind = kind_of(seed, number)
        if chosen.kind in (None, kind.name):
            results.append(play(kind, seed, number, chosen.keep if chosen.round else None))
            _tell(results[-1], seed)
    found = summary(seed, results)
    if chosen.json:
        print(json.dumps(found))
    else:
        show(found, results)
    return 1 if found["violations"] else 0


def _tell(result: Result, seed: str) -> None:
    verdict = "VIOLATED" if result.violations else result.note or "ok"
    figures = f"{result.orders} orders, {result.fills} fills, {result.starts} runs"
    print(
        f"round {result.number:>3}  {result.kind:<18} {result.seconds:>5.1f} s  "
        f"{figures}  {verdict}",
        file=sys.stderr,
        flush=True,
    )
    for name, text in result.violations:
        print(f"    {name}: {text}", file=sys.stderr)
    if result.violations:
        print(
            f"    repeat: make siege SEED={seed} ROUND={result.number}", file=sys.stderr, flush=True
        )


if __name__ == "__main__":
    sys.exit(main())
