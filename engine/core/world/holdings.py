"""The venue's word on what tokens we hold, held against our books.

The two may differ for a moment: a fill is on its way, or a reading is older than a fill. A
difference that two readings in a row agree on is real. At the start it is taken over: it counts at
its worst, which is 1 a share. What appears later is a contradiction, and nothing more is opened in
its token until the difference is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.world.facts import IS_DISPUTED, Facts
from engine.core.world.lots import Lots
from engine.math.units import SIZE_STEP

DUST = SIZE_STEP  # micro-shares the venue's own rounding may leave
SHARES_MAX = 1 << 50  # more than there is: a figure beyond it is nonsense, and must not overflow


@dataclass(slots=True)
class Holding:
    """One token, in micro-shares.

    gap: the venue's balance less our books, as last read.  accepted: the gap taken over at the
    start.  unexplained: what counts as exposure beside the lots.
    """

    balance: int = 0
    gap: int = 0
    accepted: int = 0
    unexplained: int = 0
    is_disputed: bool = False


class Holdings:
    """What the venue says of each token, and what follows for the gates."""

    __slots__ = ("_by_instrument", "_changed", "_columns", "_facts", "_lots", "disputed")

    def __init__(self, facts: Facts, lots: Lots, changed: set[int]) -> None:
        """changed: takes the instruments whose exposure has moved, for `World`."""
        self._by_instrument: dict[int, Holding] = {}
        self._lots = lots
        self._changed = changed
        self._facts = facts.instrument_words
        self._columns = facts.columns
        self.disputed = 0  # tokens in dispute now

    @property
    def is_any(self) -> bool:
        """Whether the venue has told of any token yet."""
        return bool(self._by_instrument)

    @property
    def unexplained(self) -> int:
        """Micro-shares of all tokens that no fill explains."""
        return sum(holding.unexplained for holding in self._by_instrument.values())

    def unexplained_of(self, instrument: int) -> int:
        """Return the micro-shares of a token that no fill explains."""
        holding = self._by_instrument.get(instrument)
        return 0 if holding is None else holding.unexplained

    def is_disputed(self, instrument: int) -> bool:
        """Whether the venue and the books differ on a token."""
        return self._by_instrument[instrument].is_disputed

    def on_balance(self, instrument: int, balance: int, *, is_recovered: bool) -> bool:
        """Take a reading; return whether it has begun or ended a dispute."""
        holding = self._by_instrument.setdefault(instrument, Holding())
        holding.balance = min(max(balance, 0), SHARES_MAX)
        gap = holding.balance - self._lots.size(instrument)
        is_repeated = gap == holding.gap
        holding.gap = gap
        if not is_recovered:
            self._count(instrument, holding, gap)
            return False
        if not is_repeated:
            return False
        missing = -gap - self._lots.unsettled(instrument)
        is_disputed = gap > holding.accepted + DUST or missing > DUST
        if not is_disputed:
            holding.accepted = max(gap, 0)  # what has been explained or has gone is not held twice
        self._count(instrument, holding, max(gap, holding.accepted))
        return self._dispute(instrument, holding, is_disputed=is_disputed)

    def suspect(self, instrument: int, size: int) -> None:
        """Count micro-shares that may be held, until readings tell."""
        holding = self._by_instrument.setdefault(instrument, Holding())
        holding.unexplained += size
        self._changed.add(instrument)

    def accept(self) -> int:
        """Take over what is held at the start: from now on a new difference is a contradiction.

        What fills have brought and the wallet has no more is written off.  Returns what it had
        cost in pUSD micros.
        """
        cost = 0
        for instrument, holding in self._by_instrument.items():
            lots = self._lots
            missing = lots.size(instrument) - holding.balance - lots.unsettled(instrument)
            if missing > DUST:
                cost += lots.write_off(instrument, missing)
            holding.gap = holding.balance - lots.size(instrument)
            holding.accepted = max(holding.gap, 0)
            self._count(instrument, holding, holding.gap)
        return cost

    def forget(self, instrument: int) -> None:
        """Hold nothing against a token that has paid out: the venue takes it back when it likes."""
        holding = self._by_instrument.pop(instrument, None)
        if holding is not None:
            self._dispute(instrument, holding, is_disputed=False)
            self._changed.add(instrument)

    def _count(self, instrument: int, holding: Holding, gap: int) -> None:
        unexplained = gap if gap > DUST else 0
        if unexplained != holding.unexplained:
            holding.unexplained = unexplained
            self._changed.add(instrument)

    def _dispute(self, instrument: int, holding: Holding, *, is_disputed: bool) -> bool:
        if is_disputed == holding.is_disputed:
            return False
        holding.is_disputed = is_disputed
        self.disputed += 1 if is_disputed else -1
        self._facts[instrument * self._columns + IS_DISPUTED] = is_disputed
        return True
