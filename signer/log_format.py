"""The order log's bytes: what was signed and how it ended, each entry with its own checksum.

```
 header (32 B)                          entry
 0        8         12        32        0        4        8          16                 96
 +--------+---------+---------+         +--------+--------+----------+------------------+------+
 | magic  | version | zeros   |         | length | crc32c | sequence | facts, see ENTRY | body |
 | 8 B    | u4      | 20 B    |         | u4     | u4     | u8       | 80 B             |      |
 +--------+---------+---------+         +--------+--------+----------+------------------+------+
                                                          `---- crc32c covers length - 8 bytes ----'
```
Little-endian. `length` is the whole entry's. Sequences start at 1 and never skip. Only SIGNED has
a body: the exact bytes of `POST /order`. An order whose last entry is SIGNED may have been sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from engine.bus.crc32c import crc32c, crc32c_rows
from engine.host.errors import RefuseError

MAGIC = b"HALFORDR"
VERSION = 1
HEADER = struct.Struct("<8sI20x")
FRAME = struct.Struct("<IIQ")
# kind, attempt, instrument, run id, order id, time ns, order hash, reason, HTTP status,
# strategy key, matched
ENTRY = struct.Struct("<HBxIQQq32sHHIq")
_FRAMED = struct.Struct(FRAME.format + ENTRY.format[1:])
ENTRY_BYTES = _FRAMED.size
BODY_BYTES_MAX = 1 << 16
_CHECKED_FROM = 8


class EntryKind(IntEnum):
    """What an entry says. Everything after SIGNED is evidence of how the order went."""

    SIGNED = 1
    ACKED = 2
    REJECTED = 3
    UNKNOWN = 4
    DONE = 5


_KINDS = frozenset(EntryKind)


class Entry(NamedTuple):
    """One entry. order_hash: 32 bytes.

    strategy_key: of a SIGNED, crc32c of the strategy's name, 0 = none said (`signer.strategies`).
    matched: micro-shares of a DONE, or of an ACKED that was matched at once; -1 = not said.
    """

    kind: int
    attempt: int
    instrument: int
    run_id: int
    order_id: int
    time_ns: int
    order_hash: bytes
    reason: int = 0
    http_status: int = 0
    strategy_key: int = 0
    matched: int = -1
    body: bytes = b""


class Placed(NamedTuple):
    """An entry and where it was found."""

    offset: int
    sequence: int
    entry: Entry


class LogError(RefuseError):
    """An order log that must not be used; the message names the file and the offset."""


class Scan(NamedTuple):
    """A log that was read to its end. torn_bytes: what an interrupted write left behind there."""

    entries: list[Placed]
    end: int
    torn_bytes: int


def header() -> bytes:
    """Return the 32 bytes a log begins with."""
    return HEADER.pack(MAGIC, VERSION)


class Packer:
    """Packs entries, each over the one before: nothing is allocated for it but a view."""

    __slots__ = ("_buffer", "_checksum", "_rows")

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(ENTRY_BYTES + BODY_BYTES_MAX))
        self._rows = np.frombuffer(self._buffer, np.uint8).reshape(1, -1)
        # The checksum is computed right into its place.
        self._checksum = np.frombuffer(self._buffer, np.uint32)[1:2]

    def pack(self, sequence: int, entry: Entry) -> memoryview:
        """Return the bytes of an entry, good until the next one is packed. Hot path.

        Raises ValueError for a body of more than BODY_BYTES_MAX.
        """
        body = entry.body
        length = ENTRY_BYTES + len(body)
        _FRAMED.pack_into(self._buffer, 0, length, 0, sequence, *entry[:-1])
        self._buffer[ENTRY_BYTES:length] = body
        crc32c_rows(self._rows, _CHECKED_FROM, length, self._checksum)
        return self._buffer[:length]


def pack(sequence: int, entry: Entry) -> bytes:
    """Return the bytes of an entry."""
    return bytes(Packer().pack(sequence, entry))


def scan(data: bytes | memoryview, name: str) -> Scan:
    """Return all entries of a log's bytes.

    What an interrupted last write left is reported as torn. Raises LogError naming `name` and the
    offset when it is no order log, or when whole entries follow the damage: then something other
    than a crash changed the file, and guessing could hide an order.
    """
    view = memoryview(data)
    if len(view) < HEADER.size:
        if header().startswith(bytes(view)):
            return Scan([], 0, len(view))
        raise LogError(f"not an order log: file={name}")
    magic, version = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise LogError(f"not an order log: file={name}")
    if version != VERSION:
        raise LogError(f"an order log of another version: file={name}, version={version}")
    entries = list(_entries(view))
    end = entries[-1].offset + _length(view, entries[-1].offset) if entries else HEADER.size
    found = _entry_after(view, end, len(entries))
    if found is not None:
        raise LogError(
            f"order log is damaged in the middle: file={name}, offset={end}, "
            f"intact_entry_offset={found}"
        )
    return Scan(entries, end, len(view) - end)


def _entries(view: memoryview) -> Iterator[Placed]:
    offset = HEADER.size
    sequence = 1
    while (placed := _entry_at(view, offset)) is not None and placed.sequence == sequence:
        yield placed
        offset += _length(view, offset)
        sequence += 1


def _length(view: memoryview, offset: int) -> int:
    return int.from_bytes(view[offset : offset + 4], "little")


def _entry_at(view: memoryview, offset: int) -> Placed | None:
    """Return the intact entry at an offset, or None."""
    if offset + ENTRY_BYTES > len(view):
        return None
    length, checksum, sequence = FRAME.unpack_from(view, offset)
    if not ENTRY_BYTES <= length <= min(ENTRY_BYTES + BODY_BYTES_MAX, len(view) - offset):
        return None
    if crc32c(view[offset + _CHECKED_FROM : offset + length]) != checksum:
        return None
    facts = Entry(*ENTRY.unpack_from(view, offset + FRAME.size))
    if facts.kind not in _KINDS:
        return None
    body = bytes(view[offset + ENTRY_BYTES : offset + length])
    return Placed(offset, sequence, facts._replace(body=body))


def _entry_after(view: memoryview, start: int, count: int) -> int | None:
    """Return where an intact later entry lies beyond damage at `start`, or None."""
    for offset in range(start + 1, len(view) - ENTRY_BYTES + 1):
        # The sequence's high bytes are zero and it grows: nearly every offset fails this at once.
        sequence = int.from_bytes(view[offset + 8 : offset + 16], "little")
        if count < sequence <= count + len(view) and _entry_at(view, offset) is not None:
            return offset
    return None
