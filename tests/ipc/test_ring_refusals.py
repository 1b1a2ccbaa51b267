"""What is not exactly the expected ring is refused; the message has the reason and the value."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engine.bus import ring_header, shm
from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    Memory,
    QueueReader,
    QueueWriter,
    RingError,
    create_ring,
    inspect_ring,
)
from engine.bus.shm import BusError
from engine.wire.layout import layout_hash
from engine.wire.records import RECORD_WORDS

RUN_ID = 5


@pytest.fixture
def queue(runtime_dir: Path) -> Path:
    """A queue of 8 records."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 8, RUN_ID)
    return path


@pytest.mark.parametrize("capacity", [-8, 0, 1, 3, 100, 1 << 25])
def test_a_capacity_must_be_a_power_of_two(runtime_dir: Path, capacity: int):
    """Any other capacity is refused before a file is made."""
    with pytest.raises(RingError, match=rf"power of two .*ring=x, capacity={capacity}$"):
        create_ring(runtime_dir / "x.ring", Discipline.QUEUE, capacity, RUN_ID)
    assert list(runtime_dir.iterdir()) == []


def test_a_ring_is_made_once(queue: Path):
    """A ring that exists is never emptied by making it again."""
    with pytest.raises(BusError, match="already exists"):
        create_ring(queue, Discipline.QUEUE, 8, RUN_ID)


def test_a_ring_is_private_and_fully_allocated(queue: Path):
    """Only its owner may open a ring, and its memory is there before the first record."""
    status = queue.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_blocks * 512 >= status.st_size


def test_another_run_is_refused(queue: Path):
    """A ring of an earlier run is not taken for this one's."""
    with pytest.raises(RingError, match="another run: ring=orders, wanted=6, was=5"):
        QueueReader(queue, 6)


def test_another_discipline_is_refused(queue: Path):
    """A queue is never read as a broadcast ring, nor the reverse."""
    with pytest.raises(RingError, match="wanted=BROADCAST, was=QUEUE"):
        BroadcastReader(queue, RUN_ID)
    with pytest.raises(RingError, match="wanted=BROADCAST, was=QUEUE"):
        BroadcastWriter(queue, RUN_ID)


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (ring_header.MAGIC_WORD, 0, "not a ring"),
        (ring_header.VERSION_WORD, 1, "another version: ring=orders, wanted=2, was=1"),
        (ring_header.RECORD_BYTES_WORD, 64, "another record size: .* was=64"),
        (ring_header.LAYOUT_HASH_WORD, layout_hash() ^ 1, "another layout hash"),
        (ring_header.DISCIPLINE_WORD, 3, "unknown discipline: .* discipline=3"),
        (ring_header.CAPACITY_WORD, 7, "impossible capacity: .* capacity=7"),
        (ring_header.CAPACITY_WORD, -8, "impossible capacity"),
        (ring_header.CAPACITY_WORD, 1 << 40, "impossible capacity"),
        (ring_header.CAPACITY_WORD, 16, "truncated or too long"),
    ],
)
def test_a_header_of_another_making_is_refused(queue: Path, word: int, value: int, message: str):
    """Every constant of the header is checked, by all who attach and by the observer."""
    header = np.memmap(queue, np.int64, "r+")
    header[word] = value
    header.flush()
    for attach in (QueueReader, QueueWriter):
        with pytest.raises(RingError, match=message):
            attach(queue, RUN_ID)
    with pytest.raises(RingError, match=message):
        inspect_ring(queue)


def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path: Path):
    """What is no plain file is refused at once, with nobody at the other end of it."""
    path = tmp_path / "pipe.ring"
    os.mkfifo(path)
    for attach in (QueueReader, QueueWriter):
        with pytest.raises(BusError, match=r"plain file: file=.*pipe\.ring"):
            attach(path, RUN_ID)
    with pytest.raises(BusError, match=r"plain file: file=.*pipe\.ring"):
        inspect_ring(path)


@pytest.mark.parametrize("size", [0, 7, 8, 640, 1656])
def test_a_truncated_file_is_refused(queue: Path, size: int):
    """A file cut anywhere is an error on attach, not a crash on first use."""
    os.truncate(queue, size)
    with pytest.raises(BusError, match=r"truncated|not a ring"):
        QueueReader(queue, RUN_ID)


