"""What a memo about Rust is made of: one run, or one bench, as plain values.

A bench (`halftick bench tick-to-trade --json`) has a floor beside it and a paced load, and starts
with the venue's stamp of the frame. A run has what really happened, from the frame's receipt on;
what it lacks is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.backoffice.cpu_profile import profile_replay
from engine.backoffice.depths import batch_sizes, depths
from engine.backoffice.latency import STAGES, tick_to_trade
from engine.backoffice.ledger import Ledger
from engine.backoffice.observer import OBSERVED_FILE
from engine.backoffice.orders import OrderTable
from engine.host.errors import HostError, RefuseError
from engine.tape.format import TapeError
from engine.tape.reader import TapeReader

STAGE_KEYS = tuple(name for name, _, _ in STAGES)
COALESCED_MAX = 0.05  # of the ticks; beyond it an order mostly waits for the one before it


class Undecidable(HostError):
    """Numbers that say nothing about Python or Rust; the message says why."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run or bench. Times in microseconds.

    whole: p50 and p99 of an order; of a bench from the frame's own stamp at the venue, of a run
    from its receipt.  floor: the same sockets without an engine.  stages: n, p50, p99 of each.
    collections: garbage collections while orders were made.  observed: what the run's
    `ObserverDuty` saw.  depths, cpu: `Depths` and `CpuProfile` of its tape.
    """

    name: str
    setting: str
    whole: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    floor: Mapping[str, Any] | None = None
    collections: int | None = None
    observed: Mapping[str, Any] | None = None
    depths: Mapping[str, Any] | None = None
    cpu: Mapping[str, Any] | None = None
    limits_us: Mapping[str, float] | None = None
    machine: str = ""

    @property
    def is_bench(self) -> bool:
        """Whether there is a floor to compare with."""
        return self.floor is not None


def of_bench(name: str, content: Any) -> Evidence:
    """Return the evidence of what the bench printed. Raises RefuseError and Undecidable."""
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or not all(key in stages for key in STAGE_KEYS):
        raise RefuseError(f"no numbers of `halftick bench tick-to-trade --json`: file={name}")
    try:
        _refuse_overrun(name, content)
        raw = content["raw"]
        evidence = Evidence(
            name=name,
            setting=(
                f"bench, profile `{content['profile']}`, signing `{content['signing']}`, "
                f"{content['ticks']:,} ticks at {content['rate']:,}/s, "
                f"{content['coalesced']:,} coalesced"
            ),
            whole={key: raw[f"{key}_us"] for key in ("p50", "p99")},
            stages={key: stages[key] for key in STAGE_KEYS},
            floor={key: raw[f"floor_{key}_us"] for key in ("p50", "p99")},
            collections=content["gc_collections"],
            observed=content.get("observed"),
            depths=content.get("depths"),
            cpu=content.get("cpu"),
            limits_us=content.get("native_limits_us"),
            machine=content.get("machine", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefuseError(
            f"numbers of a bench are incomplete: file={name}, {type(error).__name__}: {error}"
        ) from None
    return _enough(evidence)


def of_run(path: Path) -> Evidence:
    """Return the evidence of a run's tape and of what lies beside it.

    Raises TapeError and Undecidable; what the observer left is ignored where it is of another run.
    """
    orders = OrderTable()
    with TapeReader(path) as reader:
        run_id, ledger, sizes = reader.header.run_id, Ledger(reader.header), []
        for piece in reader.slices():
            orders.apply(ledger.apply(piece))
            sizes.append(batch_sizes(piece.rows))
    latency = tick_to_trade(orders.by_id.values()).to_json()
    observed = _observed(path.with_name(OBSERVED_FILE), run_id)
    profile = f"profile `{observed['profile']}`, " if observed and observed.get("profile") else ""
    return _enough(
        Evidence(
            name=str(path),
            setting=f"run {run_id:016x}, {profile}{latency['n']:,} orders that a frame caused",
            whole={key: latency[key] for key in ("p50", "p99")},
            stages=latency["stages"],
            observed=observed,
            depths=asdict(depths(np.concatenate(sizes or [_NONE]), orders.by_id.values())),
            cpu=_profile(path),
        )
    )


_NONE = np.zeros(0, np.int64)


def _profile(path: Path) -> dict[str, Any] | None:
    """Return the CPU profile of a tape, None where this version has no core for it."""
    try:
        return asdict(profile_replay(path))
    except TapeError:
        return None


def _observed(path: Path, run_id: int) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    is_ours = isinstance(content, dict) and content.get("run_id") == run_id
    return content if is_ours else None


def _refuse_overrun(name: str, content: Mapping[str, Any]) -> None:
    """Raise Undecidable where the machine could not follow: orders then measure the queue."""
    if content["unanswered"] or content["coalesced"] > COALESCED_MAX * content["ticks"]:
        raise Undecidable(
            f"the machine could not follow, so nothing can be concluded: file={name}, "
            f"ticks={content['ticks']}, coalesced={content['coalesced']}, "
            f"unanswered={content['unanswered']}, rate={content['rate']}; lower the rate, or wait"
        )


def _enough(evidence: Evidence) -> Evidence:
    medians = [evidence.whole["p50"], *(stage["p50"] for stage in evidence.stages.values())]
    if None in medians:
        raise Undecidable(f"too few orders for a median: file={evidence.name}")
    return evidence
