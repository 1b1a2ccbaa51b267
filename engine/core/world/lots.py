"""Positions, built from our own fills only: lots with their settlement state.

A fill is known by (trade id, order hash, leg). MATCHED books it, later states move it, FAILED takes
it back exactly. Money is micros, sizes micro-shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.world.facts import FACT_COLUMNS, HELD, Facts
from engine.wire.codes import Settlement, Side

FillKey = tuple[bytes, bytes, int]


@dataclass(slots=True)
class Lot:
    """One fill of ours and how far it has settled."""

    strategy: int
    instrument: int
    side: int
    price: int
    size: int
    notional: int
    fee: int
    settlement: int
    released: int = 0  # cost a sale set free, so that it can be taken back exactly


@dataclass(slots=True)
class Position:
    """What one strategy holds of one instrument, at average cost (fees included on buys)."""

    size: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0
    cash: int = 0  # all money in (+) and out (-) so far: flat means cash == realized

    def book(self, side: int, size: int, notional: int, fee: int) -> int:
        """Book one fill; return the cost a sale released (rounded towards less profit)."""
        self.fees += fee
        if side == Side.BUY:
            self.size += size
            self.cost += notional + fee
            self.cash -= notional + fee
            return 0
        released = -(-self.cost * size // self.size) if self.size else 0
        self.size -= size
        self.cost -= released
        self.realized += notional - fee - released
        self.cash += notional - fee
        return released

    def settle(self, payout: int) -> int:
        """Pay out the whole holding at `payout` micros a share; return the money it brought."""
        proceeds = self.size * payout // 1_000_000
        self.realized += proceeds - self.cost
        self.cash += proceeds
        self.size = self.cost = 0
        return proceeds


class Lots:
    """Every lot and the positions they add up to: instrument → strategy → Position.

    What all strategies hold of an instrument is kept in `Facts`, where the gates ask for it.
    held: instruments somebody holds now.
    """

    __slots__ = ("_by_key", "_changed", "_facts", "_positions", "held")

    def __init__(self, facts: Facts, changed: set[int]) -> None:
        """changed: takes the instruments whose lots have moved, for `World`."""
        self.held: set[int] = set()
        self._by_key: dict[FillKey, Lot] = {}
        self._positions: dict[int, dict[int, Position]] = {}
        self._changed = changed
        self._facts = facts.instrument_words

    def position(self, strategy: int, instrument: int) -> Position:
        """Return the position of one strategy in one instrument, flat if it never traded."""
        holders = self._positions.setdefault(instrument, {})
        found = holders.get(strategy)
        if found is None:
            found = holders[strategy] = Position()
        return found

    def holders(self, instrument: int) -> Iterable[Position]:
        """Return the positions of all strategies in one instrument."""
        return self._positions.get(instrument, {}).values()

    def size(self, instrument: int) -> int:
        """Return the micro-shares of one instrument held by all strategies."""
        return self._facts[instrument * FACT_COLUMNS + HELD]

    def apply(self, key: FillKey, lot: Lot) -> int:
        """Book a fill or move its settlement; return the micro-shares newly booked (may be < 0).

        Settlement only ever advances, so states may arrive in any order and any number of times.
        """
        known = self._by_key.get(key)
        if known is None:
            self._by_key[key] = lot
            if lot.settlement == Settlement.FAILED:
                return 0
            position = self.position(lot.strategy, lot.instrument)
            lot.released = position.book(lot.side, lot.size, lot.notional, lot.fee)
            self._note_held(lot.instrument)
            return lot.size
        if lot.settlement <= known.settlement:
            return 0
        known.settlement = lot.settlement
        if lot.settlement != Settlement.FAILED:
            return 0
        self._reverse(known)
        self._note_held(known.instrument)
        return -known.size

    def settle(self, instrument: int, payout: int) -> int:
        """Pay out every holding of a resolved instrument; return the money it brought."""
        proceeds = sum(position.settle(payout) for position in self.holders(instrument))
        self._note_held(instrument)
        return proceeds

    def _note_held(self, instrument: int) -> None:
        """Bring up to date what follows from the positions in an instrument."""
        self._changed.add(instrument)
        sizes = [position.size for position in self.holders(instrument)]
        self._facts[instrument * FACT_COLUMNS + HELD] = sum(sizes)
        if any(sizes):
            self.held.add(instrument)
        else:
            self.held.discard(instrument)

    def _reverse(self, lot: Lot) -> None:
        """Take a failed lot back: money, shares and fee return exactly as they came."""
        position = self.position(lot.strategy, lot.instrument)
        position.fees -= lot.fee
        if lot.side == Side.BUY:
            position.size -= lot.size
            position.cost -= lot.notional + lot.fee
            position.cash += lot.notional + lot.fee
        else:
            position.size += lot.size
            position.cost += lot.released
            position.realized -= lot.notional - lot.fee - lot.released
            position.cash -= lot.notional - lot.fee
