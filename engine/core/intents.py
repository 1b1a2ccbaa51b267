"""What a strategy may ask for. Prices in micros, sizes in micro-shares, money in pUSD micros.

Makers speak in desired state (`Quote`), takers in actions (`Take`, `Basket`) or, for an order that
must not wait to be decided, in desired state too (`Arm`). Strategies never see order ids. They are
tuples: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from typing import NamedTuple


class Quote(NamedTuple):
    """The resting post-only bids wanted on one instrument; an empty ladder pulls them."""

    instrument: int
    ladder: tuple[tuple[int, int], ...]  # (price, size)


class Take(NamedTuple):
    """A marketable limit: `size` at `limit` or better, all of it (FOK) or what crosses (FAK).

    budget: pUSD micros a buy spends; 0 = limit × size. The venue fills marketable buys by budget,
    so a better price buys more shares than `size`.
    """

    instrument: int
    side: int
    limit: int
    size: int
    fill_or_kill: bool
    edge: int = 0  # expected profit in micros, for the record
    budget: int = 0


class Basket(NamedTuple):
    """Two takes that make sense only together; a leg that fills alone is completed or unwound."""

    takes: tuple[Take, Take]
    edge: int


class Arm(NamedTuple):
    """The Take that shall leave by itself once the market comes to its limit; None = none.

    It is gated and its money reserved now, and it leaves with the first change of the book after
    which the touch is at the limit or better (ask ≤ limit for a buy, bid ≥ limit for a sell), with
    nobody asked. It leaves once: whoever wants it again says so when asked next.
    """

    instrument: int
    take: Take | None


Intent = Quote | Take | Basket | Arm
