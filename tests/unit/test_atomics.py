"""What the compiler made of the ring: real atomics, no allocation."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from numba import njit

from engine.bus import ring_kernels
from engine.bus.atomics import (
    fence_acquire,
    fence_release,
    load_acquire,
    pause,
    store_release,
)

KERNELS = ["publish_broadcast", "poll_broadcast", "offer_queue", "poll_queue"]
READING = ["poll_broadcast", "offer_queue", "poll_queue"]
WRITING = ["publish_broadcast", "offer_queue", "poll_queue"]


@cache
def compiled(name: str):
    """Return a kernel compiled here: what comes from numba's cache cannot be looked into."""
    kernel = getattr(ring_kernels, name)
    return njit(kernel.signatures)(kernel.py_func)


@njit
def raise_all(words):
    for i in range(words.size):
        fence_acquire()
        store_release(words, i, load_acquire(words, i) + 1)
        fence_release()
        pause()


@pytest.mark.parametrize("name", READING)
def test_every_look_at_the_other_side_is_an_acquire(name: str):
    """A poll or an offer loads the other side's position atomically; a plain load is hoisted."""
    kernel = compiled(name)
    for signature in kernel.signatures:
        assert re.search(r"load atomic i64.* acquire", kernel.inspect_llvm(signature))


@pytest.mark.parametrize("name", WRITING)
def test_every_publication_is_a_release(name: str):
    """What moves a position stores it with release, after the records it covers."""
    kernel = compiled(name)
    for signature in kernel.signatures:
        assert re.search(r"store atomic i64.* release", kernel.inspect_llvm(signature))


@pytest.mark.parametrize("name", KERNELS)
def test_moving_records_allocates_nothing(name: str):
    """No kernel of the ring asks for memory."""
    kernel = compiled(name)
    for signature in kernel.signatures:
        assert "NRT_MemInfo_alloc" not in kernel.inspect_asm(signature)


def test_atomics_read_and_write_the_item_they_name():
    """Loads and stores reach exactly their own word; fences and pauses change nothing."""
    words = np.array([3, -4, 2**62])
    raise_all(words)
    assert words.tolist() == [4, -3, 2**62 + 1]
