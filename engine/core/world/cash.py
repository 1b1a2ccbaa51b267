"""pUSD: what we have, what is reserved, what is still to be redeemed. All micros."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Cash:
    """Cash moves on our own fills; the venue's figure opens it and is compared afterwards.

    `known` is False until the first BALANCE: without it nothing may be bought.
    """

    known: bool = False
    opening: int = 0
    flow: int = 0  # fills and fees since opening
    redeemable: int = 0  # payouts of resolved markets, ours but not yet collected
    venue: int = 0  # the last balance the venue reported

    @property
    def balance(self) -> int:
        """Spendable pUSD before reservations."""
        return self.opening + self.flow

    def on_balance(self, micros: int) -> None:
        """Take the venue's first figure as the opening balance; remember later ones."""
        self.venue = micros
        if not self.known:
            self.known = True
            self.opening = micros - self.flow
