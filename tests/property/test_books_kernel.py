"""The jitted book against the book a child would write: two dictionaries."""

from __future__ import annotations

import numpy as np
from core_driver import DOWN, UP, levels
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import kernel
from engine.core.world.books import BID, CERTIFIED, LIVE, STATE, Books
from engine.math.units import MICROS, text_from_micros
from engine.wire.codes import Side
from engine.wire.records import words

PRICES = st.integers(1, 9_999).map(lambda cell: cell * 100)
SIZES = st.one_of(st.just(0), st.integers(1, 5_000).map(lambda n: n * 10_000))
CHANGES = st.lists(st.tuples(PRICES, SIZES, st.sampled_from(list(Side))), max_size=14)


class PlainBook:
    """The twin: a dictionary a side."""

    def __init__(self) -> None:
        self.sides: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}

    def apply(self, changes: list[tuple[int, int, Side]], *, reset: bool) -> None:
        """Set absolute sizes; 0 removes."""
        if reset:
            self.sides = {Side.BUY: {}, Side.SELL: {}}
        for price, size, side in changes:
            self.sides[side].pop(price, None)
            if size:
                self.sides[side][price] = size

    @property
    def best(self) -> tuple[int, int]:
        """Best bid and ask; an empty side is 0 or 1."""
        return max(self.sides[Side.BUY], default=0), min(self.sides[Side.SELL], default=MICROS)


def frame(
    changes: list[tuple[int, int, Side]], claim: tuple[int, int], *, reset: bool
) -> np.ndarray:
    """Return one frame for instrument UP as rows."""
    texts = [(text_from_micros(p), text_from_micros(s), side) for p, s, side in changes]
    return words(levels(UP, texts, *claim, reset=reset))


def apply(books: Books, rows: np.ndarray) -> np.ndarray:
    """Run the kernel over rows; return which instruments it touched."""
    dirty = np.zeros(books.capacity, np.int64)
    stop = kernel.apply_market_data(
        rows, 0, len(rows), 1, books.sizes, books.bits, books.tops, dirty
    )
    assert stop == len(rows)
    return np.flatnonzero(dirty)


@given(st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_the_book_equals_two_dictionaries(frames: list[tuple[list, bool]]) -> None:
    """After any run of frames, levels, touch and certificate equal the twin's."""
    books, twin = Books(4), PlainBook()
    for number, (changes, reset) in enumerate(frames):
        reset = reset or number == 0
        twin.apply(changes, reset=reset)
        apply(books, frame(changes, twin.best, reset=reset))
        bid, ask = twin.best
        touch = books.touch(UP)
        assert (touch.bid, touch.ask) == (bid, ask)
        assert touch.usable == (bid < ask)
        for side in Side:
            want = sorted(twin.sides[side].items(), reverse=side == Side.BUY)
            assert books.levels(UP, side, 100) == want


@given(CHANGES, st.integers(0, 10_000).map(lambda c: c * 100))
@settings(max_examples=60, deadline=None)
def test_a_touch_the_venue_did_not_claim_is_not_certified(
    changes: list[tuple[int, int, Side]], wrong_bid: int
) -> None:
    """A book whose best bid differs from the venue's claim may not be traded on."""
    books, twin = Books(4), PlainBook()
    twin.apply(changes, reset=True)
    bid, ask = twin.best
    apply(books, frame(changes, (wrong_bid, ask), reset=True))
    assert books.tops[UP, CERTIFIED] == int(wrong_bid == bid and bid < ask)


def test_changes_before_a_snapshot_are_refused() -> None:
    """A delta for a book we never saw whole changes nothing."""
    books = Books(4)
    apply(books, frame([(500_000, 10_000_000, Side.BUY)], (500_000, MICROS), reset=False))
    assert books.tops[UP, BID] == 0
    assert not books.touch(UP).usable


def test_a_price_off_the_grid_breaks_the_book_until_its_next_snapshot() -> None:
    """One impossible level makes the whole book unusable, and a snapshot heals it."""
    books = Books(4)
    apply(books, frame([(500_000, 10_000_000, Side.BUY)], (500_000, MICROS), reset=True))
    assert books.touch(UP).usable
    apply(books, frame([(500_050, 10_000_000, Side.BUY)], (500_050, MICROS), reset=False))
    assert books.tops[UP, STATE] != LIVE
    apply(books, frame([(500_000, 10_000_000, Side.BUY)], (500_000, MICROS), reset=True))
    assert books.touch(UP).usable


def test_rows_of_instruments_beyond_the_table_are_skipped() -> None:
    """An index the table cannot hold is ignored, not written past the end."""
    books = Books(4)
    rows = frame([(500_000, 10_000_000, Side.BUY)], (500_000, MICROS), reset=True)
    rows[:, 0] |= np.int64(1000) << 32
    assert apply(books, rows).size == 0
    assert DOWN not in apply(books, rows)
