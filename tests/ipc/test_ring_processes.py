"""Rings between real processes: order, loss, sudden death and return."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from peer import REFUSED, records

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
    inspect_ring,
)
from engine.bus.ring_header import HEAD_WORD, SLOTS_WORD
from engine.bus.shm import BusError
from engine.wire.records import RECORD_WORDS

RUN_ID = 1_700_000_000
DEADLINE_S = 60.0


def drain(reader: QueueReader | BroadcastReader, position: int, end: int) -> int:
    """Poll from `position` until `end` or later, checking every record; return the new position.

    Whatever a poll brings must be consecutive records, exact in every word, that begin where the
    reader stood plus what it says it lost since.
    """
    out = np.empty((97, RECORD_WORDS), np.int64)
    lost = losses(reader)
    deadline = time.monotonic() + DEADLINE_S
    while position < end:
        count = reader.poll(out)
        position += losses(reader) - lost
        lost = losses(reader)
        assert (out[:count] == records(position, count)).all()
        position += count
        if count == 0:
            assert time.monotonic() < deadline, f"nothing came: position={position}, end={end}"
            os.sched_yield()
    return position


def losses(reader: QueueReader | BroadcastReader) -> int:
    """Return what a reader lost; a queue loses nothing."""
    return reader.lost if isinstance(reader, BroadcastReader) else 0


@pytest.mark.parametrize("capacity", [64, 4096])
def test_a_queue_loses_nothing_between_processes(runtime_dir: Path, peer, capacity: int):
    """Every record arrives once, in order and whole, however often the ring wraps or is full."""
    count = 200_000
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, capacity, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    writer = peer("offer", path, RUN_ID, count)
    assert drain(reader, 0, count) == count
    assert writer.wait(DEADLINE_S) == 0
    assert reader.poll(np.empty((1, RECORD_WORDS), np.int64)) == 0
    reader.close()


@pytest.mark.parametrize("capacity", [64, 1 << 16])
def test_a_broadcast_reader_sees_a_record_whole_or_counts_it(runtime_dir: Path, peer, capacity):
    """Lapped all the time or never, received + lost = published, and nothing is torn."""
    count = 200_000
    path = runtime_dir / "md.market.ring"
    create_ring(path, Discipline.BROADCAST, capacity, RUN_ID)
    reader = BroadcastReader(path, RUN_ID)
    writer = peer("publish", path, RUN_ID, count)
    assert drain(reader, 0, count) == count
    assert reader.lost < count
    assert writer.wait(DEADLINE_S) == 0
    reader.close()


@pytest.mark.parametrize("discipline", Discipline, ids=lambda d: d.name)
def test_a_writer_killed_while_publishing_leaves_nothing_torn(runtime_dir: Path, peer, discipline):
    """Writers killed with SIGKILL amid their work are followed by others that go on seamlessly."""
    path = runtime_dir / "x.ring"
    create_ring(path, discipline, 256, RUN_ID)
    reader: QueueReader | BroadcastReader
    if discipline is Discipline.QUEUE:
        reader, role = QueueReader(path, RUN_ID), "offer"
    else:
        reader, role = BroadcastReader(path, RUN_ID), "publish"
    position = 0
    for life in (1, 2):
        writer = peer(role, path, RUN_ID)
        # Different numbers of records, so that death comes at different places of a batch.
        position = drain(reader, position, position + 20_000 + 777 * life)
        writer.kill()
        assert writer.wait(DEADLINE_S) == -signal.SIGKILL
        info = inspect_ring(path)
        assert info.writer_pid == writer.pid
        assert drain(reader, position, info.head) == info.head
        position = info.head
    reader.close()


def test_a_dead_writers_unfinished_slot_is_invisible(runtime_dir: Path):
    """Words and stamp of a slot beyond head mean nothing, to readers and to the next writer."""
    path = runtime_dir / "b.ring"
    create_ring(path, Discipline.BROADCAST, 8, RUN_ID)
    dying = BroadcastWriter(path, RUN_ID)
    dying.publish(records(0, 5))
    dying.publish(records(5, 3))
    dying.close()
    # Take head back and spoil a slot: the file of a writer killed before it could move head.
    words = np.memmap(path, np.int64, "r+")
    words[HEAD_WORD] = 5
    slot = SLOTS_WORD + 6 * RECORD_WORDS
    words[slot : slot + RECORD_WORDS] = -1
    words.flush()

    reader = BroadcastReader(path, RUN_ID, from_start=True)
    out = np.empty((16, RECORD_WORDS), np.int64)
    assert reader.poll(out) == 5
    successor = BroadcastWriter(path, RUN_ID)
    successor.publish(records(5, 2))
    assert reader.poll(out) == 2
    assert (out[:2] == records(5, 2)).all()
    assert reader.lost == 0
    successor.close()
    reader.close()


def test_records_wait_for_a_reader_that_died(runtime_dir: Path, peer):
    """A queue keeps what was not taken, and the next reader begins exactly there."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    assert writer.offer(records(0, 10))
    out = np.empty((4, RECORD_WORDS), np.int64)
    first = QueueReader(path, RUN_ID)
    assert first.poll(out) == 4
    first.close()
    assert peer("attach-reader", path, RUN_ID).wait(DEADLINE_S) == 0
    second = QueueReader(path, RUN_ID)
    assert second.poll(out) == 4
    assert (out == records(4, 4)).all()
    second.close()
    writer.close()


def test_a_role_has_one_living_holder(runtime_dir: Path, peer):
    """A second writer or reader of a queue is refused, in this process and in another."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer, reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
    with pytest.raises(BusError, match="another writer is attached"):
        QueueWriter(path, RUN_ID)
    with pytest.raises(BusError, match="another reader is attached"):
        QueueReader(path, RUN_ID)
    refused = peer("attach-writer", path, RUN_ID)
    output, _ = refused.communicate(timeout=DEADLINE_S)
    assert refused.returncode == REFUSED
    assert "another writer is attached" in output
    writer.close()
    assert peer("attach-writer", path, RUN_ID).wait(DEADLINE_S) == 0
    reader.close()


def test_a_leaving_process_takes_nothing_with_it(runtime_dir: Path, peer):
    """The ring, its records and its other side stay when a process that attached exits."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    assert peer("attach-reader", path, RUN_ID).wait(DEADLINE_S) == 0
    assert writer.offer(records(0, 3))
    info = inspect_ring(path)
    assert (info.head, info.lag, info.writer_pid, info.reader_pid) == (3, 3, os.getpid(), 0)
    writer.close()
    assert inspect_ring(path).writer_pid == 0
