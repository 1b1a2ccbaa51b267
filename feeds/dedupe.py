"""What was already told: the same order or fill comes by stream and by REST, twice and backwards.

Everything told is monotone. An order's matched size only grows and its end is final; a fill's
settlement only rises, and FAILED is the highest. Whatever does not move forward is not told again.
Memory is bounded: the longest untouched entries go first, unfinished ones only where no other is
near; the core identifies fills by (trade id, order hash) too, so a forgotten one does no harm.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from engine.wire.codes import OrderStatus, Settlement

ENTRIES_MAX = 65_536
LOOK_BACK = 64  # how many of the oldest entries are searched for an ended one

_ENDED = frozenset({OrderStatus.MATCHED, OrderStatus.CANCELED, OrderStatus.INVALID})

FillKey = tuple[bytes, bytes, int]  # trade id, order hash, how many legs of that order before it


@dataclass(frozen=True, slots=True)
class Told:
    """The last told state of an order. matched: micro-shares."""

    status: OrderStatus
    matched: int

    @property
    def is_ended(self) -> bool:
        """Whether the order can do nothing more."""
        return self.status in _ENDED


@dataclass(frozen=True, slots=True)
class Settled:
    """How far a fill has settled. matched_s: when the venue matched it, epoch seconds."""

    settlement: Settlement
    matched_s: int

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.settlement >= Settlement.CONFIRMED


Key = TypeVar("Key")
State = TypeVar("State", Told, Settled)


class Orders:
    """The last told state of every order."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._told: OrderedDict[bytes, Told] = OrderedDict()
        self._entries_max = entries_max

    def news(self, order_hash: bytes, status: OrderStatus, matched: int | None) -> Told | None:
        """Return the state an order has moved forward to, remembered; None if it has not moved.

        matched: None where the venue does not say, and then it is what it was.
        """
        told = self._told.get(order_hash)
        if matched is None:
            matched = told.matched if told is not None else 0
        state = Told(status, matched)
        if told is not None:
            behind = matched < told.matched or (told.is_ended and not state.is_ended)
            if behind or state == told or (told.is_ended and matched == told.matched):
                return None
        self._told[order_hash] = state
        self._told.move_to_end(order_hash)
        _forget(self._told, self._entries_max)
        return state

    def live(self) -> list[bytes]:
        """Return the orders last told as not ended."""
        return [order_hash for order_hash, told in self._told.items() if not told.is_ended]


class Fills:
    """The highest told settlement of every fill."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._told: OrderedDict[FillKey, Settled] = OrderedDict()
        self._entries_max = entries_max
        self._latest_s = 0

    def is_news(self, key: FillKey, settlement: Settlement, matched_s: int) -> bool:
        """Return whether a settlement is higher than the one told, and remember it if so."""
        told = self._told.get(key)
        if told is not None and settlement <= told.settlement:
            return False
        self._told[key] = Settled(settlement, matched_s)
        self._told.move_to_end(key)
        self._latest_s = max(self._latest_s, matched_s)
        _forget(self._told, self._entries_max)
        return True

    def read_from_s(self, overlap_s: int) -> int:
        """Return from which second on trades must be read again, 0 = all of them.

        Whatever is not settled yet may still change; the overlap covers late-comers.
        """
        unsettled = [told.matched_s for told in self._told.values() if not told.is_ended]
        return max(0, min([*unsettled, self._latest_s]) - overlap_s)


def _forget(told: OrderedDict[Key, State], entries_max: int) -> None:
    """Drop the oldest ended entry of a full memory, or the oldest of all."""
    if len(told) <= entries_max:
        return
    oldest = list(islice(told.items(), LOOK_BACK))
    key = next((key for key, state in oldest if state.is_ended), oldest[0][0])
    del told[key]