def test_what_is_no_ring_file_is_refused(runtime_dir: Path, queue: Path):
    """An absent file, a folder, a link and a file of another kind are refused by name."""
    (runtime_dir / "folder").mkdir()
    (runtime_dir / "link.ring").symlink_to(queue)
    (runtime_dir / "text.ring").write_bytes(b"x" * 4096)
    for name in ("absent.ring", "folder", "link.ring", "text.ring"):
        with pytest.raises(BusError, match=name):
            QueueReader(runtime_dir / name, RUN_ID)


def test_memory_that_cannot_be_had_leaves_no_file(runtime_dir: Path, monkeypatch):
    """A full memory file system is a clear error, and the half-made file is gone."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shm.os, "posix_fallocate", full)
    with pytest.raises(BusError, match=r"cannot allocate .*error=No space left on device"):
        create_ring(runtime_dir / "x.ring", Discipline.QUEUE, 8, RUN_ID)
    assert list(runtime_dir.iterdir()) == []


def test_rows_that_are_no_records_are_refused(queue: Path):
    """Rows of another width, or more of them than the ring could ever hold, are errors."""
    writer, reader = QueueWriter(queue, RUN_ID), QueueReader(queue, RUN_ID)
    with pytest.raises(RingError, match=r"16 words .*shape=\(1, 15\)"):
        writer.offer(np.zeros((1, RECORD_WORDS - 1), np.int64))
    with pytest.raises(RingError, match=r"fit the ring: ring=orders, shape=\(9, 16\)"):
        writer.offer(np.zeros((9, RECORD_WORDS), np.int64))
    with pytest.raises(RingError, match=r"shape=\(1, 17\)"):
        reader.poll(np.zeros((1, RECORD_WORDS + 1), np.int64))
    with pytest.raises(TypeError):
        writer.offer(np.zeros((1, RECORD_WORDS)))
    assert writer.offer(np.zeros((8, RECORD_WORDS), np.int64))
    writer.close()
    reader.close()


def test_a_closed_end_cannot_be_used(queue: Path):
    """Using an end after closing it is a TypeError, and closing it twice does nothing."""
    writer = QueueWriter(queue, RUN_ID)
    writer.close()
    writer.close()
    with pytest.raises(TypeError):
        writer.offer(np.zeros((1, RECORD_WORDS), np.int64))


@pytest.mark.parametrize("discipline", Discipline, ids=lambda d: d.name)
@pytest.mark.parametrize("memory", [Memory.LOCKED, Memory.HUGE_PAGES, ~Memory.PLAIN])
def test_a_ring_is_mapped_as_its_maker_wished(
    runtime_dir: Path, discipline: Discipline, memory: Memory
):
    """Every end of a locked ring has it locked; huge pages or not, it is a ring as any other."""
    path = runtime_dir / "x.ring"
    create_ring(path, discipline, 64, RUN_ID, memory)
    is_queue = discipline is Discipline.QUEUE
    reader = (QueueReader if is_queue else BroadcastReader)(path, RUN_ID)
    out = np.empty((1, RECORD_WORDS), np.int64)
    if is_queue:
        writer = QueueWriter(path, RUN_ID)
        assert writer.offer(np.ones((1, RECORD_WORDS), np.int64))
        writer.close()
    assert reader.poll(out) == is_queue
    status = Path("/proc/self/smaps").read_text()
    mapped = status[status.index(str(path)) :].split("VmFlags:")[1].splitlines()[0]
    assert ("lo" in mapped.split()) is bool(memory & Memory.LOCKED)
    reader.close()


def test_memory_that_may_not_be_locked_is_refused(queue: Path, monkeypatch):
    """A ring that demands to be locked is not attached where the kernel forbids that."""
    header = np.memmap(queue, np.int64, "r+")
    header[ring_header.MEMORY_WORD] = Memory.LOCKED
    header.flush()

    class NoLibrary:
        def mlock(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(shm.ctypes, "CDLL", lambda *_, **__: NoLibrary())
    with pytest.raises(BusError, match=r"memory cannot be locked: file=.*orders.ring, bytes=1728"):
        QueueReader(queue, RUN_ID)
