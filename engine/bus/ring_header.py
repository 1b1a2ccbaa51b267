"""What a ring file looks like, making one, and checking one before it is used.

Words are int64, little-endian. Words that different processes write are 128 bytes apart (two cache
lines: the prefetcher fetches lines in pairs), so no core takes a line from another for nothing.

```
 byte   word
 0      0    magic         "HTRING01"
 8      1    version       of this picture
 16     2    discipline    1 broadcast, 2 queue
 24     3    capacity      records, a power of two
 32     4    record_bytes  128
 40      5   run_id        of the run that made it
 48     6    layout_hash   engine.wire.layout
 56     7    memory        how everyone maps it: bit 0 locked, bit 1 made of huge pages
 128    16   head          records published since the ring was made   (written by the producer)
 256    32   tail          records taken since the ring was made       (queue: by the consumer)
 384    48   writer_pid    0 = closed in good order                    (written at attach, close)
 392    49   writer_count  how often a writer attached
 512    64   reader_pid    0 = closed in good order                    (queue; at attach, close)
 520    65   reader_count  how often a reader attached
 528    66   waiting       1 = a reader may be asleep on head           (set by it, taken back by
                                                                        the producer: see `wait`)
 640    80   slots         capacity x 128 bytes; record number i is in slot i % capacity
 ...         stamps        capacity x 8 bytes, one a slot. Broadcast: i + 1 while record i is whole
                           in it, 0 while it is being written. Queue: the record's `seal`
```
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

from engine.bus import shm
from engine.bus.shm import BusError, Mapping
from engine.wire.layout import layout_hash
from engine.wire.records import RECORD_BYTES, RECORD_WORDS

MAGIC = int.from_bytes(b"HTRING01", "little")
VERSION = 2
CAPACITY_MAX = 1 << 24

MAGIC_WORD, VERSION_WORD, DISCIPLINE_WORD, CAPACITY_WORD = 0, 1, 2, 3
RECORD_BYTES_WORD, RUN_ID_WORD, LAYOUT_HASH_WORD, MEMORY_WORD = 4, 5, 6, 7
CONSTANT_BYTES = 64  # the words above: written when the ring is made and never again
HEAD_WORD = 16
TAIL_WORD = 32
WRITER_PID_WORD = 48
READER_PID_WORD = 64
WAITING_WORD = 66
SLOTS_WORD = 80

# Which byte of the file stands for a role in `Mapping.claim`.
WRITER_CLAIM, READER_CLAIM = 0, 1


class RingError(BusError):
    """A ring that cannot be made, attached or used as asked."""


class Discipline(IntEnum):
    """Who reads a ring, and what happens when it is full."""

    BROADCAST = 1  # many readers; the writer never waits, a slow reader loses and knows it
    QUEUE = 2  # one reader; nothing is lost, the writer is told "full"


class Memory(IntFlag):
    """What to ask of the kernel for a ring; chosen by who makes it, obeyed by all who attach."""

    PLAIN = 0
    LOCKED = 1  # never swapped out, or the attaching process is refused
    HUGE_PAGES = 2  # where the machine allows them


@dataclass(frozen=True, slots=True)
class RingInfo:
    """A ring seen from outside. `lag`: records published and not yet taken.

    Broadcast readers keep their place to themselves: there `tail` is `head`, `lag` and `reader_pid`
    are 0, and each reader counts its own lag. A pid of 0: closed in order, or never attached.
    """

    name: str
    discipline: Discipline
    capacity: int
    head: int
    tail: int
    lag: int
    writer_pid: int
    reader_pid: int


def ring_words(capacity: int) -> int:
    """Return the size of a ring file in int64 words."""
    return SLOTS_WORD + capacity * (RECORD_WORDS + 1)


def create_ring(
    path: Path,
    discipline: Discipline,
    capacity: int,
    run_id: int,
    memory: Memory = Memory.PLAIN,
) -> None:
    """Make an empty ring of `capacity` records for the run `run_id`.

    Errors: `RingError` for a capacity that is no power of two in 2..2**24; `BusError` when the
    file exists or the memory cannot be had.
    """
    if not 2 <= capacity <= CAPACITY_MAX or capacity & (capacity - 1):
        raise RingError(
            f"ring capacity must be a power of two from 2 to {CAPACITY_MAX}: "
            f"ring={path.stem}, capacity={capacity}"
        )
    huge_pages = Memory.HUGE_PAGES in memory
    mapping = shm.create(path, ring_words(capacity), huge_pages=huge_pages)
    words = mapping.words
    words[VERSION_WORD] = VERSION
    words[DISCIPLINE_WORD] = discipline
    words[CAPACITY_WORD] = capacity
    words[RECORD_BYTES_WORD] = RECORD_BYTES
    words[RUN_ID_WORD] = run_id
    words[LAYOUT_HASH_WORD] = layout_hash()
    words[MEMORY_WORD] = memory
    # Last, so that a file without it is known to be half made.
    words[MAGIC_WORD] = MAGIC
    mapping.close()


def attach_ring(path: Path, discipline: Discipline, run_id: int, *, writable: bool) -> Mapping:
    """Return the mapping of a ring that is what the caller takes it for.

    Errors: `RingError` naming what differs; `BusError` when there is no such file to map, or its
    memory cannot be locked as the ring demands.
    """
    mapping = shm.attach(path, writable=writable)
    try:
        found = _checked_discipline(mapping)
        if found is not discipline:
            raise RingError(
                f"ring has another discipline: ring={path.stem}, "
                f"wanted={discipline.name}, was={found.name}"
            )
        was = int(mapping.words[RUN_ID_WORD])
        if was != run_id:
            raise RingError(
                f"ring belongs to another run: ring={path.stem}, wanted={run_id}, was={was}"
            )
        mapping.populate()
        if mapping.words[MEMORY_WORD] & Memory.LOCKED:
            mapping.lock()
    except BaseException:
        mapping.close()
        raise
    return mapping


def _checked_discipline(mapping: Mapping) -> Discipline:
    """Return the discipline of a ring after checking everything this build relies on."""
    words, name = mapping.words, mapping.path.stem
    if words.size < SLOTS_WORD or words[MAGIC_WORD] != MAGIC:
        raise RingError(f"not a ring: file={mapping.path}")
    for word, what, wanted in (
        (VERSION_WORD, "version", VERSION),
        (RECORD_BYTES_WORD, "record size", RECORD_BYTES),
        (LAYOUT_HASH_WORD, "layout hash", layout_hash()),
    ):
        if words[word] != wanted:
            raise RingError(
                f"ring has another {what}: ring={name}, wanted={wanted}, was={int(words[word])}"
            )
    was = int(words[DISCIPLINE_WORD])
    if was not in set(Discipline):
        raise RingError(f"ring has an unknown discipline: ring={name}, discipline={was}")
    discipline, capacity = Discipline(was), int(words[CAPACITY_WORD])
    if not 2 <= capacity <= CAPACITY_MAX or capacity & (capacity - 1):
        raise RingError(f"ring has an impossible capacity: ring={name}, capacity={capacity}")
    if words.size != ring_words(capacity):
        raise RingError(
            f"ring is truncated or too long: ring={name}, "
            f"wanted={ring_words(capacity)} words, was={words.size}"
        )
    return discipline


def sign_in(mapping: Mapping, pid_word: int) -> None:
    """Write who is attached to a side of the ring."""
    mapping.words[pid_word] = os.getpid()
    mapping.words[pid_word + 1] += 1


def inspect_ring(path: Path) -> RingInfo:
    """Return the state of a ring of any run without disturbing it.

    Errors: `RingError` or `BusError` when it is not a ring of this layout.
    """
    mapping = shm.attach(path, writable=False)
    try:
        discipline = _checked_discipline(mapping)
        words = mapping.words
        # Tail first: a head read later can only be larger, so the lag is never negative.
        tail = int(words[TAIL_WORD])
        head = int(words[HEAD_WORD])
        if discipline is Discipline.BROADCAST:
            tail = head
        return RingInfo(
            name=path.stem,
            discipline=discipline,
            capacity=int(words[CAPACITY_WORD]),
            head=head,
            tail=tail,
            lag=head - tail,
            writer_pid=int(words[WRITER_PID_WORD]),
            reader_pid=int(words[READER_PID_WORD]),
        )
    finally:
        mapping.close()
