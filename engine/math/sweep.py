"""How many full sets the displayed depth can sell us at a profit.

The all-in cost of the next share rises along each book, so walking all legs together, cheapest
first, is exactly optimal (quant reference, section 5.1).  Exact integers: micros and 1e-14 pUSD.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.math.fees import COST_UNIT, cost_buy, fee_micros
from engine.math.units import MICROS, SIZE_STEP, floor_to, notional_micros_ceil

Level = tuple[int, int]  # (price micros, size micro-shares), best first


class Outcome(IntEnum):
    """Whether a set is worth buying, and if not why."""

    OK = 0
    NO_EDGE = 1
    MIN_SIZE = 2
    MIN_NOTIONAL = 3
    UNPROFITABLE_AFTER_COSTS = 4


@dataclass(frozen=True, slots=True)
class SweepLeg:
    """One leg of a set purchase: worst price used and what it costs, in micros."""

    limit: int
    gross: int
    fee: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """`size` micro-shares of every leg; OK means it earns `profit` micros after fees."""

    size: int
    profit: int
    outcome: Outcome
    legs: tuple[SweepLeg, ...]


def walk_asks(
    books: list[list[Level]], rate_ppm: int, edge_min: int, size_max: int, budget: int
) -> int:
    """Hot path. Return how many micro-shares of a full set are worth buying, before rounding.

    books: one list of (price, size) a leg, micros, best first, no zero sizes.  edge_min, budget:
    micros; size_max, budget < 0 mean unlimited.  The edge must be strictly above edge_min for every
    share taken.  In Python: a walk ends after a level or two, sooner than arrays would be filled.
    """
    ways = [iter(book) for book in books]
    prices, left = [0] * len(books), [0] * len(books)
    total, spent = 0, 0.0
    floor = edge_min * (COST_UNIT // MICROS)
    while True:
        for k, way in enumerate(ways):
            if left[k] == 0:
                level = next(way, None)
                if level is None:
                    return total
                prices[k], left[k] = level
        cost = sum(cost_buy(price, rate_ppm) for price in prices)
        if COST_UNIT - cost <= floor:
            return total
        room = min(left)
        if size_max >= 0:
            room = min(room, size_max - total)
        if budget >= 0:
            room = min(room, int((budget - spent) * (COST_UNIT // MICROS) / cost * MICROS))
        if room <= 0:
            return total
        total += room
        spent += float(room) * cost / COST_UNIT
        left = [each - room for each in left]


def buy_set(
    books: list[list[Level]],
    *,
    curve: int,
    rate_ppm: int,
    edge_min: int,
    size_max: int,
    min_size: int,
    notional_min: int = 0,
    gas: int = 0,
    budget: int = -1,
) -> Sweep:
    """Return the best purchase of one share of every outcome from these asks (curve V2, e = 1).

    books: one list of (price, size) a leg, best first.  Money and sizes in micros; size_max and
    budget < 0 mean unlimited; gas is the cost of the whole purchase.  The legs together must be
    exhaustive: that is the caller's to know.
    """
    walked = walk_asks(books, rate_ppm, edge_min, size_max, budget)
    size = floor_to(walked, SIZE_STEP)
    if size == 0:
        return Sweep(0, 0, Outcome.NO_EDGE, ())
    if size < min_size:
        return Sweep(size, 0, Outcome.MIN_SIZE, ())
    legs = tuple(_leg(book, size, curve, rate_ppm) for book in books)
    profit = size - sum(leg.gross + leg.fee for leg in legs) - gas
    if any(leg.gross < notional_min for leg in legs):
        return Sweep(size, profit, Outcome.MIN_NOTIONAL, legs)
    if profit <= 0:
        return Sweep(size, profit, Outcome.UNPROFITABLE_AFTER_COSTS, legs)
    return Sweep(size, profit, Outcome.OK, legs)


def _leg(book: list[Level], size: int, curve: int, rate_ppm: int) -> SweepLeg:
    left, gross, fee, limit = size, 0, 0, 0
    for price, available in book:
        if left == 0:
            break
        taken = min(left, available)
        gross += notional_micros_ceil(price, taken)
        fee += fee_micros(taken, price, curve, rate_ppm, 1)
        limit = price
        left -= taken
    return SweepLeg(limit, gross, fee)
