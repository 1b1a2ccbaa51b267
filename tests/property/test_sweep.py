"""The jitted sweep of a Dutch book against plain Python, down to the last micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plain_sweep
import pytest
from core_driver import DOWN, DUTCH, NOW_NS, UP, levels
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import kernel
from engine.core.intents import Basket, Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.core.strategies.dutch_book import LEVELS_WALKED, DutchBook
from engine.core.world.books import Books, Touch
from engine.core.world.instruments import Instrument, Market
from engine.math.fees import COST_UNIT, CURVE_FREE, CURVE_LEGACY, CURVE_V2, SIZE_MAX
from engine.math.sweep import Level, Outcome, buy_set
from engine.math.units import MICROS, text_from_micros
from engine.wire.codes import FeeCurve, Side
from engine.wire.records import words

PRICES = st.integers(1, 9_999).map(lambda cell: cell * 100)
CHEAP = st.integers(1, 4_999).map(lambda cell: cell * 100)  # two of them always leave an edge
SIZES = st.one_of(
    st.integers(1, 9_999).map(lambda n: n * 10_000),
    st.integers(1, 10**8),
    st.integers(1, SIZE_MAX // 100),
)
RATES = st.one_of(st.just(0), st.sampled_from([40_000, 70_000]), st.integers(0, MICROS))
UNLIMITED = st.just(-1)


def book_of(prices: st.SearchStrategy[int], least: int = 0) -> st.SearchStrategy[list[Level]]:
    """Return books of at least so many asks, best first."""
    asks = st.dictionaries(prices, SIZES, min_size=least, max_size=30)
    return asks.map(lambda book: sorted(book.items()))


BOOKS = st.integers(1, 4).flatmap(
    lambda legs: st.lists(
        book_of(st.integers(1, 12_000 // legs).map(lambda cell: min(cell, 9_999) * 100)),
        min_size=legs,
        max_size=legs,
    )
)


@given(
    books=BOOKS,
    rate_ppm=RATES,
    edge_min=st.one_of(st.integers(0, 50_000), st.integers(-MICROS, 2 * MICROS)),
    size_max=st.one_of(UNLIMITED, SIZES, st.just(0)),
    min_size=st.sampled_from([0, 5 * MICROS, 100 * MICROS]),
    notional_min=st.sampled_from([0, MICROS, 10 * MICROS]),
    gas=st.one_of(st.just(0), st.integers(0, 10 * MICROS), SIZES),
    budget=st.one_of(UNLIMITED, st.integers(0, 10**10), SIZES),
)
@settings(max_examples=1_000, deadline=None)
def test_a_set_is_bought_as_plain_python_buys_it(**terms: Any) -> None:
    """Size, profit, outcome, and limit, gross and fee of every leg are the twin's."""
    assert buy_set(curve=CURVE_V2, **terms) == plain_sweep.buy_set(**terms)


@given(PRICES, PRICES, RATES)
@settings(deadline=None)
def test_an_edge_is_strictly_above_the_least_asked_for(up: int, down: int, rate_ppm: int) -> None:
    """Around the edge of a set itself, fractions of a micro included, the twin agrees."""
    edge = (COST_UNIT - sum(plain_sweep.cost_of(p, rate_ppm) for p in (up, down))) // 100_000_000
    books = [[(up, 10 * MICROS)], [(down, 10 * MICROS)]]
    for edge_min in (edge - 1, edge, edge + 1):
        terms = {"rate_ppm": rate_ppm, "edge_min": edge_min, "size_max": -1, "min_size": 0}
        assert buy_set(books, curve=CURVE_V2, **terms) == plain_sweep.buy_set(books, **terms)


@given(BOOKS, st.integers(1, 10**9))
@settings(max_examples=200, deadline=None)
def test_a_purchase_costs_what_it_says(books: list[list[Level]], budget: int) -> None:
    """What is found fits the budget to the fees' rounding, and earns what a set pays above it."""
    terms = {"rate_ppm": 70_000, "edge_min": 0, "size_max": -1, "min_size": 0}
    got = buy_set(books, curve=CURVE_V2, **terms, budget=budget)
    cost = sum(leg.gross + leg.fee for leg in got.legs)
    assert cost <= budget + sum(len(book) for book in books)  # a gross is rounded up a level
    assert got.profit == (got.size - cost if got.legs else 0)
    assert got.size % 10_000 == 0


