"""The matching model: what an order is, what it meets, what it gets. Pure.

Whatever an order meets, it is swept the same way: `judge` says what it is, `sweep` what it would
get, `commit` makes that happen. Two things can be met: a `Pool` of recorded or live liquidity that
is not ours, and a `CentralBook` of other clients' orders. Either is one market; its two books are
two views of one liquidity (an Up ask at p is a Down bid at 1 − p).

```
place → judge ─ NO_BOOK, CROSSES ─────────────→ refused
            ├─ MARKETABLE ─ (taker delay) ─→ sweep → commit → filled │ killed │ rest
            └─ PASSIVE ──── FOK, FAK: killed;  GTC, GTD: rest → filled later, at the limit
```
Time is the caller's: he judges on the book in force when the order arrives and sweeps on the one in
force when the delay has passed. Source: quant.md §8 `paper_order`; quant.md §1.4 for the cash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from engine.exchange.books import Book, Change
from engine.exchange.texts import MICROS
from engine.wire.codes import Liquidity, Tif

LOT = 100  # micro-shares: what a budget buys is rounded down to four decimals


class Verdict(Enum):
    """What an order is, on the book in force when it arrives."""

    NO_BOOK = 1
    CROSSES = 2  # post-only, and marketable
    MARKETABLE = 3
    PASSIVE = 4


class Fill(NamedTuple):
    """A quantity at a price, in micros.

    dust: micros on top of the notional rounded down.  maker: the key of the resting order that
    gives it, "" where the liquidity is nobody's.
    """

    price: int
    size: int
    liquidity: int
    dust: int = 0
    maker: str = ""

    @property
    def notional(self) -> int:
        """pUSD micros: rounded down, but up where the maker of a full set was rounded down."""
        return self.price * self.size // MICROS + self.dust


@dataclass(slots=True, eq=False)
class Order:
    """What matching needs to know of an order, all in micros.

    key: the caller's name for it.  outcome: which of the two books.  size: shares wanted.
    budget: pUSD to spend instead (FOK and FAK buys), 0 = `size` counts.  owner: who signs for it.
    """

    key: str
    outcome: int
    side: int
    limit: int
    size: int
    tif: int = Tif.GTC
    post_only: bool = False
    budget: int = 0
    filled: int = 0
    spent: int = 0
    owner: str = ""

    @property
    def left(self) -> int:
        """Shares still wanted; meaningless for a budget."""
        return self.size - self.filled

    @property
    def is_immediate(self) -> bool:
        """Whether what does not match at once is killed."""
        return self.tif in (Tif.FOK, Tif.FAK)

    def count(self, fill: Fill) -> None:
        """Count a fill as happened."""
        self.filled += fill.size
        self.spent += fill.notional


class Offer(NamedTuple):
    """What one resting order or displayed level would give, in the taker's terms.

    maker: as in `Fill`.  makes_set: the maker trades the other token, so the two make or break
    full sets (a mint, a merge).
    """

    price: int
    size: int
    maker: str = ""
    makes_set: bool = False


class Sweep(NamedTuple):
    """What a taker would get. complete: the order wants nothing more."""

    fills: list[Fill]
    complete: bool


class Matcher(Protocol):
    """What an order can meet: one market, both outcomes."""

    @property
    def books(self) -> tuple[Book, Book]:
        """The displayed books, Up and Down."""

    def judge(self, order: Order, /) -> Verdict:
        """Return what the order is on the book in force."""

    def sweep(self, order: Order, /) -> Sweep:
        """Return what the order would take now, best price first; a FOK all or nothing."""

    def commit(self, order: Order, fills: list[Fill], /) -> None:
        """Make a sweep happen, for its makers too."""

    def rest(self, order: Order, /) -> None:
        """Let the order wait."""

    def remove(self, order: Order, /) -> None:
        """Take a resting order out; harmless if it does not rest."""

    def own_within(self, order: Order, /) -> list[str]:
        """Return the keys of the same owner's resting orders that the order would meet."""

    def refresh(self, outcome: int, /) -> list[tuple[Order, Fill]]:
        """Fill resting orders from a displayed book that was replaced."""

    def printed(
        self, outcome: int, side: int, price: int, size: int, /
    ) -> list[tuple[Order, Fill]]:
        """Fill resting orders from a public trade that was not ours."""

    def drain(self) -> list[tuple[int, list[Change]]]:
        """Return what orders changed in the displayed books since the last call."""


def sweep(order: Order, offers: Iterable[Offer]) -> Sweep:
    """Return what an order gets from offers that come best first and within its limit.

    A budget buys down to four decimals of a share. The two sides of a full set always add up to
    its size: where the price of one rounds down, the taker's rounds up.
    """
    fills: list[Fill] = []
    left, budget = order.left, order.budget - order.spent
    complete = False
    for price, available, maker, makes_set in offers:
        want = budget * MICROS // price // LOT * LOT if order.budget else left
        size = min(want, available)
        if size:
            dust = 1 if makes_set and price * size % MICROS else 0
            fill = Fill(price, size, Liquidity.TAKER, dust, maker)
            fills.append(fill)
            left -= size
            budget -= fill.notional
        complete = available >= want
        if complete:
            break
    if order.tif == Tif.FOK and not complete:
        return Sweep([], False)
    return Sweep(fills, complete)


def in_up_terms(outcome: int, side: int, price: int) -> tuple[int, int]:
    """Return a level as the Up book shows it: a Down bid at p is an Up ask at 1 − p."""
    return (1 - side, MICROS - price) if outcome else (side, price)
