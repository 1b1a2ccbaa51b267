"""pUSD: what we have, what is reserved, what is still to be redeemed. All micros."""

from __future__ import annotations

from engine.core.world.facts import CASH_FLOW, CASH_KNOWN, CASH_OPENING, Facts

MUCH = 1 << 60  # more than there is: a figure beyond it is nonsense, and must not overflow


class Cash:
    """Cash moves on our own fills; the venue's figure opens it and is compared afterwards.

    redeemable: payouts of resolved markets, ours but not yet collected.  venue: the last balance
    the venue reported.
    """

    __slots__ = ("_account", "redeemable", "venue")

    def __init__(self, facts: Facts) -> None:
        self._account = facts.account_words
        self.redeemable = 0
        self.venue = 0

    @property
    def is_known(self) -> bool:
        """Whether the venue has told a balance: without it nothing may be bought."""
        return self._account[CASH_KNOWN] == 1

    @property
    def flow(self) -> int:
        """Fills and fees since opening."""
        return self._account[CASH_FLOW]

    @flow.setter
    def flow(self, micros: int) -> None:
        self._account[CASH_FLOW] = micros

    @property
    def balance(self) -> int:
        """Spendable pUSD before reservations."""
        return self._account[CASH_OPENING] + self._account[CASH_FLOW]

    def on_balance(self, micros: int) -> None:
        """Take the venue's first figure as the opening balance; remember later ones."""
        self.venue = micros
        if not self.is_known:
            self._account[CASH_KNOWN] = 1
            self._account[CASH_OPENING] = min(micros - self.flow, MUCH)
