"""What the compiler made of the scanner: nothing allocated, nothing counted, nothing boxed."""

from __future__ import annotations

import pytest
from numba import jit

from feeds import clob_levels, clob_scan, json_walk, text, token_table

KERNELS = [
    clob_scan.scan,
    clob_levels.book_side,
    clob_levels.changes_list,
    json_walk.key_at,
    json_walk.string_at,
    text.micros_in,
    text.integer_in,
    text.hash_prefix_in,
    token_table.find_token,
]


@pytest.mark.parametrize("cached", KERNELS, ids=lambda each: each.py_func.__name__)
def test_the_scanner_leaves_numbas_runtime_alone(cached):
    """No memory is asked for and no reference counted: the counts were half a frame's time."""
    # What comes from numba's cache cannot be looked into, so it is compiled here once more.
    fresh = jit(cached.signatures, **cached.targetoptions)(cached.py_func)
    for signature in fresh.signatures:
        assert "NRT_" not in fresh.inspect_asm(signature)
        assert not fresh.overloads[signature].objectmode
