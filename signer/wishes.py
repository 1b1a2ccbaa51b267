"""What may be asked for next: what is armed, then the price levels around what was asked for last.

An armed order is what the core says it will ask for. For the others there is only experience:
strategies quote the same size again, a tick higher or lower, so the last order of a shape
(instrument, side, size, type) tells which orders are worth signing ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple, TypeAlias

from signer.amounts import ONE, is_on_tick
from signer.commands import NewOrder
from signer.policy import amounts_of
from signer.presigned import OrderKey
from signer.templates import OrderTemplate

SHAPES_MAX = 64
NEAR_MAX = 32  # of those that are not armed: worth a whole request each second


class Wish(NamedTuple):
    """An order that may be asked for, and its instrument's index.

    is_near: so likely that its whole request is worth being written in each second.
    """

    key: OrderKey
    instrument: int
    is_near: bool = True


Asked: TypeAlias = tuple[NewOrder, OrderTemplate, int]  # and the tick it was asked on


class Wishes:
    """The armed orders, the last order of each shape, and the levels around it."""

    __slots__ = ("_armed", "_asked", "_count_max", "_news", "_steps", "note")

    def __init__(self, count_max: int, levels: int) -> None:
        """count_max: wishes at one time. levels: ticks to look up and down, 0 = the same price.

        note(asked): remember an order that was asked for. Hot path, so it has no method around it.
        """
        self._count_max = count_max
        # 0, 1, -1, 2, -2, …: the nearest first.
        self._steps = sorted(range(-levels, levels + 1), key=lambda step: (abs(step), -step))
        self._armed: dict[tuple[int, int], Wish] = {}  # by instrument and strategy
        self._news: deque[Asked] = deque(maxlen=SHAPES_MAX)
        self.note = self._news.append
        self._asked: dict[tuple[int, ...], Asked] = {}  # the last asked stands last

    def arm(self, strategy: int, wish: Wish) -> None:
        """Want this order before all that are not armed, until it is disarmed or asked for."""
        self._read_news()  # what was asked for before this is no answer to it
        self._armed[wish.instrument, strategy] = wish

    def disarm(self, strategy: int, instrument: int) -> Wish | None:
        """Want what was armed no more; return it."""
        return self._armed.pop((instrument, strategy), None)

    def around(self) -> Iterator[Wish]:
        """Return the wishes: the armed, then those of the newest order, the nearest level first."""
        self._read_news()
        if not self._asked:
            return islice(tuple(self._armed.values()), self._count_max)
        newest_first = reversed(tuple(self._asked.values()))
        levels = (level for asked in newest_first for level in self._levels(asked))
        others = (Wish(*level, index < NEAR_MAX) for index, level in enumerate(levels))
        return islice(chain(tuple(self._armed.values()), others), self._count_max)

    def forget(self, instrument: int) -> None:
        """Forget what was armed and asked for of an instrument."""
        self._read_news()
        for armed in [armed for armed in self._armed if armed[0] == instrument]:
            del self._armed[armed]
        for shape in [shape for shape in self._asked if shape[0] == instrument]:
            del self._asked[shape]

    def _read_news(self) -> None:
        while self._news:
            asked = self._news.popleft()
            order = asked[0]
            shape = (order.instrument, order.side, order.size, order.tif, order.post_only)
            self._asked.pop(shape, None)
            self._asked[shape] = asked
            self._answer(asked)
        while len(self._asked) > SHAPES_MAX:
            del self._asked[next(iter(self._asked))]

    def _answer(self, asked: Asked) -> None:
        """An armed order that was asked for is armed no more."""
        order, template, tick = asked
        if self._armed:
            key = (template, *amounts_of(order, tick), order.tif, order.post_only)
            held = next((armed for armed, wish in self._armed.items() if wish.key == key), None)
            if held is not None:
                del self._armed[held]

    def _levels(self, asked: Asked) -> Iterator[tuple[OrderKey, int]]:
        order, template, tick = asked
        # A budget that is price × size follows the price; any other is kept.
        follows = order.budget == order.price * order.size // ONE
        for step in self._steps:
            price = order.price + step * tick
            if not is_on_tick(price, tick):
                continue
            near = order._replace(price=price, budget=0 if follows else order.budget)
            amounts = amounts_of(near, tick)
            if amounts.maker and amounts.taker:
                key = (template, *amounts, order.tif, order.post_only)
                yield key, order.instrument
