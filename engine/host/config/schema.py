"""Every setting there is: its name with its unit, its type, its bounds and its safe default.

One TOML file becomes one frozen `Settings`; an unknown key is an error. `settings.to_json()` is
what travels in `run.json`: plain values, decimals as text; `Settings.from_json` is its inverse.
There is no secret among the settings.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.host.config.values import (
    Address,
    Amount,
    Capacity,
    Count,
    HttpUrl,
    Name,
    Port,
    PositiveAmount,
    PositiveCount,
    Price,
    TokenId,
    WsUrl,
)
from engine.host.loopback import is_loopback

Profile = Literal["shared", "pipeline", "fused"]
FeedName = Literal["gamma", "clob_market", "clob_user"]


class Section(BaseModel):
    """What all tables have in common: frozen, no unknown keys, no guessing at types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Run(Section):
    """Which run this is. directory: what outlives it; relative to where the command is called."""

    name: Name
    directory: str = Field(min_length=1)
    mode: Literal["paper", "live"] = "paper"
    profile: Profile = "shared"


class Venue(Section):
    """Where the venue answers. Contract addresses default to the chain's own, by generation."""

    rest_url: HttpUrl
    market_ws_url: WsUrl
    user_ws_url: WsUrl
    gamma_url: HttpUrl
    chain_id: PositiveCount = 137
    exchange_address: Address | None = None
    neg_risk_exchange_address: Address | None = None


class Markets(Section):
    """What to trade: markets by slug, and every open market of a series."""

    slugs: tuple[str, ...] = Field(default=(), strict=False)
    series_ids: tuple[PositiveCount, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _names_any(self) -> Self:
        if not self.slugs and not self.series_ids:
            raise ValueError("must name a market: slugs and series_ids are both empty")
        return self


class FeedGroup(Section):
    """One feed process: the feeds in it and how they treat their connections.

    rotate_ms: how old the market socket may grow before another takes over.  quiet_ms: how long a
    book may be silent while others move before it is compared with the venue's REST answer.
    """

    feeds: tuple[FeedName, ...] = Field(min_length=1, strict=False)
    reconnect_ms_min: PositiveCount = 100
    reconnect_ms_max: PositiveCount = 10_000
    silence_ms_max: PositiveCount = 30_000
    ping_ms: PositiveCount = 10_000
    gamma_poll_ms: PositiveCount = 5_000
    rotate_ms: PositiveCount = 600_000
    quiet_ms: PositiveCount = 5_000

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.reconnect_ms_min > self.reconnect_ms_max:
            raise ValueError("reconnect_ms_min must not exceed reconnect_ms_max")
        return self


class DutchBook(Section):
    """Buy both outcomes when together they cost less than they pay, fees included."""

    enabled: bool = False
    edge_usd_min: Amount = Field(default=Decimal("0.005"), ge=0)
    size_shares_max: PositiveAmount = Decimal(100)
    cooldown_ms: Count = 1_000


class Spread(Section):
    """Bid for both outcomes, post-only, together never above target_total_usd."""

    enabled: bool = False
    size_shares: PositiveAmount = Decimal(10)
    target_total_usd: PositiveAmount = Field(default=Decimal("0.98"), lt=1)
    improve_ticks: int = 0
    price_usd_min: Price = Decimal("0.05")
    price_usd_max: Price = Decimal("0.95")
    imbalance_shares_moderate: PositiveAmount = Decimal(20)
    imbalance_shares_hard: PositiveAmount = Decimal(50)
    lead_s: Count = 0
    cutoff_s: Count = 60
    requote_ms: Count = 250
    requote_ticks_min: PositiveCount = 1

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.price_usd_min >= self.price_usd_max:
            raise ValueError("price_usd_min must be below price_usd_max")
        if self.imbalance_shares_moderate > self.imbalance_shares_hard:
            raise ValueError("imbalance_shares_moderate must not exceed imbalance_shares_hard")
        return self


class Plugin(Section):
    """A strategy from outside: the class at `path`, and parameters of its own.

    path: `module:Class`, importable where halftick is installed.  A parameter is a number; one
    that is no whole number is money or shares and says so in its name (`edge_usd_min`).
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Amount] = Field(init=False)

    path: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    enabled: bool = False

    @model_validator(mode="after")
    def _is_in_units(self) -> Self:
        for name, value in self.__pydantic_extra__.items():
            if value % 1 and not ("_usd" in name or "_shares" in name):
                raise ValueError(f"must be a whole number, or be in usd or shares: {name}={value}")
        return self


class Strategies(Section):
    """The strategies by name; none trades unless it says `enabled = true`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Name, Plugin] = Field(init=False)

    dutch_book: DutchBook = DutchBook()
    spread: Spread = Spread()


