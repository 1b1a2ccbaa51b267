"""The signer's own settings, in the units it works in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from signer.admission import AdmissionSettings
from signer.ladder import Rungs
from signer.policy import Limits
from signer.ratelimit import RateSettings
from signer.strategies import keys_by_number

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """Everything the signer reads of a run's settings. Money in micros, time in nanoseconds."""

    rest_url: str
    chain_id: int
    exchange_address: str | None
    neg_risk_exchange_address: str | None
    strategy_keys: tuple[int, ...]
    order_log_strict: bool
    order_log_lag_ns_max: int
    order_age_ns_max: int
    connections: int
    request_timeout_ns: int
    core_silence_ns_max: int
    limits: Limits
    rungs: Rungs
    admission: AdmissionSettings
    rates: RateSettings
    order_batch_max: int
    resend_age_ns_max: int
    heartbeat_ns: int
    heartbeat_gap_ns: int
    clock_skew_ns_warn: int

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SignerSettings:
        """Return what the signer reads in `run.json`: sections run, venue, signer, strategy."""
        venue, signer = settings["venue"], settings["signer"]
        is_live = settings["run"]["mode"] == "live"
        return cls(
            rest_url=venue["rest_url"],
            chain_id=venue["chain_id"],
            exchange_address=venue.get("exchange_address"),
            neg_risk_exchange_address=venue.get("neg_risk_exchange_address"),
            strategy_keys=keys_by_number(settings.get("strategy", {})),
            order_log_strict=signer["order_log"] == "strict",
            order_log_lag_ns_max=signer["order_log_lag_ms_max"] * _NS_PER_MS,
            order_age_ns_max=signer["order_age_ms_max"] * _NS_PER_MS,
            connections=signer["connections"],
            request_timeout_ns=signer["request_timeout_ms"] * _NS_PER_MS,
            core_silence_ns_max=signer["core_silence_ms_max"] * _NS_PER_MS,
            limits=Limits(
                price_min=_micros(signer["price_usd_min"]),
                price_max=_micros(signer["price_usd_max"]),
                size_max=_micros(signer["size_shares_max"]),
                notional_max=_micros(signer["order_notional_usd_max"]),
                orders_per_second_max=signer["orders_per_second_max"],
                daily_notional_max=_micros(signer["daily_notional_usd_max"]),
                take_min=_micros(signer["take_usd_min"]),
                token_ids=frozenset(int(token_id) for token_id in signer["token_ids"]),
            ),
            rungs=Rungs(
                nonces=signer["nonces"],
                presigned=signer["presigned"],
                presigned_levels=signer["presigned_levels"],
                presigned_age_ns_max=signer["presigned_age_ms_max"] * _NS_PER_MS,
            ),
            admission=AdmissionSettings(
                post_only_window_ns=signer["post_only_window_ms"] * _NS_PER_MS,
                closed_retry_ns=signer["closed_retry_ms"] * _NS_PER_MS,
                # The local exchange's clock is the recording's: only a live venue's means anything.
                clock_skew_ns_max=signer["clock_skew_ms_max"] * _NS_PER_MS if is_live else 0,
            ),
            rates=RateSettings(**signer["rates"]),
            order_batch_max=signer["order_batch_max"],
            resend_age_ns_max=signer["resend_age_ms_max"] * _NS_PER_MS,
            heartbeat_ns=signer["heartbeat_ms"] * _NS_PER_MS,
            heartbeat_gap_ns=signer["heartbeat_gap_ms"] * _NS_PER_MS,
            clock_skew_ns_warn=signer["clock_skew_ms_warn"] * _NS_PER_MS if is_live else 0,
        )


def _micros(value: str | float) -> int:
    return int(Decimal(str(value)) * 1_000_000)
