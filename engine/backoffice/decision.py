"""The decision about Rust, component by component, and the threshold each turns on.

A stage of an order can win at most what it takes beyond its native limit: the part that no language
makes cheaper. That gain, as a share of the whole order, decides:

- **stay**: the gain is below HYBRID_SHARE; Python is not what an order waits for.
- **hybrid**: from HYBRID_SHARE; move that part into a jitted kernel or a native extension.
- **full**: from FULL_SHARE; replace the process by a native one at its rings.

Beside the path the questions are others: does a queue fill, does the collector run, does the tail
grow where the floor's does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from engine.backoffice.evidence import Evidence
from engine.backoffice.units import time_text

HYBRID_SHARE, FULL_SHARE = 0.10, 0.30  # of the order's p50
REWRITE_SHARE = 0.50  # gains of all stages together, from which on the whole path is rewritten
DEPTH_MAX = 0.25  # of a queue's capacity
TAIL_MAX = 2.0  # engine's p99 over p50, beside the floor's
BATCH_MAX = 64  # records in one poll at p99; beyond, the core is behind its feeds
FLOOR_US_MAX = 300  # two loopback sockets and a wake-up are some 100 us on a machine of one's own
ROUND_US_MAX = 10_000  # of core and signer in a run; no stage of an order is a hundredth of it
ON_THE_PATH = ("feeds.", "core", "signer")  # how processes that an order waits for are called

# A stage of the tape, the component it is, and what the native limit is.
COMPONENTS: tuple[tuple[str, str, str], ...] = (
    ("received_to_polled", "feed: decode, ring, poll", "jitted scan and one ring hop"),
    ("polled_to_published", "core: books, triggers, gates, planner", "jitted apply of the frame"),
    ("published_to_signer", "rings: core to signer", "one ring hop"),
    ("signed", "signer: policy, amounts, encode, sign", "the curve alone, libsecp256k1"),
    ("logged", "signer: order log", "one write() of the entry"),
    ("sent", "signer: HTTP and socket", "one send() on loopback"),
)


class Decision(Enum):
    """What to do with a component."""

    STAY = "stay"
    HYBRID = "hybrid"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class StageCase:
    """One stage: microseconds, and its gain as a share of the whole order's p50."""

    component: str
    p50_us: float
    p99_us: float | None
    limit_us: float
    limit: str
    share: float

    @property
    def gain_us(self) -> float:
        """What native code could win at most."""
        return max(self.p50_us - self.limit_us, 0.0)

    @property
    def decision(self) -> Decision:
        """The decision the thresholds make of it."""
        if self.share >= FULL_SHARE:
            return Decision.FULL
        return Decision.HYBRID if self.share >= HYBRID_SHARE else Decision.STAY


@dataclass(frozen=True, slots=True)
class Check:
    """A question beside the path: what was seen, where it would turn, whether it has."""

    question: str
    seen: str
    threshold: str
    is_fine: bool


def stage_cases(evidence: Evidence, limits_us: Mapping[str, float]) -> list[StageCase]:
    """Return the case of each stage beside its native limit, microseconds."""
    found = []
    for name, component, limit in COMPONENTS:
        stage, limit_us = evidence.stages[name], limits_us[name]
        share = max(stage["p50"] - limit_us, 0.0) / evidence.whole["p50"]
        found.append(StageCase(component, stage["p50"], stage["p99"], limit_us, limit, share))
    return found


def overall(cases: list[StageCase]) -> tuple[Decision, float]:
    """Return the decision for the path as a whole, and the gain of all stages as a share of it."""
    share = sum(case.share for case in cases)
    if share >= REWRITE_SHARE:
        return Decision.FULL, share
    is_partly = any(case.decision is not Decision.STAY for case in cases)
    return (Decision.HYBRID if is_partly else Decision.STAY), share


def checks(evidence: Evidence) -> Iterator[Check]:
    """Yield the questions beside the path that this evidence can answer."""
    if evidence.collections is not None:
        yield Check(
            "Does the collector run while orders are made?",
            f"{evidence.collections} collections",
            "any: stop allocating there, or leave Python",
            evidence.collections == 0,
        )
    if evidence.floor is not None and evidence.floor["p50"]:
        yield Check(
            "Was the machine quiet?",
            f"floor p50 {time_text(1_000 * evidence.floor['p50'])}",
            f"beyond {FLOOR_US_MAX} µs: others computed too, and every share is too small",
            evidence.floor["p50"] <= FLOOR_US_MAX,
        )
    ours, floor = _tail(evidence.whole), _tail(evidence.floor)
    if ours and floor:
        yield Check(
            "Is the tail Python's, or the machine's?",
            f"p99/p50 {ours:.1f}, floor's {floor:.1f}",
            f"beyond {TAIL_MAX:g} x the floor's: find what stalls before rewriting",
            ours <= TAIL_MAX * floor,
        )
    if evidence.depths is not None:
        yield _batch_check(evidence.depths)
    if evidence.observed is not None:
        yield from _queue_checks(evidence)
        yield from _process_checks(evidence)


def _batch_check(depths: Mapping[str, int]) -> Check:
    return Check(
        "Is the core behind its feeds?",
        f"{depths['batch_p99']:,} records in one poll at p99, {depths['batch_max']:,} at most",
        f"p99 beyond {BATCH_MAX}: a native feed or core",
        depths["batch_p99"] <= BATCH_MAX,
    )


def _queue_checks(evidence: Evidence) -> Iterator[Check]:
    """Yield a check a queue: the deepest the observer saw, or the tape knows of."""
    assert evidence.observed is not None
    known = {"orders": evidence.depths["orders_max"]} if evidence.depths is not None else {}
    for name, queue in evidence.observed["queues"].items():
        depth = max(queue["depth_max"], known.get(name, 0))
        yield Check(
            f"Does `{name}` back up?",
            f"{depth:,} of {queue['capacity']:,} waiting at most",
            f"beyond {DEPTH_MAX:.0%}: its consumer is too slow for Python",
            depth <= DEPTH_MAX * queue["capacity"],
        )


def _process_checks(evidence: Evidence) -> Iterator[Check]:
    assert evidence.observed is not None
    processes = evidence.observed["processes"]
    path = {name: seen for name, seen in processes.items() if name.startswith(ON_THE_PATH)}
    busy, cores = len({seen["pid"] for seen in path.values()}), evidence.observed["cores"]
    yield Check(
        "Has every process on the path a core of its own?",
        f"{busy} processes, {cores} cores",
        "more processes than cores: stages hold waits for a core, which no language shortens",
        busy <= cores,
    )
    if not evidence.is_bench and path:  # a bench stops who is not measured
        name, longest = max(path.items(), key=lambda each: float(each[1]["round_us_max"]))
        longest_ns = 1_000 * longest["round_us_max"]
        yield Check(
            "Does one round hold everything up?",
            f"{time_text(longest_ns)} in `{name}` at most",
            f"beyond {time_text(1_000 * ROUND_US_MAX)}: the collector, a compilation, or a wait",
            longest["round_us_max"] <= ROUND_US_MAX,
        )


def _tail(latency: Mapping[str, float | None] | None) -> float | None:
    if latency is None or not latency["p50"] or not latency["p99"]:
        return None
    return latency["p99"] / latency["p50"]
