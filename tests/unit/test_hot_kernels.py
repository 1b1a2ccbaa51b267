"""What the compiler made of the kernels between a frame and an order: machine code that keeps off
the heap and needs no interpreter."""

from __future__ import annotations

from typing import Any

import pytest
from numba import njit

from engine.bus import ring_kernels
from engine.core import kernel, reflex
from engine.core.orders import ids, submission
from engine.core.risk import gates
from engine.core.strategies import dutch_book
from engine.core.world import depth
from feeds import clob_levels, clob_scan
from signer import keccak, templates

KERNELS = [
    ring_kernels.publish_broadcast,
    ring_kernels.poll_broadcast,
    ring_kernels.offer_queue,
    ring_kernels.poll_queue,
    clob_scan.scan,
    clob_scan._object,
    clob_levels.book_side,
    clob_levels.changes_list,
    kernel.apply_market_data,
    kernel.clear,
    kernel.wake,
    kernel.pick_commands,
    depth.best_levels,
    dutch_book.sweep_books,
    reflex.fire,
    reflex.react,
    submission.write_decision,
    submission.admit,
    submission.submit,
    gates.standing,
    ids.order_id_of,
    keccak.permute,
    templates.hash_order,
]


@pytest.mark.parametrize("hot", KERNELS, ids=lambda hot: hot.py_func.__name__)
def test_a_hot_kernel_allocates_nothing(hot: Any) -> None:
    """No kernel asks for memory or falls back to Python objects: nothing to wait for, or collect.

    It is compiled here, with its own options: what comes from numba's cache cannot be looked into.
    """
    options = {**hot.targetoptions, "cache": False}
    options.pop("nopython", None)
    compiled = njit(hot.signatures, **options)(hot.py_func)
    for signature in compiled.signatures:
        assert not compiled.overloads[signature].objectmode
        text = compiled.inspect_asm(signature)
        # Where references are not counted either, nothing of numba's runtime is left: an atomic
        # count a row costs more than the row.
        runtime = "NRT_MemInfo_alloc" if options.get("_nrt", True) else "NRT_"
        assert runtime not in text
        assert "PyObject_Call" not in text
