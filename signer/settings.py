"""The signer's own settings, in the units it works in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from signer.ladder import Rungs
from signer.policy import Limits

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """Everything the signer reads of a run's settings. Money in micros, time in nanoseconds."""

    rest_url: str
    chain_id: int
    exchange_address: str | None
    neg_risk_exchange_address: str | None
    order_log_strict: bool
    connections: int
    request_timeout_ns: int
    core_silence_ns_max: int
    limits: Limits
    rungs: Rungs

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SignerSettings:
        """Return the signer's part of the settings in `run.json`: sections venue and signer."""
        venue, signer = settings["venue"], settings["signer"]
        return cls(
            rest_url=venue["rest_url"],
            chain_id=venue["chain_id"],
            exchange_address=venue.get("exchange_address"),
            neg_risk_exchange_address=venue.get("neg_risk_exchange_address"),
            order_log_strict=signer["order_log"] == "strict",
            connections=signer["connections"],
            request_timeout_ns=signer["request_timeout_ms"] * _NS_PER_MS,
            core_silence_ns_max=signer["core_silence_ms_max"] * _NS_PER_MS,
            limits=Limits(
                price_min=_micros(signer["price_usd_min"]),
                price_max=_micros(signer["price_usd_max"]),
                size_max=_micros(signer["size_shares_max"]),
                notional_max=_micros(signer["order_notional_usd_max"]),
                orders_per_second_max=signer["orders_per_second_max"],
            ),
            rungs=Rungs(
                nonces=signer.get("nonces", 0),
                presigned=signer.get("presigned", 0),
                presigned_levels=signer.get("presigned_levels", 0),
                presigned_age_ns_max=signer.get("presigned_age_ms_max", 0) * _NS_PER_MS,
            ),
        )


def _micros(value: str | float) -> int:
    return int(Decimal(str(value)) * 1_000_000)
