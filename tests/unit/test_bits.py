"""Bit counts against Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from engine.math.bits import count_leading_zeros, count_trailing_zeros


@njit
def leading(x):
    return count_leading_zeros(x)


@njit
def trailing(x):
    return count_trailing_zeros(x)


@given(st.integers(0, 2**64 - 1))
def test_counts_equal_those_of_python(bits: int):
    """Signed or unsigned, the counts are those of the 64-bit pattern; 64 for zero."""
    unsigned = np.uint64(bits)
    signed = unsigned.astype(np.int64)
    head = 64 - bits.bit_length()
    tail = (bits & -bits).bit_length() - 1 if bits else 64
    assert leading(unsigned) == leading(signed) == head
    assert trailing(unsigned) == trailing(signed) == tail


def test_other_widths_are_refused():
    """A 32-bit word would be counted wrongly, so it does not compile."""
    with pytest.raises(TypingError, match="64-bit integer is needed"):
        leading(np.uint32(1))
