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

The arithmetic is the contract's `matchOrders`: a fill is so much of what the *maker* gives, and he
takes floor(given · taker amount / maker amount) of his signed order. A buying maker gives pUSD,
so the shares follow from whole micros of it, and may be a few micro-shares fewer than were wanted.

Orders of one owner do not trade with each other. A resting one that the owner's taker reaches is
cancelled and the taker goes on; one that it does not reach stays, and a killed FOK reaches nothing.
Evidence: of 712 million trades on chain 905 are between one wallet and itself, so the venue
prevents them; how is told for its perpetuals only, "CancelMaker"
(docs.polymarket.com/perps/learn-about-trading/self-trade-prevention).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from engine.exchange.books import Book, Change
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
    """A quantity at a price, in micros.

    dust: micros on top of the notional rounded down, 0 or 1.  maker: the key of the resting order
    that gives it, "" for a displayed level.
    """

    price: int
    size: int
    liquidity: int
    dust: int = 0
    maker: str = ""

    @property
    def notional(self) -> int:
        """pUSD micros: rounded down, or up where the other side was."""
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
        """Shares still wanted, and covered by what it may still give; meaningless for a budget."""
        if self.side == Side.SELL or self.budget:
            return self.size - self.filled
        return self._cash_left * MICROS // self.limit if self.limit else 0

    @property
    def _cash_left(self) -> int:
        """What a limit buy may still give: pUSD micros, of its signed amount and for its shares.

        A last micro is nothing: rounding leaves it behind, and it must not rest in the book.
        """
        cash = min(
            self.limit * self.size // MICROS - self.spent,
            self.limit * (self.size - self.filled) // MICROS,
        )
        return cash if cash > 1 else 0

    def give(self, want: int) -> Fill:
        """Return the order's fill as the maker of a taker that wants so many micro-shares."""
        left = self.left
        if self.side == Side.SELL:
            return Fill(self.limit, min(want, left), Liquidity.MAKER)
        return bought(self.limit, self._cash_left if want >= left else self.limit * want // MICROS)

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

    maker: the resting order; None for a displayed level.
    """

    price: int
    size: int
    maker: Order | None = None


class Sweep(NamedTuple):
    """What a taker would get. complete: the order wants nothing more.

    own: the owner's resting orders that it reaches; they leave when the sweep happens.
    """

    fills: list[Fill]
    complete: bool
    own: list[str]


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

    A budget buys down to four decimals of a share. What is left when the last offer could have
    given more is less than a micro of pUSD, and the order wants nothing more.
    """
    fills: list[Fill] = []
    own: list[str] = []
    left, budget = order.left, order.budget - order.spent
    complete = False
    for offer in offers:
        price, available, maker = offer
        if maker is not None and order.owner and maker.owner == order.owner:
            own.append(maker.key)
            continue
        want = budget * MICROS // price // LOT * LOT if order.budget else left
        fill = _taken(order, offer, min(want, available))
        if fill.size:
            fills.append(fill)
            left -= fill.size
            budget -= fill.notional
        complete = available >= want
        if complete:
            break
    if order.tif == Tif.FOK and not complete:
        return Sweep([], False, [])
    return Sweep(fills, complete, own)


def bought(price: int, cash: int) -> Fill:
    """Return a buying maker's fill: the shares that so many micros of pUSD buy at his price."""
    size = cash * MICROS // price
    return Fill(price, size, Liquidity.MAKER, cash - price * size // MICROS)


def other_side(fill: Fill, maker: Order, *, makes_set: bool) -> Fill:
    """Return the maker's fill of a taker's.

    makes_set: the maker trades the other token, so the two make or break full sets (a mint, a
    merge), whose two sides always add up to the size.
    """
    cash = fill.size - fill.notional if makes_set else fill.notional
    dust = cash - maker.limit * fill.size // MICROS
    return Fill(maker.limit, fill.size, Liquidity.MAKER, dust)


def _taken(order: Order, offer: Offer, size: int) -> Fill:
    """Return what a taker gets of one offer, if it takes so much; fewer shares where a buyer's
    whole micros of pUSD do not come to it."""
    price, _, maker = offer
    if maker is not None:
        given = maker.give(size)
        makes_set = maker.outcome != order.outcome
        cash = given.size - given.notional if makes_set else given.notional
        dust = cash - price * given.size // MICROS
        return Fill(price, given.size, Liquidity.TAKER, dust, maker.key)
    if order.side == Side.BUY:
        return Fill(price, size, Liquidity.TAKER)
    return bought(price, price * size // MICROS)._replace(liquidity=Liquidity.TAKER)


def in_up_terms(outcome: int, side: int, price: int) -> tuple[int, int]:
    """Return a level as the Up book shows it: a Down bid at p is an Up ask at 1 − p."""
    return (1 - side, MICROS - price) if outcome else (side, price)
