"""What makers earn: a share of the taker fees of each market and day, paid at midnight UTC.

```
pool            rebate rate × the market's taker fees of the day
fee equivalent  what a maker's fill would have cost as a taker
share           pool × own fee equivalents / everybody's, rounded down; less than 1 pUSD is not paid
```
Source: orders.md §6.4, quant.md §1.6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.exchange.accounts import CASH, Account
from engine.exchange.market import Market
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.truth import TruthLedger

DAY_MS = 86_400_000
PAID_MIN = 1_000_000  # micros


@dataclass(slots=True)
class Earnings:
    """One market's day. equivalents: fee equivalents by account, micros."""

    taker_fees: int = 0
    equivalents: dict[Account, int] = field(default_factory=dict)

    def share(self, account: Account, rebate_ppm: int) -> int:
        """Return what an account has earned, in micros."""
        total = sum(self.equivalents.values())
        own = self.equivalents.get(account, 0)
        return own * self.taker_fees * rebate_ppm // (total * 1_000_000) if total else 0


class Rebates:
    """The current day's earnings of every market. paid: to all makers so far, micros."""

    __slots__ = ("_days", "_pays", "_schedule", "_truth", "paid")

    def __init__(self, schedule: Schedule, truth: TruthLedger, *, pays: bool) -> None:
        """pays: whether midnight brings money; what is earned can be asked in any case."""
        self._schedule = schedule
        self._truth = truth
        self._pays = pays
        self.paid = 0
        self._days: dict[int, dict[Market, Earnings]] = {}

    def accrue(self, market: Market, fee: int, maker: Account, equivalent: int) -> None:
        """Count one fill between clients; negative amounts take a failed one back."""
        day = self._schedule.now_ms // DAY_MS
        if day not in self._days:
            self._days = {day: {}}
            if self._pays:
                self._schedule.at((day + 1) * DAY_MS, Phase.EXPIRE, lambda: self._pay(day))
        markets = self._days[day]
        earnings = markets.get(market)
        if earnings is None:
            earnings = markets[market] = Earnings()
        earnings.taker_fees += fee
        earnings.equivalents[maker] = earnings.equivalents.get(maker, 0) + equivalent

    def earned(self, account: Account) -> dict[Market, int]:
        """Return what an account has earned today, by market, in micros."""
        today = self._days.get(self._schedule.now_ms // DAY_MS, {})
        shares = {market: e.share(account, market.fee.rebate_ppm) for market, e in today.items()}
        return {market: share for market, share in shares.items() if share > 0}

    def _pay(self, day: int) -> None:
        for market, earnings in self._days.pop(day, {}).items():
            for account in earnings.equivalents:
                cash = earnings.share(account, market.fee.rebate_ppm)
                if cash < PAID_MIN:
                    continue
                account.add(CASH, cash)
                self.paid += cash
                self._truth.write(
                    "rebate",
                    self._schedule.now_ms,
                    maker=account.address,
                    condition_id=market.condition_id,
                    cash=cash,
                )
