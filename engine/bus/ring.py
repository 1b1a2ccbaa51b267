"""Rings: shared memory carrying 128-byte records from one writer to its readers, in order.

Every process that uses a ring attaches one of these four ends. Rows are C-contiguous int64 arrays
of shape (n, 16), one record a row (`engine.wire.records.words`); a poll fills an array the caller
owns and returns how many rows it filled. One jitted call moves a whole batch.

A position lost to kill -9 is not: a writer that attaches again goes on from the last published
record, a queue's reader from the last one taken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.bus.ring_header import (
    CAPACITY_WORD,
    HEAD_WORD,
    READER_CLAIM,
    READER_PID_WORD,
    TAIL_WORD,
    WRITER_CLAIM,
    WRITER_PID_WORD,
    Discipline,
    Memory,
    RingError,
    RingInfo,
    attach_ring,
    create_ring,
    inspect_ring,
    sign_in,
)
from engine.bus.ring_kernels import (
    CAPACITY,
    DAMAGED,
    DONE,
    DONE_WAKE,
    LOCAL_WORDS,
    LOST,
    POSITION,
    SEEN,
    SPOILT,
    offer_queue,
    poll_broadcast,
    poll_queue,
    publish_broadcast,
)
from engine.bus.shm import Mapping
from engine.bus.wait import wake

__all__ = [
    "BroadcastReader",
    "BroadcastWriter",
    "Discipline",
    "Memory",
    "QueueReader",
    "QueueWriter",
    "RingError",
    "RingInfo",
    "create_ring",
    "inspect_ring",
]


class BroadcastWriter:
    """The one writer of a broadcast ring. It never waits for a reader."""

    __slots__ = ("_local", "_mapping", "_ring", "name")

    def __init__(self, path: Path, run_id: int) -> None:
        """Attach. Errors: `BusError`, `RingError`, also when another writer is alive."""
        self.name = path.stem
        self._mapping = _attach_side(path, Discipline.BROADCAST, run_id, WRITER_PID_WORD)
        self._ring = self._mapping.words
        self._local = _local(self._ring, position=int(self._ring[HEAD_WORD]))

    def publish(self, rows: np.ndarray) -> None:
        """Hot path. Publish all rows, int64[n, 16], in order."""
        result = publish_broadcast(self._ring, rows, self._local)
        if result == DONE:
            return
        if result != DONE_WAKE:
            raise _bad_rows(self.name, rows)
        wake(self._ring)

    def close(self) -> None:
        """Detach; the ring stays. A second call does nothing."""
        self._ring = _leave(self._mapping, WRITER_PID_WORD)


class BroadcastReader:
    """One of many readers of a broadcast ring; it writes nothing there and cannot delay anyone."""

    __slots__ = ("_head", "_local", "_mapping", "_mine", "_ring", "name")

    def __init__(self, path: Path, run_id: int, *, from_start: bool = False) -> None:
        """Attach at the newest record, or at the first one the ring ever held.

        Errors: `BusError`, `RingError`.
        """
        self.name = path.stem
        self._mapping = attach_ring(path, Discipline.BROADCAST, run_id, writable=False)
        self._ring = self._mapping.words
        self._local = _local(self._ring, 0 if from_start else int(self._ring[HEAD_WORD]))
        self._head, self._mine = _looks(self._ring, self._local)

    @property
    def has_news(self) -> bool:
        """Hot path. Return whether a poll would find something, at a fraction of its price.

        No more than a look: True promises nothing about what the writer did before, which only a
        poll acquires; False means "not yet".
        """
        return self._head[0] != self._mine[POSITION]

    def poll(self, out: np.ndarray) -> int:
        """Hot path. Fill `out`, int64[m, 16], from its first row; return the rows filled, 0 = none.

        When `lost` grew in this call, the missing records lie just before the first row of it.
        """
        count = poll_broadcast(self._ring, out, self._local)
        if count < 0:
            raise _bad_rows(self.name, out)
        return int(count)

    @property
    def path(self) -> Path:
        """The ring's file."""
        return self._mapping.path

    @property
    def position(self) -> int:
        """The number of the record this reader reads next, from 0."""
        return self._mine[POSITION]

    @property
    def lost(self) -> int:
        """Records this reader missed since it attached because the writer lapped it."""
        return self._mine[LOST]

    @property
    def lag(self) -> int:
        """Records published and not yet polled by this reader."""
        return self._head[0] - self._mine[POSITION]

    def close(self) -> None:
        """Detach; the ring stays. A second call does nothing."""
        self._head.release()
        self._mapping.close()
        self._ring = self._mapping.words


