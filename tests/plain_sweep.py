"""Buying full sets in plain Python, on lists and whole numbers: the twin of the jitted sweep."""

from __future__ import annotations

from engine.math.fees import COST_UNIT, CURVE_V2, fee_micros
from engine.math.sweep import Level, Outcome, Sweep, SweepLeg
from engine.math.units import MICROS, SIZE_STEP, floor_to, notional_micros_ceil


def cost_of(price: int, rate_ppm: int) -> int:
    """Return the all-in cost of a share in 1e-14 pUSD."""
    cell = price // 100
    return price * 100_000_000 + rate_ppm * cell * (10_000 - cell)


def walk(books: list[list[Level]], rate_ppm: int, edge_min: int, size_max: int, budget: int) -> int:
    """Return how many micro-shares of a full set are worth buying, before rounding."""
    ways = [iter(book) for book in books]
    prices, left = [0] * len(books), [0] * len(books)
    total, spent = 0, 0.0
    while True:
        for k, way in enumerate(ways):
            if left[k] == 0:
                level = next(way, None)
                if level is None:
                    return total
                prices[k], left[k] = level
        cost = sum(cost_of(price, rate_ppm) for price in prices)
        if COST_UNIT - cost <= edge_min * (COST_UNIT // MICROS):
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
    rate_ppm: int,
    edge_min: int,
    size_max: int,
    min_size: int,
    notional_min: int = 0,
    gas: int = 0,
    budget: int = -1,
) -> Sweep:
    """Return what `engine.math.sweep.buy_set` shall return under the curve V2."""
    size = floor_to(walk(books, rate_ppm, edge_min, size_max, budget), SIZE_STEP)
    if size == 0:
        return Sweep(0, 0, Outcome.NO_EDGE, ())
    if size < min_size:
        return Sweep(size, 0, Outcome.MIN_SIZE, ())
    legs = tuple(leg_of(book, size, rate_ppm) for book in books)
    profit = size - sum(leg.gross + leg.fee for leg in legs) - gas
    if any(leg.gross < notional_min for leg in legs):
        return Sweep(size, profit, Outcome.MIN_NOTIONAL, legs)
    if profit <= 0:
        return Sweep(size, profit, Outcome.UNPROFITABLE_AFTER_COSTS, legs)
    return Sweep(size, profit, Outcome.OK, legs)


def leg_of(book: list[Level], size: int, rate_ppm: int) -> SweepLeg:
    """Return what `size` micro-shares of one book cost."""
    left, gross, fee, limit = size, 0, 0, 0
    for price, available in book:
        if left == 0:
            break
        taken = min(left, available)
        gross += notional_micros_ceil(price, taken)
        fee += fee_micros(taken, price, CURVE_V2, rate_ppm, 1)
        limit = price
        left -= taken
    return SweepLeg(limit, gross, fee)
