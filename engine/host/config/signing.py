"""What the signer signs and sends, and how fast: `[signer]` and `[signer.rates]`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from engine.host.config.section import Section
from engine.host.config.values import (
    Amount,
    Count,
    Name,
    PositiveAmount,
    PositiveCount,
    Price,
    TokenId,
)


class Rates(Section):
    """What the venue lets one signer send: its tier's tokens, and each route's in ten seconds.

    cancels_reserve: tokens no single cancel may use, kept for a cancel of everything.
    """

    orders_per_second: PositiveCount = 40
    orders_burst: PositiveCount = 60
    cancels_per_second: PositiveCount = 80
    cancels_burst: PositiveCount = 120
    cancels_reserve: Count = 20
    post_order_per_10s: PositiveCount = 5_000
    cancel_order_per_10s: PositiveCount = 5_000
    cancel_all_per_10s: PositiveCount = 250
    look_up_per_10s: PositiveCount = 500

    @model_validator(mode="after")
    def _leaves_cancels(self) -> Self:
        if self.cancels_reserve >= self.cancels_burst:
            raise ValueError("cancels_reserve must be below cancels_burst")
        return self


class Signer(Section):
    """The signer's own policy, held against every order whatever the core believes.

    key, keystores: live only; which key signs, and the directory of its keystore, empty = the
    user's own (`halftick keys`).
    order_log: `group` writes before the send and syncs within 5 ms, `strict` syncs before the send.
    order_log_lag_ms_max: a disk that is further behind stops new orders until it has caught up.
    order_age_ms_max: an order that was decided longer ago is not sent: its book was another one.
    core_silence_ms_max: a core whose heartbeat is older is taken for dead: cancel everything.
    daily_notional_usd_max: what the orders of one UTC day may cost in all, 0 = any.
    take_usd_min: the least a purchase at once may spend; the venue refuses less.
    token_ids: the only tokens to sign for, in decimal; empty = whatever the core announces.
    order_batch_max: orders of one poll that may leave in one request, 1 = each in its own.
    resend_age_ms_max: an order not found is sent again, the same bytes, unless it is older.
    heartbeat_ms: 0 = none; else the venue cancels all of this API key's orders when it has heard
    none for heartbeat_gap_ms.
    post_only_window_ms, closed_retry_ms: how long we hold back where the venue does not say.
    clock_skew_ms_*: live only; a clock further from the venue's is counted, or stops new orders.
    nonces: signatures prepared up to the order's own bytes, 0 = none: every signature is RFC 6979.
    presigned: orders signed before they are asked for, 0 = none; around the last price of each
    kind, presigned_levels ticks up and down, their timestamp at most presigned_age_ms_max old.
    """

    key: Name | None = None
    keystores: str = ""
    order_log: Literal["group", "strict"] = "group"
    order_log_lag_ms_max: PositiveCount = 1_000
    order_age_ms_max: PositiveCount = 1_000
    connections: PositiveCount = Field(default=2, le=16)
    request_timeout_ms: PositiveCount = 5_000
    core_silence_ms_max: PositiveCount = 3_000
    price_usd_min: Price = Decimal("0.01")
    price_usd_max: Price = Decimal("0.99")
    size_shares_max: PositiveAmount = Decimal(100)
    order_notional_usd_max: PositiveAmount = Decimal(20)
    orders_per_second_max: PositiveCount = 20
    nonces: Count = Field(default=0, le=1 << 16)
    presigned: Count = Field(default=0, le=1 << 12)
    presigned_levels: Count = Field(default=3, le=100)
    presigned_age_ms_max: PositiveCount = 2_000
    daily_notional_usd_max: Amount = Field(default=Decimal(10_000), ge=0)
    take_usd_min: Amount = Field(default=Decimal(1), ge=0)
    token_ids: tuple[TokenId, ...] = Field(default=(), strict=False)
    order_batch_max: PositiveCount = Field(default=1, le=15)
    resend_age_ms_max: Count = 10_000
    heartbeat_ms: Count = 0
    heartbeat_gap_ms: PositiveCount = 10_000
    post_only_window_ms: Count = 120_000
    closed_retry_ms: PositiveCount = 5_000
    clock_skew_ms_warn: PositiveCount = 250
    clock_skew_ms_max: PositiveCount = 1_000
    rates: Rates = Rates()

    @model_validator(mode="after")
    def _is_in_time(self) -> Self:
        if 2 * self.heartbeat_ms > self.heartbeat_gap_ms:
            raise ValueError("heartbeat_ms must be at most half of heartbeat_gap_ms")
        return self
