"""The jitted fees against the fees of whole numbers without bound."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.math.fees import (
    CURVE_FREE,
    CURVE_V2,
    FEE_BEYOND,
    RATE_PPM_MAX,
    SIZE_MAX,
    fee_micros,
    fee_micros_ceil,
    fee_v2_ceil,
    fee_v2_floor,
)
from engine.math.units import MICROS

WORD_MAX = (1 << 63) - 1


def up_to(bound: int) -> st.SearchStrategy[int]:
    """Return numbers in 0..bound of every magnitude; round ones, which leave no rest, often."""
    round_ones = st.builds(
        lambda digits, zeros: min(digits * 10**zeros, bound),
        st.integers(1, 999),
        st.integers(0, len(str(bound)) - 1),
    )
    return st.one_of(st.integers(0, bound), round_ones, st.integers(0, 99).map(bound.__sub__))


@given(up_to(SIZE_MAX), up_to(MICROS), up_to(RATE_PPM_MAX))
@example(SIZE_MAX, MICROS // 2, RATE_PPM_MAX)
@example(SIZE_MAX - 1, MICROS // 2, RATE_PPM_MAX - 1)
@example(1_000_000, 500_000, 70_000)
@example(1, 1, 1)
@settings(max_examples=2_000, deadline=None)
def test_a_jitted_fee_equals_the_exact_fee(size: int, price: int, rate_ppm: int) -> None:
    """Rounded down or up, it is the fee to the micro, over the whole range of its arguments."""
    terms = size, price, rate_ppm
    assert fee_v2_floor(*terms) == fee_micros(size, price, CURVE_V2, rate_ppm, 1)
    assert fee_v2_ceil(*terms) == fee_micros_ceil(size, price, CURVE_V2, rate_ppm, 1)


@given(up_to(RATE_PPM_MAX), up_to(SIZE_MAX), st.integers(0, 10**6))
@settings(max_examples=500, deadline=None)
def test_a_fee_next_to_a_whole_quantum_is_rounded_right(rate: int, size: int, price: int) -> None:
    """The sizes on either side of where a fee becomes a whole quantum are told apart."""
    share = rate * price * (MICROS - price)
    if share == 0:
        return
    quanta = size * share // 10**19
    edge = -(-quanta * 10**19 // share)  # the least size that pays as much
    for near in (edge - 1, edge, edge + 1):
        if 0 <= near <= SIZE_MAX:
            assert fee_v2_floor(near, price, rate) == fee_micros(near, price, CURVE_V2, rate, 1)
            assert fee_v2_ceil(near, price, rate) == fee_micros_ceil(near, price, CURVE_V2, rate, 1)


@given(up_to(SIZE_MAX), up_to(MICROS))
def test_a_free_market_is_a_rate_of_nothing(size: int, price: int) -> None:
    """The curve FREE needs no kernel of its own."""
    assert fee_v2_floor(size, price, 0) == fee_micros(size, price, CURVE_FREE, 70_000, 1) == 0
    assert fee_v2_ceil(size, price, 0) == 0


BEYOND = st.one_of(st.integers(-WORD_MAX - 1, -1), st.integers(SIZE_MAX + 1, WORD_MAX))


@pytest.mark.parametrize("place", range(3), ids=["size", "price", "rate"])
@given(wrong=BEYOND)
def test_a_fee_out_of_range_is_more_than_anyone_has(place: int, wrong: int) -> None:
    """Nothing wraps round to a fee that looks cheap, however large or negative an argument is."""
    terms = [1, 500_000, 70_000]
    terms[place] = wrong
    assert fee_v2_floor(*terms) == fee_v2_ceil(*terms) == FEE_BEYOND


def test_the_range_ends_where_it_says() -> None:
    """The last number of each range is computed, the next one is not."""
    ends = (SIZE_MAX, MICROS, RATE_PPM_MAX)
    for place, end in enumerate(ends):
        terms = [1_000_000, 500_000, 70_000]
        terms[place] = end
        assert fee_v2_floor(*terms) < FEE_BEYOND
        terms[place] = end + 1
        assert fee_v2_floor(*terms) == FEE_BEYOND
