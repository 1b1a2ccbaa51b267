"""A queue's record is changed between offer and poll: that is found, and nothing more is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance import records
from deadlines import wait_until
from peer import records as numbered

from engine.bus import seal
from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring, inspect_ring
from engine.bus.ring_header import HEAD_WORD, SLOTS_WORD, TAIL_WORD
from engine.wire.records import RECORD_WORDS

RUN_ID = 99
CAPACITY = 8
DEADLINE_S = 60.0
LAP = 3 * CAPACITY  # where the damaged records lie: the ring has been all round
STAMPS_WORD = SLOTS_WORD + CAPACITY * RECORD_WORDS
WORD_BITS = 64
WIDE = 64  # records: another process offers up to 61 at once


class Queue:
    """Both ends of a queue that has wrapped, and its file as damage would find it."""

    def __init__(self, path: Path) -> None:
        create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
        self.path = path
        self.writer, self.reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
        self.file = np.memmap(path, np.int64, "r+")
        for first in range(0, LAP, CAPACITY):
            assert self.writer.offer(records(first, CAPACITY))
            assert len(self.poll()) == CAPACITY

    def poll(self) -> np.ndarray:
        """Return what the reader has, int64[n, 16]."""
        out = np.empty((CAPACITY, RECORD_WORDS), np.int64)
        return out[: self.reader.poll(out)]

    def returns(self) -> None:
        """Let another reader take the place of this one."""
        self.reader.close()
        self.reader = QueueReader(self.path, RUN_ID)

    def close(self) -> None:
        """Let go of everything."""
        self.writer.close()
        self.reader.close()


@pytest.fixture
def queue(runtime_dir: Path):
    """A queue that has been all round and is empty."""
    queue = Queue(runtime_dir / "private.ring")
    yield queue
    queue.close()


def flip(file: np.ndarray, word: int, bit: int) -> None:
    """Change one bit of a file."""
    file.view(np.uint64)[word] ^= np.uint64(1 << bit)


def test_every_bit_of_a_queued_record_is_vouched_for(queue: Queue):
    """Whichever bit of the record or of its seal flips: it is not taken, and the reader knows."""
    assert queue.writer.offer(records(LAP, 1))
    words = [*range(SLOTS_WORD, SLOTS_WORD + RECORD_WORDS), STAMPS_WORD]
    for word in words:
        for bit in range(WORD_BITS):
            flip(queue.file, word, bit)
            assert queue.reader.has_news
            assert len(queue.poll()) == 0, (word, bit)
            assert queue.reader.damaged == LAP + 1
            flip(queue.file, word, bit)
            queue.returns()
    assert (queue.poll() == records(LAP, 1)).all()
    assert queue.reader.damaged == 0


def test_words_that_change_together_are_found(queue: Queue):
    """Two words changed alike, swapped, cut to zero, or a whole record in another's place."""
    assert queue.writer.offer(records(LAP, 4))
    good = queue.file[SLOTS_WORD : STAMPS_WORD + CAPACITY].copy()
    rows = queue.file[SLOTS_WORD:STAMPS_WORD].reshape(CAPACITY, RECORD_WORDS)
    stamps = queue.file[STAMPS_WORD:]

    def is_found() -> bool:
        found = len(queue.poll()) == 0 and queue.reader.damaged == LAP + 1
        queue.file[SLOTS_WORD : STAMPS_WORD + CAPACITY] = good
        queue.returns()
        return found

    for one in range(RECORD_WORDS):
        for other in range(one):
            for bit in (0, 31, 32, 63):
                flip(rows[0], one, bit)
                flip(rows[0], other, bit)
                assert is_found(), (one, other, bit)
            if rows[0, one] != rows[0, other]:
                rows[0, [one, other]] = rows[0, [other, one]]
                assert is_found(), (one, other)
    for change in (0, -1):
        rows[0] = change
        assert is_found()
        rows[0], stamps[0] = change, change
        assert is_found()
    rows[0], stamps[0] = rows[1], stamps[1]
    assert is_found()