TERMS = {"curve": CURVE_V2, "rate_ppm": 0, "edge_min": 0, "size_max": -1, "min_size": 0}
BOOK = [[(400_000, MICROS)], [(500_000, MICROS)]]


@pytest.mark.parametrize(
    ("books", "wrong", "message"),
    [
        (BOOK, {"curve": CURVE_LEGACY}, "curve=3"),
        (BOOK, {"rate_ppm": -1}, "rate_ppm=-1"),
        (BOOK, {"rate_ppm": MICROS + 1}, "rate_ppm=1000001"),
        (BOOK, {"gas": 10**30}, f"gas={10**30}"),
        (BOOK, {"edge_min": -(10**19)}, f"edge_min=-{10**19}"),
        ([], {}, "books=\\[\\]"),
        ([[(1_000_001, 1)]], {}, "price=1000001"),
        ([[(500_000, -1)]], {}, "size=-1"),
    ],
)
def test_what_no_purchase_can_have_is_refused_by_name(
    books: list[list[Level]], wrong: dict[str, int], message: str
) -> None:
    """A number beyond what the kernels are exact for is an error that names it."""
    with pytest.raises(ValueError, match=message):
        buy_set(books, **{**TERMS, **wrong})


def test_no_purchase_is_larger_than_fees_are_exact_for() -> None:
    """Books deeper than ten million shares are bought up to there, and nothing wraps."""
    books = [[(400_000, 10**30), (410_000, 10**18)], [(500_000, 3), (510_000, (1 << 63) - 1)]]
    got = buy_set(books, **{**TERMS, "rate_ppm": 70_000})
    assert (got.outcome, got.size) == (Outcome.OK, SIZE_MAX)
    cut = [[(400_000, SIZE_MAX)], [(500_000, 3), (510_000, SIZE_MAX - 3)]]
    want = plain_sweep.buy_set(cut, rate_ppm=70_000, edge_min=0, size_max=-1, min_size=0)
    assert got == want


def test_an_edge_nobody_can_earn_buys_nothing() -> None:
    """The largest edge one can ask for is above every edge, and does not wrap below."""
    assert buy_set(BOOK, **{**TERMS, "edge_min": 10**18}).outcome == Outcome.NO_EDGE


def test_a_free_market_charges_no_fee() -> None:
    """Under the curve FREE the rate does not matter."""
    got = buy_set(BOOK, **{**TERMS, "curve": CURVE_FREE, "rate_ppm": 70_000})
    assert got == buy_set(BOOK, **TERMS)
    assert [leg.fee for leg in got.legs] == [0, 0]


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """As much of a World as the strategy looks at; its venue's clock stands still."""

    books: Books

    def touch(self, instrument: int) -> Touch:
        """Return a book's touch, which is never too old."""
        return self.books.touch(instrument)

    def venue_ns(self, market: Market) -> int:
        """Return the venue's time."""
        return NOW_NS


def outcome_of(index: int, min_size: int, curve: int, rate_ppm: int) -> Instrument:
    """Return one instrument of the market."""
    return Instrument(
        index=index,
        complement=UP + DOWN - index,
        outcome=index - UP,
        fee_curve=curve,
        fee_rate_ppm=rate_ppm,
        fee_exponent=1,
        tick=100,
        min_size=min_size,
        open_ns=0,
        close_ns=NOW_NS,
    )


def world_of(books: tuple[list[Level], list[Level]]) -> SmallWorld:
    """Return a world whose two books have these asks and no bids."""
    world = SmallWorld(Books(4))
    dirty = np.zeros(4, np.int64)
    for index, asks in zip((UP, DOWN), books, strict=True):
        changes = [(text_from_micros(p), text_from_micros(s), Side.SELL) for p, s in asks]
        best = asks[0][0] if asks else MICROS
        rows = words(levels(index, changes, 0, best, reset=True))
        arrays = world.books.sizes, world.books.bits, world.books.tops, dirty
        assert kernel.apply_market_data(rows, 0, len(rows), 1, *arrays) == len(rows)
    return world


