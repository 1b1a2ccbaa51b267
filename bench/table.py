"""`python bench/table.py RESULTS.json`: writes the numbers of one run into `bench/README.md`.

RESULTS.json is what `pytest --benchmark-json` leaves; `make bench` does both. A percentile that too
few samples stand behind is a dash, by the rule of `engine.backoffice.hdr`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from engine.backoffice.hdr import P50, P99, min_samples, percentile

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
PACKAGES = ("numpy", "numba", "uvloop", "picows", "coincurve", "orjson", "msgspec", "pyzmq")

FEW_ROUNDS = 10

Bench = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One table. method: how its numbers were taken, a sentence.

    baseline: the bench of each group that is 1.00x, empty = no ratios.  over: what people call it.
    """

    title: str
    file: str
    method: str
    baseline: str = ""
    over: str = ""


SECTIONS = (
    Section(
        "Decode: a frame's bytes to rows",
        "test_decode",
        "A call a frame. The patient decoder is msgspec and all checks, for text the scanner does "
        "not know.",
        "test_orjson_to_rows",
        "orjson to the same rows",
    ),
    Section(
        "Book apply (a change) and core step (a tick)",
        "test_core",
        "A stream of changes in one call of the kernel, divided by their number; a step is one "
        "call of `Engine.step`.",
        "sorted_dict",
        "a SortedDict a side, its best read after each frame",
    ),
    Section(
        "Ring",
        "test_ring",
        "A hop publishes so many records at once and polls them, in one process. Between processes "
        "every way is measured in turn, each side on its own core; C is the same ring written in "
        "C.",
    ),
    Section(
        "Sign: a decided order to its bytes",
        "test_sign",
        "From amounts to the order's body, or to the whole request. Nonces and orders made ahead "
        "are made outside the measured time.",
        "test_curve_floor",
        "the curve alone, coincurve",
    ),
    Section(
        "Signer's gate: what an order passes before it is signed",
        "test_signer_gate",
        "A call an order: admission, policy, a token of the venue's rate limit.",
    ),
    Section("Local exchange", "test_exchange", "A call an operation, in this process."),
    Section(
        "Local exchange: order flow",
        "test_exchange_flow",
        "Resting orders, cancels and takers mixed; over HTTP eight connections with a signed "
        "request each, every request timed alone.",
    ),
    Section("Tape", "test_tape", "A record each; calls take many and are divided."),
    Section("Replay through the whole core", "test_replay", "A record, of a whole tape replayed."),
)


def main(arguments: Sequence[str]) -> int:
    """Write the tables; return the exit code."""
    if len(arguments) != 1:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    run = json.loads(Path(arguments[0]).read_text())
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + "\n".join([BEGIN, "", *numbers(run), END]) + after)
    return 0


def numbers(run: Mapping[str, Any]) -> list[str]:
    """Return the lines of all tables of a run."""
    benches = [bench for bench in run["benchmarks"] if bench["stats"]["data"]]
    lines = [*machine(run), *tick_to_trade(benches)]
    for section in SECTIONS:
        lines += table(section, benches)
    return lines


def machine(run: Mapping[str, Any]) -> list[str]:
    """Return where and with what the run was made."""
    info = run["machine_info"]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cpu = info["cpu"].get("brand_raw", info["machine"])
    where = f"{cpu}, {info['cpu'].get('count', os.cpu_count())} cores, Linux {info['release']}"
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return [
        f"{run['datetime'][:10]}: {where}, Python {info['python_version']}.",
        f"{packages}. Load average when it ended: {load}.",
        "",
    ]


def tick_to_trade(benches: Sequence[Bench]) -> list[str]:
    """Return the table of the whole path, a column a run, and the stages below."""
    results = [b["extra_info"] for b in benches if "floor_p50_us" in b["extra_info"]]
    if not results:
        return []
    names = [f"{r['profile']}, {r['signing']}{', half armed' * ('armed' in r)}" for r in results]
    method = "p50 / p99 in microseconds, by profile and rung; presigned orders are all armed."
    lines = ["### Tick to trade", "", method, ""]
    lines += [_row("", *names), _row("---", *("---:" for _ in results))]
    for label, prefix in (("**engine**", ""), ("floor", "floor_")):
        for how, of in (("", dict), (", from the frame's own stamp", lambda r: r["raw"])):
            cells = [_pair(of(r)[f"{prefix}p50_us"], of(r)[f"{prefix}p99_us"]) for r in results]
            lines.append(_row(label + how, *cells))
    lines.append(_row("engine over floor", *(_over_floor(r) for r in results)))
    within = [_pair(r["in_process"]["p50"], r["in_process"]["p99"]) for r in results]
    lines.append(_row("in process, received to logged", *within))
    for stage in results[0]["stages"]:
        cells = [_pair(r["stages"][stage]["p50"], r["stages"][stage]["p99"]) for r in results]
        lines.append(_row(f"· {stage.replace('_', ' ')}", *cells))
    counts = ("ticks", "rate", "coalesced", "unanswered", "gc_collections")
    for name in counts:
        lines.append(_row(name.replace("_", " "), *(f"{r[name]:,}" for r in results)))
    return [*lines, ""]


