"""The matching model of paper trading: our orders against liquidity that is not ours. Pure.

One `Pool` is one market. Its two books are two views of the same liquidity (an Up ask at p is a
Down bid at 1 − p), so what our orders took is remembered once for both, per price, until that price
disappears from the book. Our orders never change the displayed book and never meet each other.

```
place → judge ─ NO_BOOK, CROSSES ─────────────→ refused
            ├─ MARKETABLE ─ (taker delay) ─→ sweep → commit → filled │ killed │ rest
            └─ PASSIVE ──── FOK, FAK: killed;  GTC, GTD: rest → filled later, at the limit
```
Time is the caller's: he judges on the book in force when the order arrives and sweeps on the one in
force when the delay has passed. A resting order fills at its own limit when a later book has
opposite levels at or through it. Source: quant.md §8 `paper_order`; quant.md §1.4 for the cash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from engine.exchange.books import Book, Levels
from engine.exchange.texts import MICROS
from engine.wire.codes import Liquidity, Side, Tif

LOT = 100  # micro-shares: what a budget buys is rounded down to four decimals


class Verdict(Enum):
    """What an order is, on the book in force when it arrives."""

    NO_BOOK = 1
    CROSSES = 2  # post-only, and marketable
    MARKETABLE = 3
    PASSIVE = 4


class Fill(NamedTuple):
    """A quantity at a price, in micros."""

    price: int
    size: int
    liquidity: int

    @property
    def notional(self) -> int:
        """pUSD micros, rounded down."""
        return self.price * self.size // MICROS


@dataclass(slots=True, eq=False)
class Order:
    """What matching needs to know of an order, all in micros.

    key: the caller's name for it.  outcome: which of the two books.  size: shares wanted.
    budget: pUSD to spend instead (FOK and FAK buys), 0 = `size` counts.
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

    @property
    def left(self) -> int:
        """Shares still wanted; meaningless for a budget."""
        return self.size - self.filled

    @property
    def is_immediate(self) -> bool:
        """Whether what does not match at once is killed."""
        return self.tif in (Tif.FOK, Tif.FAK)


class Sweep(NamedTuple):
    """What a taker would get. complete: the order wants nothing more."""

    fills: list[Fill]
    complete: bool


class Pool:
    """One market's liquidity and our orders resting in it."""

    __slots__ = ("_taken", "books", "resting")

    def __init__(self) -> None:
        self.books = (Book(), Book())
        self.resting: dict[str, Order] = {}  # in order of arrival
        self._taken: tuple[Levels, Levels] = ({}, {})  # from Up's bids, from Up's asks

    def judge(self, order: Order) -> Verdict:
        """Return what the order is on the displayed book."""
        book = self.books[order.outcome]
        if not book.known:
            return Verdict.NO_BOOK
        if not _reaches(order, book):
            return Verdict.PASSIVE
        return Verdict.CROSSES if order.post_only else Verdict.MARKETABLE

    def sweep(self, order: Order) -> Sweep:
        """Return what the order would take now, best price first; a FOK all or nothing."""
        fills: list[Fill] = []
        left, budget = order.left, order.budget - order.spent
        complete = False
        for price, available in self._available(order):
            if order.budget:
                want = budget * MICROS // price // LOT * LOT
            else:
                want = left
            size = min(want, available)
            if size:
                fill = Fill(price, size, Liquidity.TAKER)
                fills.append(fill)
                left -= size
                budget -= fill.notional
            complete = available >= want
            if complete:
                break
        if order.tif == Tif.FOK and not complete:
            return Sweep([], False)
        return Sweep(fills, complete)

    def commit(self, order: Order, fills: list[Fill]) -> None:
        """Make a sweep happen: count it in the order, and its quantity as taken."""
        for fill in fills:
            self._take(order, fill.price, fill)

    def rest(self, order: Order) -> None:
        """Let the order wait for later books."""
        self.resting[order.key] = order

    def remove(self, order: Order) -> None:
        """Take a resting order out; harmless if it does not rest."""
        self.resting.pop(order.key, None)

    def refresh(self, outcome: int) -> list[tuple[Order, Fill]]:
        """Fill resting orders from the book of `outcome`, which has just changed, in time order.

        Every level is a fill of its own, at the order's limit. Filled orders leave the pool.
        """
        self._forget(outcome)
        book = self.books[outcome]
        out: list[tuple[Order, Fill]] = []
        reached = [o for o in self.resting.values() if o.outcome == outcome and _reaches(o, book)]
        for order in reached:
            for price, available in self._available(order):
                size = min(order.left, available)
                if not size:
                    continue
                fill = Fill(order.limit, size, Liquidity.MAKER)
                self._take(order, price, fill)
                out.append((order, fill))
                if not order.left:
                    self.remove(order)
                    break
        return out

    def taken(self, outcome: int, side: int, price: int) -> int:
        """Return how much of a displayed level our orders took already, in micro-shares."""
        side, price = _in_up_terms(outcome, side, price)
        return self._taken[side].get(price, 0)

    def _take(self, order: Order, price: int, fill: Fill) -> None:
        """Count a fill that the level at `price` of the opposite side gave."""
        side, price = _in_up_terms(order.outcome, 1 - order.side, price)
        taken = self._taken[side]
        taken[price] = taken.get(price, 0) + fill.size
        order.filled += fill.size
        order.spent += fill.notional

    def _available(self, order: Order) -> Iterator[tuple[int, int]]:
        """Yield (price, size) of the opposite side through the limit, best first, net of taken."""
        opposite = 1 - order.side
        levels = self.books[order.outcome].side(opposite)
        if order.side == Side.BUY:
            prices = sorted(price for price in levels if price <= order.limit)
        else:
            prices = sorted((price for price in levels if price >= order.limit), reverse=True)
        for price in prices:
            yield price, max(levels[price] - self.taken(order.outcome, opposite, price), 0)

    def _forget(self, outcome: int) -> None:
        """Forget what was taken at prices which the book of `outcome` no longer shows."""
        book = self.books[outcome]
        for side in (Side.BUY, Side.SELL):
            up_side, _ = _in_up_terms(outcome, side, 0)
            taken = self._taken[up_side]
            levels = book.side(side)
            gone = [p for p in taken if _in_up_terms(outcome, up_side, p)[1] not in levels]
            for price in gone:
                del taken[price]


def _in_up_terms(outcome: int, side: int, price: int) -> tuple[int, int]:
    """Return a level as the Up book shows it: a Down bid at p is an Up ask at 1 − p."""
    return (1 - side, MICROS - price) if outcome else (side, price)


def _reaches(order: Order, book: Book) -> bool:
    if order.side == Side.BUY:
        return bool(book.asks) and book.best_ask <= order.limit
    return bool(book.bids) and book.best_bid >= order.limit