class QueueWriter:
    """The one writer of a queue."""

    __slots__ = ("_local", "_mapping", "_ring", "name")

    def __init__(self, path: Path, run_id: int) -> None:
        """Attach. Errors: `BusError`, `RingError`, also when another writer is alive."""
        self.name = path.stem
        self._mapping = _attach_side(path, Discipline.QUEUE, run_id, WRITER_PID_WORD)
        self._ring = self._mapping.words
        self._local = _local(self._ring, position=int(self._ring[HEAD_WORD]))
        self._local[SEEN] = self._ring[TAIL_WORD]

    def offer(self, rows: np.ndarray) -> bool:
        """Hot path. Put all rows, int64[n, 16], in; False = full, and none is in.

        Errors: `RingError` when the rows would not fit into an empty ring.
        """
        result = offer_queue(self._ring, rows, self._local)
        if result == DONE_WAKE:
            wake(self._ring)
        elif result < 0:
            raise _bad_rows(self.name, rows)
        return bool(result)

    @property
    def is_whole(self) -> bool:
        """Whether nobody cut the file: an offer into one that was cut would be a SIGBUS."""
        return self._mapping.is_whole

    def close(self) -> None:
        """Detach; the ring stays. A second call does nothing."""
        self._ring = _leave(self._mapping, WRITER_PID_WORD)


class QueueReader:
    """The one reader of a queue."""

    __slots__ = ("_head", "_local", "_mapping", "_mine", "_ring", "name")

    def __init__(self, path: Path, run_id: int) -> None:
        """Attach. Errors: `BusError`, `RingError`, also when another reader is alive."""
        self.name = path.stem
        self._mapping = _attach_side(path, Discipline.QUEUE, run_id, READER_PID_WORD)
        self._ring = self._mapping.words
        self._local = _local(self._ring, position=int(self._ring[TAIL_WORD]))
        self._local[SEEN] = self._ring[TAIL_WORD]
        self._head, self._mine = _looks(self._ring, self._local)

    @property
    def has_news(self) -> bool:
        """Hot path. Return whether there is something to take; as `BroadcastReader.has_news`."""
        return self._head[0] != self._mine[POSITION]

    def poll(self, out: np.ndarray) -> int:
        """Hot path. Take up to m records into `out`, int64[m, 16]; return how many.

        0 = empty or `damaged`: news that cannot be taken is damage.
        """
        count = poll_queue(self._ring, out, self._local)
        if count == SPOILT:
            self._head = self._mine[POSITION : POSITION + 1]  # no more news, at no price to a look
            return 0
        if count < 0:
            raise _bad_rows(self.name, out)
        return int(count)

    @property
    def damaged(self) -> int:
        """The first record that was not as its writer wrote it, counted from 1; 0 = none so far.

        Neither it nor anything after it is ever taken.
        """
        return self._mine[DAMAGED]

    @property
    def path(self) -> Path:
        """The ring's file."""
        return self._mapping.path

    @property
    def position(self) -> int:
        """The number of the record this reader takes next, from 0."""
        return self._mine[POSITION]

    def close(self) -> None:
        """Detach; the ring stays. A second call does nothing."""
        self._head.release()
        self._ring = _leave(self._mapping, READER_PID_WORD)


def _attach_side(path: Path, discipline: Discipline, run_id: int, pid_word: int) -> Mapping:
    mapping = attach_ring(path, discipline, run_id, writable=True)
    try:
        if pid_word == WRITER_PID_WORD:
            mapping.claim(WRITER_CLAIM, "writer")
        else:
            mapping.claim(READER_CLAIM, "reader")
    except BaseException:
        mapping.close()
        raise
    sign_in(mapping, pid_word)
    if pid_word == WRITER_PID_WORD:
        wake(mapping.words)  # the last writer may have died between its head and its call
    return mapping


def _leave(mapping: Mapping, pid_word: int) -> np.ndarray:
    # Leaving a ring that was cut must not be the end of a process that outlived the cut.
    if mapping.words.size and mapping.is_whole:
        mapping.words[pid_word] = 0
    mapping.close()
    return mapping.words


def _local(ring: np.ndarray, position: int) -> np.ndarray:
    local = np.zeros(LOCAL_WORDS, np.int64)
    local[POSITION] = position
    local[CAPACITY] = ring[CAPACITY_WORD]
    return local


def _looks(ring: np.ndarray, local: np.ndarray) -> tuple[memoryview, memoryview]:
    """Return (head, one's own side) as Python reads single words fastest: a third of numpy's price.

    A word is loaded whole, for it is aligned.
    """
    return ring[HEAD_WORD : HEAD_WORD + 1].data, local.data


def _bad_rows(name: str, rows: np.ndarray) -> RingError:
    return RingError(
        f"rows must be records of 16 words and fit the ring: ring={name}, shape={rows.shape}"
    )
