"""A tape file: who ran and how, then every record in order, each with its own checksum.

```
 header (128 B)                                                      params text
 +-------+---------+--------------+--------+-----+----------------+--------------+---------+
 | magic | version | header_bytes | …      | crc | params_sha256  | canonical    | zeros   |
 | 8 B   | u4      | u4           |        | u4  | 32 B           | JSON, UTF-8  | to 16 B |
 +-------+---------+--------------+--------+-----+----------------+--------------+---------+
 entry (144 B), one a record
 0          4          8           16                                              144
 +----------+----------+-----------+------------------------------------------------+
 | length   | crc32c   | sequence  | record                                         |
 | u4 = 128 | u4       | u8        | 128 B (engine.wire.records)                    |
 +----------+----------+-----------+------------------------------------------------+
            |           `------------------ crc32c covers these 136 bytes ----------'
```
Entries are fixed, so the n-th is found by arithmetic and damage to one never hides the next.
Sequences are the core's: they begin with 0 and each is one more than the last, except after a GAP.
The GAP takes the first missing sequence, says how many are lost in all, and names ring `TAPE_RING`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from engine.bus.crc32c import crc32c_rows
from engine.host.errors import RefuseError
from engine.wire.codes import Kind
from engine.wire.layout import layout_hash
from engine.wire.records import BODY_WORD, RECORD_BYTES, RECORD_WORDS, new, words

MAGIC = b"HALFTAPE"
VERSION = 1

# The ring a GAP of the recorder names: the tape's own. Rings the core polls count from 0.
TAPE_RING = -1

# start_ns: local_ns at which the file was begun. clock_offset_ns: local_ns minus CLOCK_MONOTONIC.
# crc32c covers this header with crc32c itself zero.
HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("header_bytes", "<u4"),
        ("layout_hash", "<u8"),
        ("run_id", "<u8"),
        ("start_ns", "<i8"),
        ("clock_offset_ns", "<i8"),
        ("params_bytes", "<u4"),
        ("crc32c", "<u4"),
        ("params_sha256", "V32"),
        ("_rest", "V40"),
    ]
)
HEADER_BYTES = 128
HEADER_BYTES_MAX = 1 << 24
ENTRY_BYTES = 16 + RECORD_BYTES
_CRC_START = 8  # the checksum covers sequence and record
assert HEADER.itemsize == HEADER_BYTES


class TapeError(RefuseError):
    """A tape that cannot be used at all; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """What a tape says of itself before its first record."""

    run_id: int
    start_ns: int
    clock_offset_ns: int
    params_text: str  # canonical JSON of the core's parameters: replay needs nothing else

    @property
    def params_sha256(self) -> bytes:
        """The digest of the parameters: equal digests promise equal decisions."""
        return hashlib.sha256(self.params_text.encode()).digest()


def encode_header(header: TapeHeader) -> bytes:
    """Return the bytes that open a tape file: header and text, a multiple of 16."""
    text = header.params_text.encode()
    room = -len(text) % 16
    fixed = np.zeros(1, HEADER)
    fixed["magic"] = MAGIC
    fixed["version"] = VERSION
    fixed["header_bytes"] = HEADER_BYTES + len(text) + room
    fixed["layout_hash"] = layout_hash()
    fixed["run_id"] = header.run_id
    fixed["start_ns"] = header.start_ns
    fixed["clock_offset_ns"] = header.clock_offset_ns
    fixed["params_bytes"] = len(text)
    fixed["params_sha256"] = np.void(header.params_sha256)
    fixed["crc32c"] = _header_crc(fixed)
    return fixed.tobytes() + text + bytes(room)


