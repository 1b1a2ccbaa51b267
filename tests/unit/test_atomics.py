"""What the compiler made of the ring: real atomics, no allocation."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from numba import njit

from engine.bus import ring_kernels
from engine.bus.atomics import (
    copy_record,
    fence_acquire,
    fence_full,
    fence_release,
    load_acquire,
    pause,
    store_release,
)
from engine.wire.records import RECORD_WORDS

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
        fence_full()
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


@njit
def copy(target, target_word, source, source_word):
    copy_record(target, target_word, source, source_word)


def test_a_record_is_copied_whole_to_where_it_belongs():
    """Sixteen words move, from and to any row of either shape, and none beside them."""
    rows = np.arange(48).reshape(3, RECORD_WORDS)
    words = np.full(64, -1)
    copy(words, 24, rows, RECORD_WORDS)
    assert (words[24:40] == rows[1]).all()
    assert (np.delete(words, np.s_[24:40]) == -1).all()
    copy(rows, 2 * RECORD_WORDS, words, 23)
    assert rows[2].tolist() == [-1, *range(16, 31)]
    assert (rows[:2].reshape(-1) == np.arange(32)).all()


@pytest.mark.parametrize("name", ["publish_broadcast", "offer_queue"])
def test_a_writer_looks_at_sleepers_after_a_full_fence(name: str):
    """The look at who sleeps cannot overtake the store of head: the fence is in the code."""
    kernel = compiled(name)
    for signature in kernel.signatures:
        assert "fence seq_cst" in kernel.inspect_llvm(signature)
