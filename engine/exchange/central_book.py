"""The central book of one market: clients' orders against each other, price-time priority. Pure.

Both outcomes are one book, kept in Up's terms: buying Down at p is selling Up at 1 − p.

```
taker        maker                     they trade                        pUSD
-----------  ------------------------  --------------------------------  ----------------------
BUY  Up p    SELL Up ≤ p               complementary: shares move        buyer → seller
BUY  Up p    BUY  Down ≥ 1 − p         mint: a new full set, one each    both pay, together 1
SELL Up p    SELL Down ≤ 1 − p         merge: a full set ends            both get, together 1
```
The maker's price holds and the taker has the improvement. Among orders at one price the older comes
first; what is left of a partly filled order keeps its place.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

from engine.exchange.books import Book, Change
from engine.exchange.matching import (
    Fill,
    Offer,
    Order,
    Sweep,
    Verdict,
    in_up_terms,
    other_side,
    sweep,
)
from engine.exchange.texts import MICROS
from engine.wire.codes import Side

Queue = OrderedDict[str, Order]  # oldest first; the first may leave at any time, cheaply


class CentralBook:
    """One market's resting orders, and the two displayed books that follow from them."""

    __slots__ = ("_changed", "_prices", "_queues", "_resting", "books")

    def __init__(self) -> None:
        self.books = (Book(), Book())
        for book in self.books:
            book.known = True  # a market without orders has an empty book, not an unknown one
        self._resting: dict[str, Order] = {}
        self._queues: tuple[dict[int, Queue], dict[int, Queue]] = ({}, {})  # Up's bids, Up's asks
        self._prices: tuple[list[int], list[int]] = ([], [])  # ascending, those with a queue
        self._changed: dict[tuple[int, int], None] = {}  # Up's side and price

    def judge(self, order: Order) -> Verdict:
        """Return what the order is on the book in force."""
        if next(self._makers(order), None) is None:
            return Verdict.PASSIVE
        return Verdict.CROSSES if order.post_only else Verdict.MARKETABLE

    def sweep(self, order: Order) -> Sweep:
        """Return what the order would take now, best price first; a FOK all or nothing."""
        return sweep(order, self._offers(order))

    def commit(self, order: Order, fills: list[Fill]) -> None:
        """Make a sweep happen, for its makers too; those that are filled leave."""
        for fill in fills:
            maker = self._resting[fill.maker]
            before = maker.left
            maker.count(other_side(fill, maker, makes_set=maker.outcome != order.outcome))
            side, price = in_up_terms(maker.outcome, maker.side, maker.limit)
            self._display(side, price, maker.left - before)
            if not maker.left:
                self._leave(maker, side, price)
            order.count(fill)

    def rest(self, order: Order) -> None:
        """Put the order last in the queue of its price."""
        side, price = in_up_terms(order.outcome, order.side, order.limit)
        queue = self._queues[side].get(price)
        if queue is None:
            queue = self._queues[side][price] = OrderedDict()
            insort(self._prices[side], price)
        queue[order.key] = self._resting[order.key] = order
        self._display(side, price, order.left)

    def remove(self, order: Order) -> None:
        """Take a resting order out; harmless if it does not rest."""
        if order.key in self._resting:
            side, price = in_up_terms(order.outcome, order.side, order.limit)
            self._display(side, price, -order.left)
            self._leave(order, side, price)

    def refresh(self, _outcome: int) -> list[tuple[Order, Fill]]:
        """Return nothing: here the displayed book follows from orders, never the reverse."""
        return []

    def printed(
        self, _outcome: int, _side: int, _price: int, _size: int
    ) -> list[tuple[Order, Fill]]:
        """Return nothing: here every trade is between orders."""
        return []

    def drain(self) -> list[tuple[int, list[Change]]]:
        """Return what changed in the displayed books since the last call, Up first."""
        if not self._changed:
            return []
        up: list[Change] = []
        down: list[Change] = []
        for side, price in self._changed:
            size = self.books[0].side(side).get(price, 0)
            up.append(Change(side, price, size))
            down.append(Change(1 - side, MICROS - price, size))
        self._changed.clear()
        return [(0, up), (1, down)]

    def queue(self, outcome: int, side: int, price: int) -> list[Order]:
        """Return the orders at one price of Up's or Down's book, first to fill first."""
        up_side, up_price = in_up_terms(outcome, side, price)
        return list(self._queues[up_side].get(up_price, {}).values())

    def _makers(self, order: Order) -> Iterator[tuple[int, Order]]:
        """Yield (Up's price, order) of all that the order could meet, first to fill first."""
        side, limit = in_up_terms(order.outcome, order.side, order.limit)
        queues, prices = self._queues[1 - side], self._prices[1 - side]
        for price in prices if side == Side.BUY else reversed(prices):
            if price > limit if side == Side.BUY else price < limit:
                return
            for maker in queues[price].values():
                yield price, maker

    def _offers(self, order: Order) -> Iterator[Offer]:
        for price, maker in self._makers(order):
            yield Offer(MICROS - price if order.outcome else price, maker.left, maker)

    def _leave(self, order: Order, side: int, price: int) -> None:
        del self._resting[order.key]
        queue = self._queues[side][price]
        del queue[order.key]
        if not queue:
            del self._queues[side][price]
            prices = self._prices[side]
            del prices[bisect_left(prices, price)]

    def _display(self, side: int, price: int, added: int) -> None:
        """Change a level's size in both books."""
        up, down = self.books[0].side(side), self.books[1].side(1 - side)
        size = up.get(price, 0) + added
        if size:
            up[price] = down[MICROS - price] = size
        else:
            del up[price], down[MICROS - price]
        self._changed[side, price] = None