def decode_header(data: bytes, name: str) -> tuple[TapeHeader, int]:
    """Return the header and the offset of the first entry. `data` begins the file called `name`.

    Raises TapeError for what is no tape, a tape of another layout or version, or a damaged header.
    """
    if not _is_whole(data) or data[: len(MAGIC)] != MAGIC:
        raise TapeError(f"not a tape: file={name}, begins={data[: len(MAGIC)]!r}")
    fixed = np.frombuffer(data[:HEADER_BYTES], HEADER).copy()
    version = int(fixed["version"][0])
    if version != VERSION:
        raise TapeError(f"tape version is unknown: file={name}, version={version}, known={VERSION}")
    claimed_crc = int(fixed["crc32c"][0])
    fixed["crc32c"] = 0
    start = int(fixed["header_bytes"][0])
    text = data[HEADER_BYTES : HEADER_BYTES + int(fixed["params_bytes"][0])]
    whole = start <= len(data) and hashlib.sha256(text).digest() == bytes(fixed["params_sha256"][0])
    if claimed_crc != _header_crc(fixed) or not whole:
        raise TapeError(f"tape header is damaged or cut short: file={name}")
    layout = int(fixed["layout_hash"][0])
    if layout != layout_hash():
        raise TapeError(
            "tape was written with another record layout: "
            f"file={name}, layout={layout:016x}, ours={layout_hash():016x}"
        )
    header = TapeHeader(
        run_id=int(fixed["run_id"][0]),
        start_ns=int(fixed["start_ns"][0]),
        clock_offset_ns=int(fixed["clock_offset_ns"][0]),
        params_text=text.decode(),
    )
    return header, start


def read_header(fd: int, name: str) -> tuple[TapeHeader, int]:
    """Return the header of the open tape `name` and the offset of its first entry.

    Raises TapeError as `decode_header` does.
    """
    fixed = os.pread(fd, HEADER_BYTES, 0)
    claimed = int(np.frombuffer(fixed, HEADER)["header_bytes"][0]) if _is_whole(fixed) else 0
    return decode_header(os.pread(fd, min(claimed, HEADER_BYTES_MAX), 0) or fixed, name)


def seal(rows: np.ndarray, sequence: int, out: np.ndarray) -> None:
    """Write the entries of `rows` into `out`, numbered from `sequence` on.

    rows: int64[n,16]. out: uint8[n,144], C-contiguous; overwritten whole.
    """
    count = len(rows)
    entries = out.view(np.int64)
    entries[:, 1] = np.arange(sequence, sequence + count)
    entries[:, 2:] = rows
    sums = np.empty(count, np.uint32)
    crc32c_rows(out, _CRC_START, ENTRY_BYTES, sums)
    heads = out.view(np.uint32)
    heads[:, 0] = RECORD_BYTES
    heads[:, 1] = sums


def damaged(entries: np.ndarray) -> np.ndarray:
    """Return which entries are not what was written, bool[n]. entries: uint8[n,144] contiguous."""
    sums = np.empty(len(entries), np.uint32)
    crc32c_rows(entries, _CRC_START, ENTRY_BYTES, sums)
    heads = entries.view(np.uint32)
    return np.asarray((heads[:, 0] != RECORD_BYTES) | (heads[:, 1] != sums))


def gap_row(lost: int, local_ns: int) -> np.ndarray:
    """Return the recorder's GAP as int64[1,16]: `lost` records of the tape ring were never seen."""
    gap = new(Kind.GAP)
    gap["local_ns"] = local_ns
    gap["ring"] = TAPE_RING
    gap["lost"] = lost
    return words(gap)


def is_tape_gap(rows: np.ndarray) -> np.ndarray:
    """Return which rows are the recorder's own GAPs (not a feed's), bool[n]."""
    return np.asarray(((rows[:, 0] & 0xFFFF) == Kind.GAP) & (rows[:, BODY_WORD] == TAPE_RING))


def sequence_after(row: np.ndarray, sequence: int) -> int:
    """Return the sequence that follows the entry `row`, int64[16]."""
    is_gap = bool(is_tape_gap(row.reshape(1, RECORD_WORDS))[0])
    return sequence + (int(row[BODY_WORD + 1]) if is_gap else 1)


def _is_whole(data: bytes) -> bool:
    return len(data) >= HEADER_BYTES


def _header_crc(fixed: np.ndarray) -> int:
    out = np.empty(1, np.uint32)
    crc32c_rows(fixed.view(np.uint8).reshape(1, -1), 0, HEADER_BYTES, out)
    return int(out[0])
