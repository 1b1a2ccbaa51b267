"""The liquidity of paper trading: our orders against books that are not ours. Pure.

What our orders took is remembered once for both outcomes, per price, until that price disappears
from the book. Our orders never change the displayed book; among themselves those of two owners
never meet, and those of one as anywhere (`matching`). A resting order
fills at its own limit when a later book has opposite levels at or through it; with a queue model,
also by public trades at its price, once what was there before it is estimated to be gone.
Source: quant.md §8 `paper_order`, `queue_model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.exchange.books import Book, Change, Levels
from engine.exchange.matching import Fill, Offer, Order, Sweep, Verdict, in_up_terms, sweep
from engine.exchange.queue_model import QueueModel, QueuePlace
from engine.exchange.texts import MICROS
from engine.math.units import SIZE_STEP
from engine.wire.codes import Side


class _Place(NamedTuple):
    """Where an order stands, and the size of its level when that was last updated."""

    place: QueuePlace
    seen: int


class Pool:
    """One market's liquidity and our orders resting in it."""

    __slots__ = ("_places", "_queue", "_taken", "books", "resting")

    def __init__(self, queue: QueueModel | None = None) -> None:
        """queue: how places in queues are estimated; None: public trades fill nothing."""
        self.books = (Book(), Book())
        self._queue = queue
        self._places: dict[str, _Place] = {}
        self.resting: dict[str, Order] = {}  # in order of arrival
        self._taken: tuple[Levels, Levels] = ({}, {})  # from Up's bids, from Up's asks

    def judge(self, order: Order) -> Verdict:
        """Return what the order is on the displayed book."""
        book = self.books[order.outcome]
        if not book.known:
            return Verdict.NO_BOOK
        if not _reaches(order, book) and not self._own(order):
            return Verdict.PASSIVE
        return Verdict.CROSSES if order.post_only else Verdict.MARKETABLE

    def sweep(self, order: Order) -> Sweep:
        """Return what the order would take now, best price first; a FOK all or nothing."""
        offers = self._available(order)
        own = self._own(order)
        if own:  # what is displayed was there before them
            is_sale = order.side == Side.SELL
            offers = iter(sorted([*offers, *own], key=_price, reverse=is_sale))
        return sweep(order, offers)

    def commit(self, order: Order, fills: list[Fill]) -> None:
        """Make a sweep happen: count it in the order, and its quantity as taken."""
        for fill in fills:
            self._take(order, fill.price, fill)

    def rest(self, order: Order) -> None:
        """Let the order wait for later books, last in the queue of its price."""
        self.resting[order.key] = order
        if self._queue is not None:
            size = self._own_level(order)
            self._places[order.key] = _Place(QueuePlace(self._queue, size, SIZE_STEP), size)

    def remove(self, order: Order) -> None:
        """Take a resting order out; harmless if it does not rest."""
        self.resting.pop(order.key, None)
        self._places.pop(order.key, None)

    def drain(self) -> list[tuple[int, list[Change]]]:
        """Return nothing: our orders never change the displayed book."""
        return []

    def refresh(self, outcome: int) -> list[tuple[Order, Fill]]:
        """Fill resting orders from the book of `outcome`, which has just changed, in time order.

        Every level is a fill of its own, at the order's limit. Filled orders leave the pool.
        """
        self._forget(outcome)
        self._requeue(outcome)
        book = self.books[outcome]
        out: list[tuple[Order, Fill]] = []
        reached = [o for o in self.resting.values() if o.outcome == outcome and _reaches(o, book)]
        for order in reached:
            for price, available, _ in self._available(order):
                fill = order.give(available)
                if not fill.size:
                    continue
                self._take(order, price, fill)
                out.append((order, fill))
                if not order.left:
                    self.remove(order)
                    break
        return out

    def printed(self, outcome: int, side: int, price: int, size: int) -> list[tuple[Order, Fill]]:
        """Fill resting orders from a public trade: `side` took `size` at `price`, in micros."""
        side, price = in_up_terms(outcome, side, price)
        out: list[tuple[Order, Fill]] = []
        for key, (place, _) in list(self._places.items()):
            order = self.resting[key]
            if in_up_terms(order.outcome, order.side, order.limit) != (1 - side, price):
                continue
            place.trade(size)
            fill = order.give(round(place.claim(order.left)))
            if fill.size:
                order.count(fill)
                out.append((order, fill))
                if not order.left:
                    self.remove(order)
        return out

    def taken(self, outcome: int, side: int, price: int) -> int:
        """Return how much of a displayed level our orders took already, in micro-shares."""
        side, price = in_up_terms(outcome, side, price)
        return self._taken[side].get(price, 0)

    def _requeue(self, outcome: int) -> None:
        """Let the orders' places follow the sizes of their levels."""
        for key, (place, seen) in self._places.items():
            order = self.resting[key]
            size = self._own_level(order)
            if order.outcome == outcome and size != seen:
                place.resize(seen, size)
                self._places[key] = _Place(place, size)

    def _own_level(self, order: Order) -> int:
        """Return what is displayed at the order's own price and side."""
        return self.books[order.outcome].side(order.side).get(order.limit, 0)

    def _take(self, order: Order, price: int, fill: Fill) -> None:
        """Count a fill that the level at `price` of the opposite side gave."""
        side, price = in_up_terms(order.outcome, 1 - order.side, price)
        taken = self._taken[side]
        taken[price] = taken.get(price, 0) + fill.size
        order.count(fill)

    def _available(self, order: Order) -> Iterator[Offer]:
        """Yield the opposite side's levels through the limit, best first, net of taken."""
        opposite = 1 - order.side
        levels = self.books[order.outcome].side(opposite)
        if order.side == Side.BUY:
            prices = sorted(price for price in levels if price <= order.limit)
        else:
            prices = sorted((price for price in levels if price >= order.limit), reverse=True)
        for price in prices:
            taken = self.taken(order.outcome, opposite, price)
            yield Offer(price, max(levels[price] - taken, 0))

    def _own(self, order: Order) -> list[Offer]:
        """Return the owner's resting orders within the limit, on either outcome's book."""
        if not order.owner:
            return []
        side, limit = in_up_terms(order.outcome, order.side, order.limit)
        out: list[Offer] = []
        for maker in self.resting.values():
            up_side, price = in_up_terms(maker.outcome, maker.side, maker.limit)
            within = price <= limit if side == Side.BUY else price >= limit
            if maker.owner == order.owner and up_side != side and within:
                out.append(Offer(MICROS - price if order.outcome else price, maker.left, maker))
        return out

    def _forget(self, outcome: int) -> None:
        """Forget what was taken at prices which the book of `outcome` no longer shows."""
        book = self.books[outcome]
        for side in (Side.BUY, Side.SELL):
            up_side, _ = in_up_terms(outcome, side, 0)
            taken = self._taken[up_side]
            levels = book.side(side)
            gone = [p for p in taken if in_up_terms(outcome, up_side, p)[1] not in levels]
            for price in gone:
                del taken[price]


def _price(offer: Offer) -> int:
    return offer.price


def _reaches(order: Order, book: Book) -> bool:
    if order.side == Side.BUY:
        return bool(book.asks) and book.best_ask <= order.limit
    return bool(book.bids) and book.best_bid >= order.limit
