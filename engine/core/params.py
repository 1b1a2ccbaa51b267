"""Everything the core is told before it starts; one canonical JSON text, kept in the tape's header.

Replaying a tape needs nothing else: the same inputs under the same parameters give the same
commands. Money in micros, sizes in micro-shares, durations in nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from engine.math.units import MICROS


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What the gates hold every order against."""

    order_notional_max: int
    market_notional_max: int
    total_notional_max: int
    book_age_ns_max: int
    orders_per_second_max: int
    orders_open_max: int
    cash_min: int
    private_sign_age_ns_max: int
    read_back_age_ns_max: int


@dataclass(frozen=True, slots=True)
class StrategyParams:
    """One strategy: its name, the dotted path of its class and its own parameters."""

    name: str
    path: str
    values: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineParams:
    """The core's parameters. `run_seed` makes order ids and salts of two runs differ."""

    run_seed: int
    instruments_max: int
    risk: RiskLimits
    strategies: tuple[StrategyParams, ...]

    def to_json(self) -> str:
        """Return the canonical text: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | str) -> EngineParams:
        """Return the parameters `to_json` wrote, from its text or the parsed object."""
        raw: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value
        return cls(
            run_seed=int(raw["run_seed"]),
            instruments_max=int(raw["instruments_max"]),
            risk=RiskLimits(**raw["risk"]),
            strategies=tuple(StrategyParams(**s) for s in raw["strategies"]),
        )


STRATEGY_PATHS = {
    "dutch_book": "engine.core.strategies.dutch_book:DutchBook",
    "spread": "engine.core.strategies.spread:Spread",
}

_SCALES = {"_usd": MICROS, "_shares": MICROS, "_ms": 1_000_000, "_s": 1_000_000_000}


def _scaled(name: str, value: Any) -> int:
    """Return a setting as the core's integer: the unit in its name says the scale."""
    scales = (s for unit, s in _SCALES.items() if name.endswith(unit) or f"{unit}_" in name)
    exact = Decimal(str(value)) * next(scales, 1)
    if exact != int(exact):
        raise ValueError(f"setting is finer than the core's unit: {name}={value}")
    return int(exact)


def from_settings(settings: Mapping[str, Any], *, run_seed: int) -> EngineParams:
    """Return the core's parameters for resolved settings (`engine.host.config.schema`).

    Strategies that are not enabled are left out; a strategy's id on the wire is its position,
    counted from 1.
    """
    risk = settings["risk"]
    strategies = []
    for name, values in settings["strategy"].items():
        if not values.get("enabled", True):
            continue
        path = values.get("path") or STRATEGY_PATHS[name]
        own = {k: _scaled(k, v) for k, v in values.items() if k not in ("enabled", "path")}
        strategies.append(StrategyParams(name, path, own))
    limits = RiskLimits(
        order_notional_max=_scaled("order_notional_usd_max", risk["order_notional_usd_max"]),
        market_notional_max=_scaled("market_notional_usd_max", risk["market_notional_usd_max"]),
        total_notional_max=_scaled("total_notional_usd_max", risk["total_notional_usd_max"]),
        book_age_ns_max=_scaled("book_age_ms_max", risk["book_age_ms_max"]),
        orders_per_second_max=int(risk["orders_per_second_max"]),
        orders_open_max=int(risk["orders_open_max"]),
        cash_min=_scaled("cash_usd_min", risk["cash_usd_min"]),
        private_sign_age_ns_max=_scaled("private_silence_ms_max", risk["private_silence_ms_max"]),
        read_back_age_ns_max=_scaled("read_back_age_ms_max", risk["read_back_age_ms_max"]),
    )
    return EngineParams(
        run_seed=run_seed,
        instruments_max=int(settings["host"]["instruments_max"]),
        risk=limits,
        strategies=tuple(strategies),
    )
