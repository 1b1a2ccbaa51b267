"""What was already told: the same order or fill comes by stream and by REST, twice and backwards.

Only what was told before is not told again; judging is the core's business. So of a fill each
settlement is told once, in whatever order they come, and so is each contradiction: another size,
price, side or token under the same (trade id, order hash, repeat). Of an order every change is
told; its matched size never shrinks, and a life after its end is news unless it is older than the
end. Memory is bounded: the longest untouched entries go first, unfinished ones only where no other
is near; the core identifies fills by the same key, so a forgotten one does no harm.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from engine.wire.codes import OrderStatus, Settlement
from engine.wire.status_texts import ENDED

ENTRIES_MAX = 65_536
LOOK_BACK = 64  # how many of the oldest entries are searched for an ended one
VERSIONS_MAX = 16  # of one fill: a venue that contradicts itself on and on is not told on and on

FillKey = tuple[bytes, bytes, int]  # trade id, order hash, how many legs of that order before it
Claims = tuple[object, ...]  # what else a fill says of itself: price, size, side, token


@dataclass(frozen=True, slots=True)
class Told:
    """The last told state of an order. matched: micro-shares."""

    status: OrderStatus
    matched: int

    @property
    def is_ended(self) -> bool:
        """Whether the order can do nothing more."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Moment:
    """When an order's state was so. known_ns: our clock; where it was read back, when it was asked
    for. venue_ns: the venue's stamp, 0 = not said."""

    known_ns: int = 0
    venue_ns: int = 0

    def is_before(self, other: Moment) -> bool:
        """Return whether this moment was earlier by either clock."""
        return self.known_ns < other.known_ns or 0 < self.venue_ns < other.venue_ns


@dataclass(slots=True)
class _Order:
    """An order in memory: what was told of it, and when it was so."""

    told: Told
    moment: Moment

    @property
    def is_ended(self) -> bool:
        return self.told.is_ended


@dataclass(slots=True)
class _Fill:
    """A fill in memory. matched_s: when the venue matched it, epoch seconds."""

    matched_s: int
    settlement: Settlement = Settlement.UNKNOWN
    versions: set[tuple[Settlement, Claims]] = field(default_factory=set)

    @property
    def is_ended(self) -> bool:
        return self.settlement >= Settlement.CONFIRMED

    def is_full_for(self, settlement: Settlement) -> bool:
        """Return whether so many versions were told that only a further settlement counts."""
        return len(self.versions) >= VERSIONS_MAX and settlement <= self.settlement


Key = TypeVar("Key")
State = TypeVar("State", _Order, _Fill)


class Orders:
    """The last told state of every order."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._orders: OrderedDict[bytes, _Order] = OrderedDict()
        self._entries_max = entries_max

    def news(
        self,
        order_hash: bytes,
        status: OrderStatus,
        matched: int | None,
        moment: Moment = Moment(),
        *,
        repeats_life: bool = False,
    ) -> Told | None:
        """Return the state to tell of an order, remembered; None if it is no news.

        matched: None where the venue does not say, and then it is what it was.
        repeats_life: whether an order that is alive is told so again.
        """
        known = self._orders.get(order_hash)
        state = Told(status, matched or 0)
        if known is not None:
            state = Told(status, max(state.matched, known.told.matched))
            revives = known.is_ended and not state.is_ended
            is_repeated = state == known.told and not (repeats_life and not state.is_ended)
            if is_repeated or (revives and moment.is_before(known.moment)):
                return None
        self._orders[order_hash] = _Order(state, moment)
        self._orders.move_to_end(order_hash)
        _forget(self._orders, self._entries_max)
        return state

    def live(self) -> list[bytes]:
        """Return the orders last told as not ended."""
        return [order_hash for order_hash, each in self._orders.items() if not each.is_ended]


class Fills:
    """Which versions of every fill were told."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._fills: OrderedDict[FillKey, _Fill] = OrderedDict()
        self._entries_max = entries_max
        self._latest_s = 0

    def is_news(
        self, key: FillKey, settlement: Settlement, matched_s: int, claims: Claims = ()
    ) -> bool:
        """Return whether this version of a fill was not told yet, and remember it if so."""
        fill = self._fills.get(key)
        version = settlement, claims
        if fill is None:
            fill = self._fills[key] = _Fill(matched_s)
        elif version in fill.versions or fill.is_full_for(settlement):
            return False
        fill.versions.add(version)
        fill.settlement = max(fill.settlement, settlement)
        self._fills.move_to_end(key)
        self._latest_s = max(self._latest_s, matched_s)
        _forget(self._fills, self._entries_max)
        return True

    def read_from_s(self, overlap_s: int) -> int:
        """Return from which second on trades must be read again, 0 = all of them.

        Whatever is not settled yet may still change; the overlap covers late-comers.
        """
        unsettled = [each.matched_s for each in self._fills.values() if not each.is_ended]
        return max(0, min([*unsettled, self._latest_s]) - overlap_s)


def _forget(entries: OrderedDict[Key, State], entries_max: int) -> None:
    """Drop the oldest ended entry of a full memory, or the oldest of all."""
    if len(entries) <= entries_max:
        return
    oldest = list(islice(entries.items(), LOOK_BACK))
    key = next((key for key, state in oldest if state.is_ended), oldest[0][0])
    del entries[key]
