"""What the compiler made of the book kernels: nothing allocated, nothing counted, nothing boxed."""

from __future__ import annotations

import pytest
from numba import jit

from engine.core import kernel

KERNELS = ["apply_market_data", "fire", "clear"]


@pytest.mark.parametrize("name", KERNELS)
def test_the_book_kernels_leave_numbas_runtime_alone(name: str):
    """No memory is asked for and no reference counted: an atomic count a row costs more than it."""
    cached = getattr(kernel, name)
    # What comes from numba's cache cannot be looked into, so it is compiled here once more.
    fresh = jit(cached.signatures, **cached.targetoptions)(cached.py_func)
    for signature in fresh.signatures:
        assert "NRT_" not in fresh.inspect_asm(signature)
        assert not fresh.overloads[signature].objectmode
