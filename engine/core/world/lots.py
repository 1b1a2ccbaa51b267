"""Positions, built from our own fills only: lots with their settlement state.

A fill is known by (trade id, order hash, repeat). MATCHED books it, later states move it, FAILED
takes it back: the position is then made anew from the lots that are left, as if it had never been.
Money is micros, sizes micro-shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.core.world.facts import HELD, OWN, OWN_COLUMNS, Facts
from engine.wire.codes import Settlement, Side

FillKey = tuple[bytes, bytes, int]
_FAILED, _BUY, _SELL = int(Settlement.FAILED), int(Side.BUY), int(Side.SELL)
_MINED, _CONFIRMED = int(Settlement.MINED), int(Settlement.CONFIRMED)
_NOBODY: Mapping[int, Position] = MappingProxyType({})


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


class Position:
    """What one strategy holds of one instrument, at average cost (fees included on buys).

    realized: profit so far.  cash: all money in (+) and out (-) so far: flat means cash ==
    realized.  paid: how much of it the resolution has paid.
    """

    __slots__ = ("_lots", "_payout", "cash", "cost", "fees", "paid", "realized", "size")

    def __init__(self) -> None:
        self._lots: list[Lot] = []
        self._payout = -1  # micros a share once the instrument has paid out
        self._clear()

    def book(self, lot: Lot) -> None:
        """Book one fill; what a sale earns is rounded towards less profit."""
        self._lots.append(lot)
        self._count(lot)
        self._pay_out()

    def take_back(self, failed: Lot) -> None:
        """Make the position anew without one of its lots.

        To subtract it would not do: a sale since may have released a part of its cost.
        """
        self._lots = [lot for lot in self._lots if lot is not failed]
        self._clear()
        for lot in self._lots:
            self._count(lot)
        self._pay_out()

    def write_off(self, instrument: int, strategy: int, size: int) -> int:
        """Let shares go at what they have cost; return it. No more go than are held."""
        size = min(size, self.size)
        if size <= 0:
            return 0
        cost = -(-self.cost * size // self.size)
        price = cost * 1_000_000 // size
        self.book(Lot(strategy, instrument, _SELL, price, size, cost, 0, _CONFIRMED))
        return cost

    def settle(self, payout: int) -> None:
        """Pay out the whole holding at `payout` micros a share, and all that comes to it later."""
        self._payout = payout
        self._pay_out()

    def _clear(self) -> None:
        self.size = self.cost = self.realized = self.fees = self.cash = self.paid = 0

    def _count(self, lot: Lot) -> None:
        self.fees += lot.fee
        if lot.side == _BUY:
            self.size += lot.size
            self.cost += lot.notional + lot.fee
            self.cash -= lot.notional + lot.fee
        else:
            released = -(-self.cost * lot.size // self.size) if self.size > 0 else 0
            released = min(released, self.cost)  # more than is held can be sold by mistake alone
            self.size -= lot.size
            self.cost -= released
            self.realized += lot.notional - lot.fee - released
            self.cash += lot.notional - lot.fee

    def _pay_out(self) -> None:
        if self._payout >= 0:
            proceeds = self.size * self._payout // 1_000_000
            self.realized += proceeds - self.cost
            self.cash += proceeds
            self.paid += proceeds
            self.size = self.cost = 0


class Lots:
    """Every lot and the positions they add up to: instrument → strategy → Position.

    What strategies hold of an instrument, each and all, is kept in `Facts`, where the gates ask for
    it.  held: instruments of which something is held now.
    """

    __slots__ = ("_by_key", "_changed", "_columns", "_facts", "_positions", "_unsettled", "held")

    def __init__(self, facts: Facts, changed: set[int]) -> None:
        """changed: takes the instruments whose lots have moved, for `World`."""
        self.held: set[int] = set()
        self._by_key: dict[FillKey, Lot] = {}
        self._positions: dict[int, dict[int, Position]] = {}
        self._unsettled: dict[int, int] = {}
        self._changed = changed
        self._facts = facts.instrument_words
        self._columns = facts.columns

    def position(self, strategy: int, instrument: int) -> Position:
        """Return the position of one strategy in one instrument, flat if it never traded."""
        holders = self._positions.setdefault(instrument, {})
        found = holders.get(strategy)
        if found is None:
            found = holders[strategy] = Position()
        return found

    def holders(self, instrument: int) -> Mapping[int, Position]:
        """Return the positions in one instrument by strategy."""
        return self._positions.get(instrument, _NOBODY)

    def size(self, instrument: int) -> int:
        """Return the micro-shares of one instrument held by all strategies."""
        return self._facts[instrument * self._columns + HELD]

    def unsettled(self, instrument: int) -> int:
        """Return the micro-shares bought that the chain may not have yet."""
        return self._unsettled.get(instrument, 0)

    def find(self, key: FillKey) -> Lot | None:
        """Return the lot of a fill that was booked, or was told to have failed."""
        return self._by_key.get(key)

    def apply(self, key: FillKey, lot: Lot) -> int:
        """Book a fill or move its settlement; return the micro-shares newly booked (may be < 0).

        Settlement only ever advances, so states may arrive in any order and any number of times.
        """
        known = self._by_key.get(key)
        if known is None:
            self._by_key[key] = lot
            if lot.settlement == _FAILED:
                return 0
            self.position(lot.strategy, lot.instrument).book(lot)
            self._note_held(lot.strategy, lot.instrument)
            if lot.settlement < _MINED and lot.side == _BUY:
                self._unsettled[lot.instrument] = self.unsettled(lot.instrument) + lot.size
            return lot.size
        if lot.settlement <= known.settlement:
            return 0
        if known.settlement < _MINED <= lot.settlement and lot.side == _BUY:
            self._unsettled[lot.instrument] -= lot.size
        known.settlement = lot.settlement
        if lot.settlement != _FAILED:
            return 0
        self.position(known.strategy, known.instrument).take_back(known)
        self._note_held(known.strategy, known.instrument)
        return -known.size

    def write_off(self, instrument: int, size: int) -> int:
        """Let micro-shares go that the wallet has no more; return in pUSD micros what they cost.

        They were merged, redeemed or sent away: first of what was bought elsewhere, then of each
        strategy in turn.
        """
        cost = 0
        for strategy in sorted(self.holders(instrument)):
            position = self.position(strategy, instrument)
            before = position.size
            cost += position.write_off(instrument, strategy, size)
            size -= before - position.size
            self._note_held(strategy, instrument)
        return cost

    def settle(self, instrument: int, payout: int) -> int:
        """Pay out every holding of a resolved instrument; return the money it brought."""
        proceeds = 0
        for strategy, position in self.holders(instrument).items():
            before = position.paid
            position.settle(payout)
            proceeds += position.paid - before
            self._note_held(strategy, instrument)
        self._changed.add(instrument)
        return proceeds

    def _note_held(self, strategy: int, instrument: int) -> None:
        """Bring up to date what follows from one strategy's position in an instrument."""
        self._changed.add(instrument)
        row = instrument * self._columns
        own = row + OWN + OWN_COLUMNS * strategy
        size = self._positions[instrument][strategy].size
        self._facts[row + HELD] += size - self._facts[own]
        self._facts[own] = size
        if any(position.size for position in self.holders(instrument).values()):
            self.held.add(instrument)
        else:
            self.held.discard(instrument)
