"""What the bench measured, and its percentiles by the rules of HdrHistogram.

Latency counts from a tick's *intended* time, so a venue or an engine that was held up cannot hide
the ticks that waited (coordinated omission); `raw` counts from the moment the frame was sent. A
tick is answered by the first order that knows of it: when several ticks were taken in one batch,
the last one's order answers them all. Ticks that no order has answered are in no percentile; they
are counted beside them. A percentile the sample is too small for is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from engine.backoffice.latency import Percentiles, percentiles
from engine.bench import market
from engine.bench.plan import Plan
from engine.bench.stages import IN_PROCESS, STAGES

LATE_NS = 1_000_000_000
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Played:
    """The counted ticks of one round, int64[n] each, monotonic nanoseconds.

    answered_ns: when the first order that knows of the tick arrived, NEVER = none did.
    """

    client: str
    first_tick: int
    intended_ns: np.ndarray
    sent_ns: np.ndarray
    answered_ns: np.ndarray
    coalesced: int
    collections: int

    @classmethod
    def of(cls, client: str, content: dict[str, Any], counted: slice, collections: int) -> Self:
        """Return the counted ticks of the round the venue told of."""
        intended_ns, sent_ns, arrived_ns = (
            np.array(content[name], np.int64) for name in ("intended_ns", "sent_ns", "arrived_ns")
        )
        return cls(
            client,
            content["first_tick"] + counted.start,
            intended_ns[counted],
            sent_ns[counted],
            answers(arrived_ns)[counted],
            int((arrived_ns[counted] == 0).sum()),
            collections,
        )

    @property
    def unanswered(self) -> int:
        """How many ticks no order knows of."""
        return int((self.answered_ns == NEVER).sum())

    def armed(self, *, are_armed: bool) -> Played:
        """Return the ticks whose order was armed before them, or was not."""
        ticks = self.first_tick + np.arange(len(self.sent_ns))
        chosen = market.is_armed(ticks) == are_armed
        return replace(
            self,
            intended_ns=self.intended_ns[chosen],
            sent_ns=self.sent_ns[chosen],
            answered_ns=self.answered_ns[chosen],
        )

    def latency_ns(self, *, raw: bool = False) -> np.ndarray:
        """Return int64[answered] from intended (raw: sent) to the order's arrival."""
        since = self.sent_ns if raw else self.intended_ns
        return np.maximum(self.answered_ns - since, 0)[self.answered_ns < NEVER]

    def stages_ns(self, stamps: np.ndarray) -> np.ndarray:
        """Return int64[k, len(STAGES)] of the answered ticks whose order is among `stamps`."""
        trigger_ns = stamps[:, 1]
        within = (trigger_ns >= self.sent_ns[0]) & (trigger_ns < self.sent_ns[-1] + LATE_NS)
        ours = stamps[within]
        tick = (ours[:, 0] - self.first_tick) % market.TICKS
        ours, tick = ours[tick < len(self.sent_ns)], tick[tick < len(self.sent_ns)]
        path = np.column_stack((self.sent_ns[tick], ours[:, 1:], self.answered_ns[tick]))
        return np.diff(path[path[:, -1] < NEVER], axis=1)


@dataclass(frozen=True, slots=True)
class Way:
    """The ticks whose orders were armed before them, or those whose were not."""

    engine: Percentiles
    stages: dict[str, Percentiles]

    @classmethod
    def of(cls, engines: Sequence[Played], stamps: np.ndarray, are_armed: bool) -> Self:
        """Return one way's part of the engine's rounds."""
        ours = stamps[market.is_armed(stamps[:, 0]) == are_armed]
        steps = np.concatenate([each.stages_ns(ours) for each in engines])
        return cls(_all([each.armed(are_armed=are_armed) for each in engines]), _by_stage(steps))

    def to_json(self) -> dict[str, Any]:
        """Return its part of what `--json` prints; microseconds."""
        return {**_named("", self.engine), "stages": _stages_json(self.stages)}


