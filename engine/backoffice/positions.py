"""What we hold and what it is worth, moment by moment: cash, shares and a price for each."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.backoffice.fills import Movement

_MICROS = 1_000_000


@dataclass(slots=True)
class Positions:
    """Holdings of one account, or of one part of it. Money in micros, shares in micro-shares."""

    cash: int = 0
    fees: int = 0
    shares: dict[int, int] = field(default_factory=dict)  # by instrument
    prices: dict[int, int] = field(default_factory=dict)  # mid, or payout once resolved
    _resolved: set[int] = field(default_factory=set)

    def move(self, movement: Movement) -> None:
        """Book a fill, or take a failed one back."""
        fill, sign = movement.fill, movement.sign
        self.cash += sign * fill.cash
        self.fees += sign * fill.fee
        self.shares[fill.instrument] = self.shares.get(fill.instrument, 0) + sign * fill.shares

    def mark(self, instrument: int, mid: int) -> None:
        """Take `mid` as the price of an instrument, unless it has resolved."""
        if instrument not in self._resolved:
            self.prices[instrument] = mid

    def resolve(self, instrument: int, payout: int) -> None:
        """Take the payout as the price of an instrument, for good."""
        self._resolved.add(instrument)
        self.prices[instrument] = payout

    def worth(self, instrument: int) -> int:
        """Return what the shares of one instrument are worth, rounded down; 0 without a price."""
        return self.shares.get(instrument, 0) * self.prices.get(instrument, 0) // _MICROS

    @property
    def equity(self) -> int:
        """Cash and the worth of everything held."""
        return self.cash + sum(map(self.worth, self.shares))
