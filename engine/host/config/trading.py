"""What to trade with and within which limits: `[strategy.*]` and `[risk]`."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from engine.host.config.section import Section
from engine.host.config.values import Amount, Count, Name, PositiveAmount, PositiveCount, Price


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
    improve_ticks: int = Field(default=0, ge=-1_000, le=1_000)
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
    """What the core's gates hold every order against. Small by default.

    private_silence_ms_max: how long the private feed may give no sign of life.
    read_back_age_ms_max: how long ago the last complete read-back of the account may have begun.
    Beyond either nothing is opened and what rests is pulled: a fill would not be seen.
    """

    order_notional_usd_max: PositiveAmount = Decimal(10)
    market_notional_usd_max: PositiveAmount = Decimal(50)
    total_notional_usd_max: PositiveAmount = Decimal(100)
    book_age_ms_max: PositiveCount = 5_000
    orders_per_second_max: PositiveCount = 10
    orders_open_max: PositiveCount = 20
    cash_usd_min: Amount = Field(default=Decimal(0), ge=0)
    private_silence_ms_max: PositiveCount = 3_000
    read_back_age_ms_max: PositiveCount = 15_000

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.order_notional_usd_max > self.market_notional_usd_max:
            raise ValueError("order_notional_usd_max must not exceed market_notional_usd_max")
        if self.market_notional_usd_max > self.total_notional_usd_max:
            raise ValueError("market_notional_usd_max must not exceed total_notional_usd_max")
        return self