def plain_decision(
    books: tuple[list[Level], list[Level]], market: Market, edge_min: int, size_max: int
) -> Sequence[Intent]:
    """Return what the strategy shall want, asked for the first time."""
    up, down = market.up, market.down
    if up.fee_curve not in (FeeCurve.FREE, FeeCurve.V2):
        return ()
    found = plain_sweep.buy_set(
        [book[:LEVELS_WALKED] for book in books],
        rate_ppm=up.fee_rate_ppm if up.fee_curve == FeeCurve.V2 else 0,
        edge_min=edge_min,
        size_max=size_max,
        min_size=max(up.min_size, down.min_size),
    )
    if found.outcome != Outcome.OK:
        return ()
    takes = [
        Take(i.index, Side.BUY, leg.limit, found.size, True, found.profit, leg.gross)
        for i, leg in zip((up, down), found.legs, strict=True)
    ]
    return (Basket((takes[0], takes[1]), found.profit),)


@given(
    books=st.one_of(
        st.tuples(book_of(CHEAP, 1), book_of(CHEAP, 1)),
        st.tuples(book_of(PRICES), book_of(PRICES)),
    ),
    min_sizes=st.tuples(*[st.sampled_from([0, 5 * MICROS, 20 * MICROS])] * 2),
    curve=st.sampled_from([FeeCurve.V2, FeeCurve.FREE, FeeCurve.V2, *FeeCurve]),
    rate_ppm=RATES,
    edge_min=st.integers(0, 50_000),
    size_max=SIZES,
)
@settings(max_examples=400, deadline=None)
def test_the_strategy_wants_what_plain_python_wants(
    books: tuple[list[Level], list[Level]],
    min_sizes: tuple[int, int],
    curve: int,
    rate_ppm: int,
    edge_min: int,
    size_max: int,
) -> None:
    """From the books' own arrays it comes to the same basket, or to none; asked again, to none."""
    up, down = (
        outcome_of(index, min_size, curve, rate_ppm)
        for index, min_size in zip((UP, DOWN), min_sizes, strict=True)
    )
    market = Market(0, up, down)
    values = {**DUTCH.values, "edge_usd_min": edge_min, "size_shares_max": size_max}
    strategy = DutchBook(StrategyParams(DUTCH.name, DUTCH.path, values))
    world: Any = world_of(books)
    state = State(1, world, strategy.initial())
    event = Event(market, 1, NOW_NS)
    assert strategy.decide(state, event) == plain_decision(books, market, edge_min, size_max)
    assert strategy.decide(state, event) == ()


def test_one_sweep_leaves_nothing_behind_for_the_next() -> None:
    """Scratch memory of a deep book does not show in a shallow one."""
    deep = [(100_000 + 100 * k, MICROS) for k in range(40)]
    shallow = [(300_000, 7 * MICROS)]
    strategy = DutchBook(DUTCH)
    market = Market(0, *(outcome_of(index, 0, CURVE_V2, 70_000) for index in (UP, DOWN)))
    for books in ((deep, deep), (shallow, deep), ([], deep), (shallow, shallow)):
        world: Any = world_of(books)
        decision = strategy.decide(State(1, world, strategy.initial()), Event(market, 1, NOW_NS))
        assert decision == plain_decision(books, market, 0, 100 * MICROS)


def test_a_rate_fees_are_not_exact_for_is_not_traded_on() -> None:
    """A market that claims a fee above 100 % is left alone, however cheap its asks are."""
    books = ([(100, 100 * MICROS)], [(100, 100 * MICROS)])
    world: Any = world_of(books)
    for rate_ppm, is_wanted in ((MICROS, True), (MICROS + 1, False), ((1 << 32) - 1, False)):
        market = Market(0, *(outcome_of(index, 0, CURVE_V2, rate_ppm) for index in (UP, DOWN)))
        strategy = DutchBook(DUTCH)
        decision = strategy.decide(State(1, world, strategy.initial()), Event(market, 1, NOW_NS))
        assert bool(decision) == is_wanted
