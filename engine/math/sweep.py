"""How many full sets the displayed depth can sell us at a profit.

The all-in cost of the next share rises along each book, so walking all legs together, cheapest
first, is exactly optimal (quant reference, section 5.1).  Exact integers: micros and 1e-14 pUSD.

```
asks   int64[legs, levels, 2]   PRICE micros │ DEPTH micro-shares, this level and all before it
found  int64[1 + legs, 3]       OUTCOME │ SIZE  │ PROFIT     of the whole purchase
                                LIMIT   │ GROSS │ FEE        of a leg, a row each
```
A level no deeper than the one before it has nothing to sell: that is how a book ends early.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import float64, int64, njit, void

from engine.math.fees import (
    COST_UNIT,
    CURVE_FREE,
    CURVE_V2,
    RATE_PPM_MAX,
    SIZE_MAX,
    cost_buy,
    fee_v2_floor,
)
from engine.math.units import MICROS, SIZE_STEP

Level = tuple[int, int]  # (price micros, size micro-shares), best first

PRICE, DEPTH = 0, 1
OUTCOME, SIZE, PROFIT = 0, 1, 2
LIMIT, GROSS, FEE = 0, 1, 2
UNLIMITED = -1

_COST_MICRO = COST_UNIT // MICROS
_TERM_MAX = 10**18  # of money and sizes asked for: sums of a few fit a word


class Outcome(IntEnum):
    """Whether a set is worth buying, and if not why."""

    OK = 0
    NO_EDGE = 1
    MIN_SIZE = 2
    MIN_NOTIONAL = 3
    UNPROFITABLE_AFTER_COSTS = 4


_OK, _NO_EDGE, _MIN_SIZE = int(Outcome.OK), int(Outcome.NO_EDGE), int(Outcome.MIN_SIZE)
_MIN_NOTIONAL = int(Outcome.MIN_NOTIONAL)
_UNPROFITABLE = int(Outcome.UNPROFITABLE_AFTER_COSTS)


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


@njit(void(int64[:, ::1], int64), cache=True, error_model="numpy", _nrt=False)
def deepen(levels, count):  # type: ignore[no-untyped-def]
    """Hot path. Turn (price, size) rows into (price, depth); those from `count` on sell nothing.

    levels: int64[n, 2], sizes >= 0.  No book is deeper than SIZE_MAX: nothing is added up beyond.
    """
    depth = 0
    for i in range(levels.shape[0]):
        if i < count:
            depth = min(depth + min(levels[i, DEPTH], SIZE_MAX), SIZE_MAX)
        levels[i, DEPTH] = depth


@njit(
    int64(int64[:, :, ::1], int64, int64, int64, int64),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def walk_asks(asks, rate_ppm, edge_min, size_max, budget):  # type: ignore[no-untyped-def]
    """Hot path. Return how many micro-shares of a full set are worth buying, before rounding.

    edge_min, budget: micros; size_max, budget < 0 mean unlimited.  The edge must be strictly above
    edge_min for every share taken.  All legs are walked equally far: `total` says where each is,
    and finding its level anew costs nothing, as a walk ends after a level or two.
    """
    total = 0
    spent = 0.0
    while True:
        cost = 0
        room = size_max - total if size_max >= 0 else SIZE_MAX
        for k in range(asks.shape[0]):
            i = 0
            while asks[k, i, DEPTH] <= total:
                i += 1
                if i == asks.shape[1]:
                    return total
            cost += cost_buy(asks[k, i, PRICE], rate_ppm)
            room = min(room, asks[k, i, DEPTH] - total)
        edge = -((cost - COST_UNIT) // _COST_MICRO)  # micros, rounded up: above is above
        if edge <= edge_min:
            return total
        if budget >= 0:
            payable = (float64(budget) - spent) * float64(_COST_MICRO) / float64(cost)
            payable *= float64(MICROS)
            if payable < room:
                room = int64(payable)
        if room <= 0:
            return total
        total += room
        spent += float64(room) * float64(cost) / float64(COST_UNIT)


@njit(
    void(int64[:, ::1], int64, int64, int64[::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def take_leg(levels, size, rate_ppm, leg):  # type: ignore[no-untyped-def]
    """Hot path. Write LIMIT, GROSS (rounded up a fill) and FEE (down) of buying from one book.

    levels: int64[n, 2], at least `size` deep.  leg: int64[3].
    """
    gross = fee = limit = done = 0
    for i in range(levels.shape[0]):
        taken = min(levels[i, DEPTH], size) - done
        if taken > 0:
            limit = levels[i, PRICE]
            whole, part = taken // MICROS, taken % MICROS  # shares: their product fits a word
            gross += limit * whole + (limit * part + MICROS - 1) // MICROS
            fee += fee_v2_floor(taken, limit, rate_ppm)
            done += taken
        if done == size:
            break
    leg[LIMIT] = limit
    leg[GROSS] = gross
    leg[FEE] = fee


@njit(
    int64(int64[:, :, ::1], int64, int64, int64, int64, int64, int64, int64, int64[:, ::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def sweep_asks(  # type: ignore[no-untyped-def]
    asks, rate_ppm, edge_min, size_max, budget, min_size, notional_min, gas, found
):
    """Hot path. Find the best purchase of one share of every leg; return its Outcome.

    The terms are those of `buy_set`. Legs are written only where there is enough to buy.
    """
    size = walk_asks(asks, rate_ppm, edge_min, size_max, budget)
    size -= size % SIZE_STEP
    profit = 0
    outcome = _OK
    if size == 0:
        outcome = _NO_EDGE
    elif size < min_size:
        outcome = _MIN_SIZE
    else:
        profit = size - gas
        for k in range(asks.shape[0]):
            leg = found[1 + k]
            take_leg(asks[k], size, rate_ppm, leg)
            profit -= leg[GROSS] + leg[FEE]
            if leg[GROSS] < notional_min:
                outcome = _MIN_NOTIONAL
        if outcome == _OK and profit <= 0:
            outcome = _UNPROFITABLE
    found[0, OUTCOME] = outcome
    found[0, SIZE] = size
    found[0, PROFIT] = profit
    return outcome


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
    budget: int = UNLIMITED,
) -> Sweep:
    """Return the best purchase of one share of every outcome from these asks (curve V2, e = 1).

    books: one list of (price, size) a leg, best first.  Money and sizes in micros; size_max and
    budget < 0 mean unlimited, though no purchase exceeds SIZE_MAX; gas is the cost of all of it.
    The legs together must be exhaustive: that is the caller's to know.  Raises ValueError for
    another curve and for numbers no purchase can have.
    """
    if curve not in (CURVE_FREE, CURVE_V2):
        raise ValueError(f"a set is bought under the fee curves FREE and V2: curve={curve}")
    if not 0 <= rate_ppm <= RATE_PPM_MAX:
        raise ValueError(f"fee rate must lie in 0..{RATE_PPM_MAX} ppm: rate_ppm={rate_ppm}")
    terms = {
        "edge_min": edge_min,
        "size_max": size_max,
        "budget": budget,
        "min_size": min_size,
        "notional_min": notional_min,
        "gas": gas,
    }
    for name, value in terms.items():
        if abs(value) > _TERM_MAX:
            raise ValueError(f"amount must lie within ±{_TERM_MAX} micros: {name}={value}")
    asks = _as_array(books)
    found = np.zeros((1 + len(books), 3), np.int64)
    rate = rate_ppm if curve == CURVE_V2 else 0
    outcome = Outcome(sweep_asks(asks, rate, *terms.values(), found))
    (_, size, profit), *legs = found.tolist()
    if outcome in (Outcome.NO_EDGE, Outcome.MIN_SIZE):
        legs = []
    return Sweep(size, profit, outcome, tuple(SweepLeg(*leg) for leg in legs))


def _as_array(books: list[list[Level]]) -> np.ndarray:
    if not books:
        raise ValueError("a set has at least one leg: books=[]")
    asks = np.zeros((len(books), max(1, *map(len, books)), 2), np.int64)
    for levels, book in zip(asks, books, strict=True):
        for i, (price, size) in enumerate(book):
            if not 0 <= price <= MICROS or size < 0:
                raise ValueError(f"no such ask: level={i}, price={price}, size={size}")
            levels[i] = price, min(size, SIZE_MAX)
        deepen(levels, len(book))
    return asks
