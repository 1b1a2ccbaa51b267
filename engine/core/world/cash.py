"""pUSD: what we have, what is reserved, what resolutions have paid. All micros."""

from __future__ import annotations

from engine.core.world.facts import CASH_FLOW, CASH_KNOWN, CASH_OPENING, Facts

MUCH = 1 << 60  # more than there is: a figure beyond it is nonsense, and must not overflow


class Cash:
    """Cash moves on our own fills at once, and follows the venue's figure where that differs.

    A reading may be older than a fill, or newer than one we have not heard of. A difference that
    two readings in a row agree on is real: a payout that was collected, a deposit, a trade of other
    hands. It moves the opening balance, and profit not at all.

    redeemable: payouts of resolved markets so far, whether they are collected or not.  venue: the
    last balance the venue reported.
    """

    __slots__ = ("_account", "_gap", "redeemable", "venue")

    def __init__(self, facts: Facts) -> None:
        self._account = facts.account_words
        self._gap = 0
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

    def on_balance(self, micros: int, *, is_recovered: bool) -> None:
        """Take a reading of the venue's figure; before everything is recovered it is the truth."""
        self.venue = min(micros, MUCH)
        if not self.is_known or not is_recovered:
            self._account[CASH_KNOWN] = 1
            self.open()
            return
        gap = self.venue - self.balance
        if gap == self._gap:
            self._account[CASH_OPENING] += gap
            gap = 0
        self._gap = gap

    def open(self) -> None:
        """Let the balance be what the venue said last: the fills so far are in it."""
        if self.is_known:
            self._account[CASH_OPENING] = min(self.venue - self.flow, MUCH)
            self._gap = 0
