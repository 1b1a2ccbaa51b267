"""Every setting there is: its name with its unit, its type, its bounds and its safe default.

One TOML file becomes one frozen `Settings`; an unknown key is an error. `settings.to_json()` is
what travels in `run.json`: plain values, decimals as text; `Settings.from_json` is its inverse.
There is no secret among the settings. Strategies and limits are in `trading`, the signer's in
`signing`, the rest is here.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Literal, Self

import orjson
from pydantic import Field, model_validator

from engine.host.config.section import Section
from engine.host.config.signing import Signer
from engine.host.config.trading import Risk, Strategies
from engine.host.config.values import (
    Address,
    Capacity,
    Count,
    HttpUrl,
    Name,
    Port,
    PositiveAmount,
    PositiveCount,
    WsUrl,
)
from engine.host.loopback import is_loopback

Profile = Literal["shared", "pipeline", "fused"]
FeedName = Literal["gamma", "clob_market", "clob_user"]


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
    snapshot_ms: how long after a subscription a book may be missing before it is asked for anew.
    """

    feeds: tuple[FeedName, ...] = Field(min_length=1, strict=False)
    reconnect_ms_min: PositiveCount = 100
    reconnect_ms_max: PositiveCount = 10_000
    silence_ms_max: PositiveCount = 30_000
    ping_ms: PositiveCount = 10_000
    gamma_poll_ms: PositiveCount = 5_000
    rotate_ms: PositiveCount = 600_000
    quiet_ms: PositiveCount = 5_000
    snapshot_ms: PositiveCount = 3_000

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.reconnect_ms_min > self.reconnect_ms_max:
            raise ValueError("reconnect_ms_min must not exceed reconnect_ms_max")
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
    instruments_max: how many a run can trade, two a market, none twice: 16,384 are 85 days of
    quarter-hours. Those that are over cost no memory.
    cancel_ms_max: how long the supervisor goes on cancelling at the venue by itself, until there is
    evidence that no order is open.
    """

    ring_capacity: RingCapacity = RingCapacity()
    ring_memory: RingMemory = RingMemory()
    park: Literal["timer", "futex"] = "timer"
    park_us: PositiveCount = 100
    warm_us: Count = 150
    instruments_max: int = Field(default=16_384, ge=2, le=1 << 20)
    ready_ms_max: PositiveCount = 60_000
    heartbeat_ms_max: PositiveCount = 10_000
    stop_ms_max: PositiveCount = 10_000
    cancel_ms_max: PositiveCount = 30_000
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
    process: dict[str, Process] = Field(default_factory=dict)

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