def table(section: Section, benches: Sequence[Bench]) -> list[str]:
    """Return one section as a table; empty if the run has none of its benches."""
    mine = [b for b in benches if Path(b["fullname"].split("::")[0]).stem == section.file]
    if not mine:
        return []
    ratios = [f"p50 over {section.over}"] if section.baseline else []
    head = _row("", "p50 us", "p99 us", *ratios, "also")
    marks = _row("---", "---:", "---:", *("---:" for _ in ratios), "---")
    lines = [f"### {section.title}", "", section.method, "", head, marks]
    for bench in mine:
        contenders = {k: v for k, v in bench["extra_info"].items() if isinstance(v, Mapping)}
        for name, noted in contenders.items():
            p50, p99 = (_text(noted.get(key)) for key in ("p50_us", "p99_us"))
            lines.append(
                _row(f"{_label(bench)}: {name}", p50, p99, *("" for _ in ratios), _also(noted))
            )
        if contenders:
            continue
        cells = ["", ""] if is_about_others(bench) else [_text(p) for p in percentiles_us(bench)]
        if ratios:
            cells.append(_ratio(section, bench, mine))
        notes = _also(bench["extra_info"])
        if bench["extra_info"].get("units", 1) > 1:
            notes = f"{1e6 / percentiles_us(bench)[0]:,.0f} a second{'; ' * bool(notes)}{notes}"
        lines.append(_row(_label(bench), *cells, notes))
    return [*lines, ""]


def is_about_others(bench: Bench) -> bool:
    """Tell whether a bench only carries what it noted: its own time is that of a whole comparison.

    Such a bench runs a handful of rounds, and says neither what a unit is nor how long it took.
    """
    info = bench["extra_info"]
    is_few = len(bench["stats"]["data"]) < FEW_ROUNDS
    return bool(info) and is_few and not {"units", "p50_us"} & info.keys()


def percentiles_us(bench: Bench) -> tuple[float, float | None]:
    """Return p50 and p99 of one unit of work: the bench's own, else those of its rounds.

    A bench whose call does many says so by `units`.
    """
    info, data = bench["extra_info"], bench["stats"]["data"]
    if "p50_us" in info:
        return info["p50_us"], info.get("p99_us")
    rounds_ns = np.array(data) * 1e9
    is_enough = len(data) >= min_samples(float(P99))
    unit = 1_000 * info.get("units", 1)
    p50, p99 = (percentile(rounds_ns.astype(np.int64), p) / unit for p in (P50, P99))
    return p50, p99 if is_enough else None


def _ratio(section: Section, bench: Bench, benches: Sequence[Bench]) -> str:
    base = _baseline(section, bench, benches)
    if base is None or is_about_others(bench):
        return ""
    ratio = percentiles_us(bench)[0] / percentiles_us(base)[0]
    return f"{ratio:.2f}x" if ratio >= 0.1 else f"{ratio:.2g}x"


def _baseline(section: Section, bench: Bench, benches: Sequence[Bench]) -> Bench | None:
    """Return what a bench is compared with: the baseline of its group, or of its section."""
    if not section.baseline:
        return None
    found = [b for b in benches if section.baseline in b["name"]]
    same = [b for b in found if b["group"] == bench["group"]]
    if bench["group"]:
        return same[0] if same else None
    return found[0] if found else None


def _label(bench: Bench) -> str:
    name, _, parameter = bench["name"].partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{words}, {parameter[:-1]}" if parameter else words


def _also(info: Mapping[str, Any]) -> str:
    """Return the other numbers that were noted."""
    hidden = {"p50_us", "p99_us", "units"}
    numbers = ((k, v) for k, v in info.items() if k not in hidden and isinstance(v, int | float))
    return "; ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in numbers)


def _over_floor(result: Mapping[str, Any]) -> str:
    ours, floor = ((result[f"{of}p50_us"], result[f"{of}p99_us"]) for of in ("", "floor_"))
    return " / ".join(f"{a / b:.2f}x" if a and b else "-" for a, b in zip(ours, floor, strict=True))


def _pair(p50: float | None, p99: float | None) -> str:
    return f"{_text(p50)} / {_text(p99)}"


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
