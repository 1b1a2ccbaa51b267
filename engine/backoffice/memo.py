"""The memo about Rust as Markdown: decisions, what they turn on, and how that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.backoffice.cpu_profile import KERNELS
from engine.backoffice.decision import (
    COMPONENTS,
    FULL_SHARE,
    HYBRID_SHARE,
    REWRITE_SHARE,
    Decision,
    StageCase,
    checks,
    overall,
    stage_cases,
)
from engine.backoffice.evidence import Evidence
from engine.backoffice.units import time_text

MODULES = 8  # of the core's, in the table

_PROFILE_METHOD = (
    "Method: cProfile over a replay of this run's tape through a fresh core: the same batches "
    "without sockets and waits. The profiler makes small Python calls dearer, so Python's share "
    "is an upper bound; the time a batch is of a replay without it. Live processes are not "
    "profiled: it would change them, and one holds a key."
)


def memo(
    sources: Sequence[Evidence],
    limits_us: Mapping[str, float],
    machine: str,
    silent: Sequence[str] = (),
) -> str:
    """Return the whole memo. The first source decides, the others stand beside it.

    limits_us, machine: measured now, for sources that do not bring their own.  silent: why further
    sources say nothing.
    """
    return "\n".join(_lines(sources, limits_us, machine, silent)) + "\n"


def _lines(
    sources: Sequence[Evidence], limits_us: Mapping[str, float], machine: str, silent: Sequence[str]
) -> Iterator[str]:
    deciding = sources[0]
    cases = [stage_cases(source, source.limits_us or limits_us) for source in sources]
    decision, share = overall(cases[0])
    yield "# Python or Rust: what the numbers say"
    yield ""
    yield "Written by `halftick memo`; run it again on the machine that matters."
    yield ""
    yield f"**The path as a whole: {decision.value}.** " + _verdict(cases[0])
    yield ""
    if unsettled := [check.question for check in checks(deciding) if not check.is_fine]:
        yield f"Before any rewriting, beside the path (below): {' '.join(unsettled)}"
        yield ""
    yield from _sources(sources, machine)
    for why in silent:
        yield f"Left out: {why}."
        yield ""
    yield "## Component by component"
    yield ""
    yield from _stage_table(cases[0])
    yield ""
    yield (
        f"A part **stays** below {HYBRID_SHARE:.0%} of an order's p50, becomes **hybrid** (a "
        "jitted kernel or a native extension in the same process) from there, and is replaced in "
        f"**full** (a native process at its rings) from {FULL_SHARE:.0%}. All stages together "
        f"could win at most {share:.0%} ({_us(share * deciding.whole['p50'])}); from "
        f"{REWRITE_SHARE:.0%} on the path is rewritten."
    )
    yield ""
    yield (
        "The native limit is what no language makes cheaper: machine code and system calls alone, "
        "with cold caches, as between two ticks. Nothing is counted for what a native stage would "
        "add around them, so a gain is an upper bound. What a ring takes beyond its limit is "
        "waiting, for its reader's next look or for a core: the profile and a core each come "
        "before another language."
    )
    yield ""
    yield "Where each decision turns:"
    yield ""
    yield from (f"- {_turning(case, deciding.whole['p50'])}" for case in cases[0])
    yield ""
    if len(sources) > 1:
        yield from _elsewhere(sources, cases)
    for source in sources:
        yield from _beside(source)


def _verdict(cases: Sequence[StageCase]) -> str:
    """Return which components should not stay as they are, most to win first."""
    moved = sorted(
        (case for case in cases if case.decision is not Decision.STAY), key=lambda c: -c.share
    )
    if not moved:
        return "No component is worth leaving Python for."
    parts = (f"{c.component} ({c.decision.value}, up to {_us(c.gain_us)})" for c in moved)
    return f"Worth looking at, in this order: {'; '.join(parts)}. All others stay."


def _sources(sources: Sequence[Evidence], machine: str) -> Iterator[str]:
    yield "| evidence | what | p50 | p99 | floor p50 | floor p99 |"
    yield "|---|---|---:|---:|---:|---:|"
    for number, source in enumerate(sources):
        floor = source.floor or {"p50": None, "p99": None}
        mark = " (decides)" if number == 0 and len(sources) > 1 else ""
        yield (
            f"| `{source.name}`{mark} | {source.setting} | {_us(source.whole['p50'])} "
            f"| {_us(source.whole['p99'])} | {_us(floor['p50'])} | {_us(floor['p99'])} |"
        )
    yield ""
    yield (
        "A bench counts from the venue's stamp of the frame to the order's last byte at the venue, "
        "both on this machine; its floor is the same sockets without an engine. A run counts from "
        "the frame's receipt to the last byte written: shares of it are larger, for neither "
        "sockets nor network are in the whole."
    )
    yield ""
    yield f"Machine: {sources[0].machine or machine}."
    yield ""


def _stage_table(cases: Sequence[StageCase]) -> Iterator[str]:
    yield "| component | p50 | p99 | native limit | gain at most | of the order | decision |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for case in cases:
        yield (
            f"| {case.component} | {_us(case.p50_us)} | {_us(case.p99_us)} "
            f"| {_us(case.limit_us)} ({case.limit}) | {_us(case.gain_us)} | {case.share:.0%} "
            f"| **{case.decision.value}** |"
        )


def _turning(case: StageCase, order_us: float) -> str:
    """Return where this component's decision would be another one."""
    at = {
        Decision.STAY: (HYBRID_SHARE, "hybrid above"),
        Decision.HYBRID: (FULL_SHARE, "full above"),
        Decision.FULL: (FULL_SHARE, "hybrid below"),
    }
    share, word = at[case.decision]
    turn_us = case.limit_us + share * order_us
    return f"{case.component}: {case.decision.value} at {_us(case.p50_us)}, {word} {_us(turn_us)}"