def test_what_came_before_the_damage_is_taken_and_what_follows_never(queue: Queue):
    """The sound records before it come out; then nothing, also once the damage is mended, and the
    next reader finds the same record first."""
    assert queue.writer.offer(records(LAP, 5))
    flip(queue.file, SLOTS_WORD + 2 * RECORD_WORDS + 9, 40)
    assert (queue.poll() == records(LAP, 2)).all()
    assert len(queue.poll()) == 0
    assert queue.reader.damaged == LAP + 3
    assert not queue.reader.has_news  # no reader spins on what will not be taken
    queue.returns()
    assert len(queue.poll()) == 0
    assert queue.reader.damaged == LAP + 3
    flip(queue.file, SLOTS_WORD + 2 * RECORD_WORDS + 9, 40)
    assert queue.writer.offer(records(LAP + 5, 1))
    assert len(queue.poll()) == 0
    assert inspect_ring(queue.path).lag == 4


def test_an_old_lap_vouches_for_nothing_new(queue: Queue):
    """A whole older record, put back with its seal into its own slot, is no record of this lap."""
    stale = queue.file[SLOTS_WORD : STAMPS_WORD + CAPACITY].copy()
    assert queue.writer.offer(records(LAP, CAPACITY))
    queue.file[SLOTS_WORD : STAMPS_WORD + CAPACITY] = stale
    assert len(queue.poll()) == 0
    assert queue.reader.damaged == LAP + 1


@pytest.mark.parametrize("head", [0, LAP - 1, LAP + 3, LAP + CAPACITY + 1, 1 << 62, -1])
def test_a_head_that_was_overwritten_is_found(queue: Queue, head: int):
    """Too small, or ahead of what was written: what is delivered is sound, the rest is damage."""
    assert queue.writer.offer(records(LAP, 2))
    queue.file[HEAD_WORD] = head
    taken = [*queue.poll(), *queue.poll()]
    assert np.array_equal(taken, records(LAP, len(taken)) if taken else [])
    assert queue.reader.damaged == LAP + len(taken) + 1


def test_a_writer_that_was_lied_to_about_the_tail_is_found_out(queue: Queue):
    """A tail too far ahead lets the writer overrun what was not taken: the reader knows."""
    assert queue.writer.offer(records(LAP, CAPACITY))
    queue.file[TAIL_WORD] = LAP + 4
    assert queue.writer.offer(records(LAP + CAPACITY, 4))
    assert len(queue.poll()) == 0
    assert queue.reader.damaged == LAP + 1


def test_another_process_cannot_slip_anything_through(runtime_dir: Path, peer):
    """While a process offers as fast as it can, a word of one queued record is changed: everything
    before that record arrives as it was sent, and nothing else."""
    path = runtime_dir / "private.ring"
    create_ring(path, Discipline.QUEUE, WIDE, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    writer = peer("offer", path, RUN_ID, 0)
    file = np.memmap(path, np.int64, "r+")
    out = np.empty((1, RECORD_WORDS), np.int64)
    taken = 0

    def takes_a_hundred() -> bool:
        nonlocal taken
        count = reader.poll(out)
        assert (out[:count] == numbered(taken, count)).all()
        taken += count
        return taken >= 100

    wait_until(takes_a_hundred, DEADLINE_S, "records come")
    wait_until(lambda: inspect_ring(path).lag >= 2, DEADLINE_S, "one more is queued")
    slot = SLOTS_WORD + (taken + 1) % WIDE * RECORD_WORDS
    flip(file, slot + 7, 33)
    assert reader.poll(out) == 1
    assert (out == numbered(taken, 1)).all()
    assert reader.poll(out) == 0
    assert reader.damaged == taken + 2
    writer.kill()
    reader.close()


def seal_of(row: np.ndarray, number: int) -> int:
    """Return a record's seal as PROTOCOL.md says it, in plain numbers."""
    mask = (1 << WORD_BITS) - 1

    def mixed(lane: int, value: int) -> int:
        lane = (lane ^ value) * seal.WORD_FACTOR & mask
        return lane ^ lane >> seal.SHIFT

    start = (number + 1) * seal.NUMBER_FACTOR
    lanes = [start + lane & mask for lane in range(seal.LANES)]
    for index, word in enumerate(row.view(np.uint64).tolist()):
        lanes[index % seal.LANES] = mixed(lanes[index % seal.LANES], word)
    found = 0
    for lane in lanes:
        found = mixed(found, lane)
    return found


def test_the_seal_is_the_one_the_protocol_tells(queue: Queue):
    """What stands behind the slots is what another language computes from the text."""
    rows = records(LAP, CAPACITY)
    assert queue.writer.offer(rows)
    found = queue.file[STAMPS_WORD:].view(np.uint64).tolist()
    assert found == [seal_of(row, LAP + index) for index, row in enumerate(rows)]
