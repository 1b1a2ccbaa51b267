"""How many full sets the displayed depth can sell us at a profit.

The all-in cost of the next share rises along each book, so walking all legs together, cheapest
first, is exactly optimal (quant reference, section 5.1).  Exact integers: micros and 1e-14 pUSD.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import int64, njit

from engine.math.fees import COST_UNIT, cost_buy, fee_micros
from engine.math.units import MICROS, SIZE_STEP, floor_to, notional_micros_ceil

UNLIMITED = 1 << 62

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


@njit(int64(int64[:, ::1], int64[:, ::1], int64[::1], int64, int64, int64, int64), cache=True)
def walk_asks(prices, sizes, counts, rate_ppm, edge_min, size_max, budget):  # type: ignore[no-untyped-def]
    """Return how many micro-shares of a full set are worth buying, before rounding.

    prices, sizes: int64[legs, levels], micros, best first, no zero sizes.  counts: levels per leg.
    edge_min, budget: micros; size_max, budget < 0 mean unlimited.  The edge must be strictly above
    edge_min for every share taken.
    """
    legs = prices.shape[0]
    at = np.zeros(legs, np.int64)
    used = np.zeros(legs, np.int64)
    total = 0
    spent = 0.0
    floor = edge_min * (COST_UNIT // MICROS)
    while True:
        cost = 0
        room = size_max - total if size_max >= 0 else UNLIMITED
        for k in range(legs):
            if at[k] == counts[k]:
                return total
            cost += cost_buy(prices[k, at[k]], rate_ppm)
            room = min(room, sizes[k, at[k]] - used[k])
        if COST_UNIT - cost <= floor:
            return total
        if budget >= 0:
            affordable = (float(budget) - spent) * (COST_UNIT // MICROS) / cost * MICROS
            room = min(room, np.int64(affordable))
        if room <= 0:
            return total
        total += room
        spent += float(room) * cost / COST_UNIT
        for k in range(legs):
            used[k] += room
            if used[k] == sizes[k, at[k]]:
                at[k] += 1
                used[k] = 0


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
    width = max((len(b) for b in books), default=0)
    prices = np.zeros((len(books), width), np.int64)
    sizes = np.zeros((len(books), width), np.int64)
    counts = np.array([len(b) for b in books], np.int64)
    for k, book in enumerate(books):
        for j, (price, size) in enumerate(book):
            prices[k, j] = price
            sizes[k, j] = size
    walked = int(walk_asks(prices, sizes, counts, rate_ppm, edge_min, size_max, budget))
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