class Risk(Section):
    """What the core's gates hold every order against. Small by default."""

    order_notional_usd_max: PositiveAmount = Decimal(10)
    market_notional_usd_max: PositiveAmount = Decimal(50)
    total_notional_usd_max: PositiveAmount = Decimal(100)
    book_age_ms_max: PositiveCount = 5_000
    orders_per_second_max: PositiveCount = 10
    orders_open_max: PositiveCount = 20
    cash_usd_min: Amount = Field(default=Decimal(0), ge=0)

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.order_notional_usd_max > self.market_notional_usd_max:
            raise ValueError("order_notional_usd_max must not exceed market_notional_usd_max")
        if self.market_notional_usd_max > self.total_notional_usd_max:
            raise ValueError("market_notional_usd_max must not exceed total_notional_usd_max")
        return self


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


class Recorder(Section):
    """What is kept. lag_ms_max: how long trading goes on without a recorder. 0 = no metrics."""

    sqlite: bool = True
    metrics_port: Port = 0
    lag_ms_max: PositiveCount = 5_000


class RingCapacity(Section):
    """Records a ring holds (128 bytes each), powers of two."""

    md: Capacity = 1 << 16
    private: Capacity = 1 << 13
    control: Capacity = 1 << 6
    orders: Capacity = 1 << 12
    exec: Capacity = 1 << 13
    tape: Capacity = 1 << 18


class RingMemory(Section):
    """What to ask of the kernel for the rings. locked: never swapped out, or nothing starts."""

    locked: bool = False
    huge_pages: bool = False


class Host(Section):
    """How processes run and are watched.

    park: what ends the sleep of an idle core, see `Idle`.  warm_us: how long after a dry run the
    next may follow in a loop that never sleeps (fused, pipeline), 0 = none; see `DutyLoop`.
    """

    ring_capacity: RingCapacity = RingCapacity()
    ring_memory: RingMemory = RingMemory()
    park: Literal["timer", "futex"] = "timer"
    park_us: PositiveCount = 100
    warm_us: Count = 150
    instruments_max: PositiveCount = 256
    ready_ms_max: PositiveCount = 60_000
    heartbeat_ms_max: PositiveCount = 10_000
    stop_ms_max: PositiveCount = 10_000
    restarts_per_minute_max: Count = 5


class Exchange(Section):
    """The local venue of paper mode. seed: its keys and ids follow from it, empty = random."""

    balance_usd: PositiveAmount = Decimal(1_000)
    taker_delay_ms: Count = 150
    seed: str = Field(default="", max_length=64)


class Process(Section):
    """Another command for a process; the run's directory and the secrets option are appended."""

    command: tuple[str, ...] = Field(min_length=1, strict=False)


class Settings(Section):
    """A whole configuration."""

    run: Run
    venue: Venue
    markets: Markets
    feeds: dict[Name, FeedGroup] = Field(min_length=1)
    strategy: Strategies = Strategies()
    risk: Risk = Risk()
    signer: Signer = Signer()
    recorder: Recorder = Recorder()
    host: Host = Host()
    exchange: Exchange = Exchange()
    process: dict[str, Process] = {}

    @model_validator(mode="after")
    def _has_each_feed_once(self) -> Self:
        times = Counter(feed for group in self.feeds.values() for feed in group.feeds)
        for feed, count in times.items():
            if count > 1:
                raise ValueError(f"a feed must be in one group, once: feed={feed}, times={count}")
        return self

    @model_validator(mode="after")
    def _is_fit_for_live(self) -> Self:
        """A live run names its key, bounds its day, hears of its fills, sends over TLS alone."""
        if self.run.mode != "live":
            return self
        wrong = [] if self.signer.key is not None else ["signer.key must name a key"]
        for name in ("rest_url", "user_ws_url", "market_ws_url", "gamma_url"):
            url = getattr(self.venue, name)
            if not url.startswith(("https://", "wss://")) and not is_loopback(url):
                wrong.append(f"venue.{name} must be encrypted: url={url}")
        if not self.signer.daily_notional_usd_max:
            wrong.append("signer.daily_notional_usd_max must bound what a day may cost")
        if all("clob_user" not in group.feeds for group in self.feeds.values()):
            wrong.append("a feed group must have the feed clob_user, or no fill is ever heard of")
        if wrong:
            raise ValueError(f"not fit for live mode: {'; '.join(wrong)}")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values, every default written out."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Settings:
        """Return the settings `to_json` wrote."""
        return cls.model_validate_json(orjson.dumps(value))
