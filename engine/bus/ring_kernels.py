"""The four jitted moves on a ring: publish and poll for broadcast, offer and poll for a queue.

`ring` is the whole file as int64 words (`ring_header` draws it). `local` is the caller's own side,
int64[4], in private memory: where it stands, what it last saw of the other side, the capacity as
checked at attach (so that a damaged header cannot send an index out of bounds), and its losses or
the first record that was damaged.

`_nrt=False`: nothing here makes an array, and counting references to those handed in would cost as
much as the move itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from engine.bus.atomics import (
    copy_record,
    fence_acquire,
    fence_full,
    fence_release,
    load_acquire,
    store_release,
)
from engine.bus.ring_header import HEAD_WORD, SLOTS_WORD, TAIL_WORD, WAITING_WORD
from engine.bus.seal import seal
from engine.wire.records import RECORD_WORDS

POSITION, SEEN, CAPACITY = 0, 1, 2
LOST, DAMAGED = 3, 3  # of a broadcast's reader, of a queue's
LOCAL_WORDS = 4

# What a writer's move answers. DONE_WAKE: done, and a reader sleeps (`engine.bus.wait`).
BAD_ROWS = -1  # rows of another width than a record, or more of them than the ring holds
FULL, DONE, DONE_WAKE = 0, 1, 2
SPOILT = -2  # what a queue's poll answers when the next record is not as its writer wrote it

_WORDS = types.Array(types.int64, 1, "C")
_WORDS_READ = types.Array(types.int64, 1, "C", readonly=True)
_ROWS = types.Array(types.int64, 2, "C")
_ROWS_READ = types.Array(types.int64, 2, "C", readonly=True)


@njit(types.boolean(_WORDS), cache=True, inline="always", _nrt=False)
def take_back_waiting(ring: np.ndarray) -> bool:
    """Return whether a reader may be asleep, and take its word back; before head moves, never
    after: it could be the word of a reader that has read what is new and lies down again."""
    if load_acquire(ring, WAITING_WORD) == 0:
        return False
    store_release(ring, WAITING_WORD, 0)
    return True


@njit([types.int64(_WORDS, rows, _WORDS) for rows in (_ROWS, _ROWS_READ)], cache=True, _nrt=False)
def publish_broadcast(ring: np.ndarray, rows: np.ndarray, local: np.ndarray) -> int:
    """Hot path. Publish every row and return DONE or DONE_WAKE; never waits.

    Head moves at most half a ring at a time, so the younger half of what lies behind it is never
    being overwritten: there a lapped reader finds firm ground.
    """
    if rows.shape[1] != RECORD_WORDS:
        return BAD_ROWS
    capacity = local[CAPACITY]
    stamps = SLOTS_WORD + capacity * RECORD_WORDS
    position = local[POSITION]
    is_anyone_asleep = take_back_waiting(ring)
    unpublished = 0
    for i in range(rows.shape[0]):
        index = position & (capacity - 1)
        store_release(ring, stamps + index, 0)
        # StoreStore: without it a reader could copy new words under the old stamp.
        fence_release()
        slot = SLOTS_WORD + index * RECORD_WORDS
        copy_record(ring, slot, rows, i * RECORD_WORDS)
        position += 1
        store_release(ring, stamps + index, position)
        unpublished += 1
        if unpublished == capacity >> 1:
            store_release(ring, HEAD_WORD, position)
            unpublished = 0
    store_release(ring, HEAD_WORD, position)
    local[POSITION] = position
    # StoreLoad: without it a reader that goes to sleep at this moment would be missed.
    fence_full()
    return DONE_WAKE if is_anyone_asleep or load_acquire(ring, WAITING_WORD) else DONE


@njit(types.int64(_WORDS_READ, _ROWS, _WORDS), cache=True, _nrt=False)
def poll_broadcast(ring: np.ndarray, out: np.ndarray, local: np.ndarray) -> int:
    """Hot path. Copy what is new into `out`, oldest first, and return how many.

    A reader that was lapped jumps to the younger half of the ring and adds what it missed to
    `local[LOST]`, always before the first record of a call: a gap never hides inside a batch.
    """
    if out.shape[1] != RECORD_WORDS:
        return BAD_ROWS
    capacity = local[CAPACITY]
    stamps = SLOTS_WORD + capacity * RECORD_WORDS
    position = local[POSITION]
    count = 0
    # The second try is for the reader that was lapped; one lapped twice in a call reports that.
    for _ in range(2):
        head = load_acquire(ring, HEAD_WORD)
        while count < out.shape[0] and position < head:
            index = position & (capacity - 1)
            if load_acquire(ring, stamps + index) != position + 1:
                break
            slot = SLOTS_WORD + index * RECORD_WORDS
            copy_record(out, count * RECORD_WORDS, ring, slot)
            # LoadLoad: without it the stamp could be re-read before the words were copied.
            fence_acquire()
            if load_acquire(ring, stamps + index) != position + 1:
                break
            count += 1
            position += 1
        if count > 0 or position >= head or out.shape[0] == 0:
            break
        firm = load_acquire(ring, HEAD_WORD) - (capacity >> 1)
        local[LOST] += firm - position
        position = firm
    local[POSITION] = position
    return count


@njit([types.int64(_WORDS, rows, _WORDS) for rows in (_ROWS, _ROWS_READ)], cache=True, _nrt=False)
def offer_queue(ring: np.ndarray, rows: np.ndarray, local: np.ndarray) -> int:
    """Hot path. Put all rows in and return DONE or DONE_WAKE, or none and FULL."""
    count, capacity = rows.shape[0], local[CAPACITY]
    if rows.shape[1] != RECORD_WORDS or count > capacity:
        return BAD_ROWS
    position = local[POSITION]
    if count > capacity - (position - local[SEEN]):
        # Only now touch the consumer's line; the acquire also lets us reuse the slots it has left.
        local[SEEN] = load_acquire(ring, TAIL_WORD)
        if count > capacity - (position - local[SEEN]):
            return FULL
    is_anyone_asleep = take_back_waiting(ring)
    stamps = SLOTS_WORD + capacity * RECORD_WORDS
    for i in range(count):
        index = position & (capacity - 1)
        copy_record(ring, SLOTS_WORD + index * RECORD_WORDS, rows, i * RECORD_WORDS)
        # Of the rows, not of the slot: what reaches the slot otherwise is found as well.
        ring[stamps + index] = seal(rows, i * RECORD_WORDS, position)
        position += 1
    # Release: the words above are visible to whoever sees this head. A producer killed before here
    # has published nothing of the batch.
    store_release(ring, HEAD_WORD, position)
    local[POSITION] = position
    fence_full()  # StoreLoad: as in `publish_broadcast`
    return DONE_WAKE if is_anyone_asleep or load_acquire(ring, WAITING_WORD) else DONE


@njit(types.int64(_WORDS, _ROWS, _WORDS), cache=True, _nrt=False)
def poll_queue(ring: np.ndarray, out: np.ndarray, local: np.ndarray) -> int:
    """Hot path. Take up to `len(out)` records, oldest first, and return how many.

    They are taken when this returns: a consumer that dies afterwards does not see them again, which
    is what keeps an order from being sent twice. A record whose seal is wrong stays, and so does
    all that follows: from then on the answer is SPOILT, and `local[DAMAGED]` its number plus one.
    """
    if out.shape[1] != RECORD_WORDS:
        return BAD_ROWS
    if local[DAMAGED]:
        return SPOILT
    capacity, position = local[CAPACITY], local[POSITION]
    if local[SEEN] - position < out.shape[0]:
        local[SEEN] = load_acquire(ring, HEAD_WORD)
    waiting = local[SEEN] - position
    if waiting < 0 or waiting > capacity:  # no writer has ever put that into head
        local[DAMAGED], waiting = position + 1, 0
    stamps = SLOTS_WORD + capacity * RECORD_WORDS
    count = 0
    while count < waiting and count < out.shape[0]:
        index = position & (capacity - 1)
        copy_record(out, count * RECORD_WORDS, ring, SLOTS_WORD + index * RECORD_WORDS)
        # Of the copy: what is vouched for is what the caller gets.
        if seal(out, count * RECORD_WORDS, position) != ring[stamps + index]:
            local[DAMAGED] = position + 1
            break
        count += 1
        position += 1
    if count == 0:
        return SPOILT if local[DAMAGED] else 0
    # Release: our copies are done before the producer may overwrite these slots.
    store_release(ring, TAIL_WORD, position)
    local[POSITION] = position
    return count