WAYS = (("armed", True), ("unarmed", False))


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run of the bench. in_process: from a frame's receipt to its order in the log."""

    profile: str
    signing: str
    signed: dict[str, int]  # orders by rung, the uncounted ones too
    rate: int
    ticks: int
    coalesced: int
    unanswered: int
    floor_unanswered: int
    gc_collections: int
    engine: Percentiles
    floor: Percentiles
    engine_raw: Percentiles
    floor_raw: Percentiles
    in_process: Percentiles
    stages: dict[str, Percentiles]
    ways: dict[str, Way]  # "armed" and "unarmed", where both were measured
    rounds: tuple[tuple[int, int], ...]  # (floor p50, engine p50) of each pair, nanoseconds

    @classmethod
    def of(
        cls, plan: Plan, played: Sequence[Played], stamps: np.ndarray, signed: dict[str, int]
    ) -> Self:
        """Return the result of all rounds, floor and engine in turn."""
        floors, engines = played[::2], played[1::2]
        steps = np.concatenate([each.stages_ns(stamps) for each in engines])
        return cls(
            profile=plan.profile,
            signing=plan.signing,
            signed=signed,
            rate=plan.rate,
            ticks=sum(len(each.sent_ns) for each in engines),
            coalesced=sum(each.coalesced for each in engines),
            unanswered=sum(each.unanswered for each in engines),
            floor_unanswered=sum(each.unanswered for each in floors),
            gc_collections=sum(each.collections for each in engines),
            engine=_all(engines),
            floor=_all(floors),
            engine_raw=_all(engines, raw=True),
            floor_raw=_all(floors, raw=True),
            in_process=percentiles(steps[:, IN_PROCESS].sum(axis=1)),
            stages=_by_stage(steps),
            ways={name: Way.of(engines, stamps, is_it) for name, is_it in WAYS if plan.armed},
            rounds=tuple((_median(f), _median(e)) for f, e in zip(floors, engines, strict=True)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `halftick bench tick-to-trade --json` prints; microseconds."""
        return {
            "profile": self.profile,
            "signing": self.signing,
            "signed": self.signed,
            "rate": self.rate,
            "ticks": self.ticks,
            "coalesced": self.coalesced,
            "unanswered": self.unanswered,
            "floor_unanswered": self.floor_unanswered,
            **_named("", self.engine),
            **_named("floor_", self.floor),
            **{name: way.to_json() for name, way in self.ways.items()},
            "raw": {**_named("", self.engine_raw), **_named("floor_", self.floor_raw)},
            "in_process": self.in_process.to_json(),
            "stages": _stages_json(self.stages),
            "gc_collections": self.gc_collections,
            "rounds_p50_us": [[floor / 1000, engine / 1000] for floor, engine in self.rounds],
        }


def answers(arrived_ns: np.ndarray) -> np.ndarray:
    """Return when each tick was answered, by its own order or by the first after it.

    arrived_ns: int64[n], when each tick's own order arrived, 0 = there is none.
    """
    own = np.where(arrived_ns > 0, arrived_ns, NEVER)
    return np.minimum.accumulate(own[::-1])[::-1]


def _by_stage(steps: np.ndarray) -> dict[str, Percentiles]:
    return {name: percentiles(steps[:, i]) for i, name in enumerate(STAGES)}


def _stages_json(stages: dict[str, Percentiles]) -> dict[str, Any]:
    return {name: stage.to_json() for name, stage in stages.items()}


def _all(played: Sequence[Played], *, raw: bool = False) -> Percentiles:
    return percentiles(np.concatenate([each.latency_ns(raw=raw) for each in played]))


def _median(played: Played) -> int:
    return percentiles(played.latency_ns()).p50 or 0


def _named(prefix: str, found: Percentiles) -> dict[str, float | None]:
    values = found.to_json()
    return {f"{prefix}{name}_us": values[name] for name in ("p50", "p99", "p999")}
