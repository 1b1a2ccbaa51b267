"""What a tape means to the back office, read once from front to end.

The ledger is the one interpretation of a tape: the database, the summary and the report are three
ways of writing down its steps. It holds only what the next record needs to be understood.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.backoffice.catalog import Catalog, Listing
from engine.backoffice.fills import Fills, Movement
from engine.backoffice.positions import Positions
from engine.backoffice.touches import TouchTracker, mid
from engine.tape.format import TapeHeader
from engine.tape.reader import TapeSlice
from engine.wire.codes import Flag, Kind
from engine.wire.records import BODIES

INSTRUMENTS_MAX = 256  # where the tape's parameters do not say

_LOCAL_NS_WORD = 3
_KINDS = (
    Kind.INSTRUMENT,
    Kind.STATUS,
    Kind.FILL,
    Kind.NEW_ORDER,
    Kind.CANCEL,
    Kind.SIGNED,
    Kind.ACK,
    Kind.REJECT,
    Kind.UNKNOWN,
    Kind.DONE,
    Kind.DECISION,
    Kind.HALT,
)


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Cash and worth of all positions at one moment, micros."""

    local_ns: int
    venue_ns: int
    cash: int
    equity: int


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one kind in a slice and their sequences, int64[k]."""

    rows: np.ndarray
    sequences: np.ndarray


@dataclass(slots=True)
class Step:
    """What one slice of tape changed."""

    records: dict[Kind, Records] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    touches: np.ndarray = field(default_factory=lambda: np.zeros(0))
    equity: list[EquityPoint] = field(default_factory=list)
    published: list[tuple[int, int]] = field(default_factory=list)  # order id, published_ns
    lost: int = 0
    damaged: int = 0

    def of(self, kind: Kind) -> Iterator[tuple[np.void, int]]:
        """Yield the records of one kind with their sequences."""
        found = self.records.get(kind)
        if found is not None:
            yield from zip(found.rows, found.sequences.tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class _Resolution:
    sequence: int
    local_ns: int
    venue_ns: int
    listing: Listing


class Ledger:
    """Applies a tape slice by slice."""

    def __init__(self, header: TapeHeader, slugs: Mapping[str, str] | None = None) -> None:
        self.strategies = strategy_names(header)
        self.catalog = Catalog(slugs)
        self.fills = Fills(self.catalog)
        self.positions = Positions()
        self._touches = TouchTracker(_instruments_max(header))
        self._unpublished: list[int] = []  # orders of a batch that is not closed yet

    def apply(self, piece: TapeSlice) -> Step:
        """Return what the next slice changes. Damaged records are left out."""
        rows, sequences = _undamaged(piece)
        if piece.gaps:
            self._touches.forget()
        step = Step(records=_by_kind(rows, sequences), damaged=len(piece.damage))
        step.lost = sum(gap.lost for gap in piece.gaps)
        step.listings = [self.catalog.list_instrument(r) for r, _ in step.of(Kind.INSTRUMENT)]
        resolutions = list(self._resolutions(step))
        if Kind.FILL in step.records:
            fills = step.records[Kind.FILL]
            step.movements = list(self.fills.apply(fills.rows, fills.sequences))
        step.touches = self._touches.apply(rows, sequences)
        step.equity = list(self._equity(step, resolutions))
        for resolution in resolutions:
            self._touches.release(resolution.listing.index)
        step.published = self._published(step, rows, sequences)
        return step

    def _resolutions(self, step: Step) -> Iterator[_Resolution]:
        for record, sequence in step.of(Kind.STATUS):
            listing = self.catalog.apply_status(record)
            if listing is None:
                continue
            step.listings.append(listing)
            if listing.is_resolved:
                local_ns, venue_ns = int(record["local_ns"]), int(record["venue_ns"])
                yield _Resolution(sequence, local_ns, venue_ns, listing)

    def _equity(self, step: Step, resolutions: list[_Resolution]) -> Iterator[EquityPoint]:
        """Yield what we were worth after everything that changed it, in tape order."""
        positions, touches = self.positions, step.touches
        marks = zip(
            touches["sequence"].tolist(),
            touches["instrument"].tolist(),
            mid(touches).tolist(),
            touches["local_ns"].tolist(),
            touches["venue_ns"].tolist(),
            strict=True,
        )
        facts: list[Movement | _Resolution] = [*step.movements, *resolutions]
        facts.sort(key=lambda fact: fact.sequence)
        at = 0
        for sequence, instrument, price, local_ns, venue_ns in marks:
            while at < len(facts) and facts[at].sequence < sequence:
                yield self._settle(facts[at])
                at += 1
            positions.mark(instrument, price)
            if positions.shares.get(instrument):
                yield EquityPoint(local_ns, venue_ns, positions.cash, positions.equity)
        for fact in facts[at:]:
            yield self._settle(fact)

    def _settle(self, fact: Movement | _Resolution) -> EquityPoint:
        positions = self.positions
        if isinstance(fact, Movement):
            positions.move(fact)
        else:
            positions.resolve(fact.listing.index, fact.listing.payout)
        return EquityPoint(fact.local_ns, fact.venue_ns, positions.cash, positions.equity)

    def _published(
        self, step: Step, rows: np.ndarray, sequences: np.ndarray
    ) -> list[tuple[int, int]]:
        """Return when the orders decided in each batch had left: the batch's PUBLISHED stamp."""
        heads = rows[:, 0]
        closes = np.flatnonzero(
            ((heads & 0xFFFF) == Kind.TIMER) & ((heads >> 24) & Flag.PUBLISHED != 0)
        )
        orders = step.records.get(Kind.NEW_ORDER)
        ids = self._unpublished + (orders.rows["order_id"].tolist() if orders else [])
        own = orders.sequences if orders else np.zeros(0, np.int64)
        at = np.concatenate((np.zeros(len(self._unpublished), np.int64), own))
        closing = np.searchsorted(sequences[closes], at)
        stamps = rows[closes, _LOCAL_NS_WORD].tolist()
        found = [(o, stamps[c]) for o, c in zip(ids, closing, strict=True) if c < len(stamps)]
        self._unpublished = ids[len(found) :]
        return found


def strategy_names(header: TapeHeader) -> dict[int, str]:
    """Return number on the wire → name of the strategies a tape was made with."""
    try:
        listed = json.loads(header.params_text).get("strategies", [])
        return {number: str(entry["name"]) for number, entry in enumerate(listed, start=1)}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _instruments_max(header: TapeHeader) -> int:
    try:
        return int(json.loads(header.params_text)["instruments_max"])
    except (ValueError, TypeError, KeyError):
        return INSTRUMENTS_MAX


def _undamaged(piece: TapeSlice) -> tuple[np.ndarray, np.ndarray]:
    if not piece.damage:
        return piece.rows, piece.sequences
    bad = [damage.sequence for damage in piece.damage]
    keep = ~np.isin(piece.sequences, bad)
    return np.ascontiguousarray(piece.rows[keep]), piece.sequences[keep]


def _by_kind(rows: np.ndarray, sequences: np.ndarray) -> dict[Kind, Records]:
    kinds = rows[:, 0] & 0xFFFF
    present = np.bincount(kinds, minlength=max(_KINDS) + 1)
    found = {}
    for kind in _KINDS:
        if present[kind]:
            index = np.flatnonzero(kinds == kind)
            found[kind] = Records(rows[index].reshape(-1).view(BODIES[kind]), sequences[index])
    return found