def _elsewhere(sources: Sequence[Evidence], cases: Sequence[Sequence[StageCase]]) -> Iterator[str]:
    yield "## Does it hold elsewhere?"
    yield ""
    yield f"| component | {' | '.join(f'`{source.name}`' for source in sources)} |"
    yield f"|---|{'---|' * len(sources)}"
    for number, (_, component, _) in enumerate(COMPONENTS):
        cells = (f"{c[number].decision.value}, {_us(c[number].p50_us)}" for c in cases)
        yield f"| {component} | {' | '.join(cells)} |"
    totals = (f"**{overall(list(each))[0].value}**" for each in cases)
    yield f"| the path as a whole | {' | '.join(totals)} |"
    yield ""


def _beside(source: Evidence) -> Iterator[str]:
    """Yield what lies beside the path of one source: checks, processes, CPU."""
    found = list(checks(source))
    if not found and source.cpu is None:
        return
    yield f"## Beside the path: `{source.name}`"
    yield ""
    if found:
        yield "| question | seen | turns at | |"
        yield "|---|---|---|---|"
        for check in found:
            verdict = "fine" if check.is_fine else "**look**"
            yield f"| {check.question} | {check.seen} | {check.threshold} | {verdict} |"
        yield ""
    if source.observed is not None:
        yield from _process_table(source.observed, is_bench=source.is_bench)
    if source.cpu is not None:
        yield from _cpu_table(source.cpu)


def _process_table(observed: Mapping[str, Any], *, is_bench: bool) -> Iterator[str]:
    yield "| process | rounds | handled | longest round | collections | CPU own | kernel | errors |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name, seen in observed["processes"].items():
        yield (
            f"| {name} | {seen['rounds']:,} | {seen['work']:,} | {_us(seen['round_us_max'])} "
            f"| {seen['collections']:,} | {seen['user_s']:.1f} s | {seen['system_s']:.1f} s "
            f"| {seen['errors']:,} |"
        )
    yield ""
    stopped = " A bench stops who is not measured; its longest round is that." if is_bench else ""
    yield (
        f"Read from shared memory and /proc by the recorder, {observed['samples']:,} times. CPU is "
        "of the whole process, its start included; the collector runs only where nothing has "
        f"happened for a while.{stopped}"
    )
    yield ""


def _cpu_table(cpu: Mapping[str, Any]) -> Iterator[str]:
    a_batch_us = 1e6 * cpu["seconds"] / max(cpu["batches"], 1)
    modules: dict[str, float] = cpu["modules"]
    shown = list(modules.items())[:MODULES]
    yield (
        f"The core's CPU: {_us(a_batch_us)} a batch, {cpu['records']:,} records in "
        f"{cpu['batches']:,} batches; {modules.get(KERNELS, 0.0):.0%} of it in jitted kernels, "
        "which are machine code already. Own time by module:"
    )
    yield ""
    yield "| module | of the core's time |"
    yield "|---|---:|"
    yield from (f"| {name} | {share:.0%} |" for name, share in shown)
    yield f"| the other {len(modules) - len(shown)} | {1 - sum(s for _, s in shown):.0%} |"
    yield ""
    yield _PROFILE_METHOD
    yield ""


def _us(value: float | None) -> str:
    return "–" if value is None else time_text(1_000 * value)
