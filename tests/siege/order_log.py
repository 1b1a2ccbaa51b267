"""The signer's order log, read by the drawing of its bytes and nothing else.

```
header 32 B: magic 8 B, version u4, zeros
entry:       length u4, crc32c u4, sequence u8, facts 80 B, body to `length`
facts:       kind u2, attempt u1, pad, instrument u4, run id u8, order id u8, time ns i8,
             order hash 32 B, reason u2, HTTP status u2, pad 4, matched i8
```
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

HEADER_BYTES = 32
FRAME = struct.Struct("<IIQ")
FACTS = struct.Struct("<HBxIQQq32sHH4xq")
SIGNED, ACKED, REJECTED, UNKNOWN, DONE = range(1, 6)


class Entry(NamedTuple):
    """One entry. order_hash: 0x and 64 digits."""

    kind: int
    attempt: int
    run_id: int
    order_id: int
    time_ns: int
    order_hash: str


def read_order_log(file: Path) -> list[Entry]:
    """Return the entries up to the first that is not whole."""
    data = file.read_bytes() if file.exists() else b""
    entries: list[Entry] = []
    offset = HEADER_BYTES
    while offset + FRAME.size + FACTS.size <= len(data):
        length, _, sequence = FRAME.unpack_from(data, offset)
        if sequence != len(entries) + 1 or offset + length > len(data):
            break
        kind, attempt, _, run_id, order_id, time_ns, order_hash, *_ = FACTS.unpack_from(
            data, offset + FRAME.size
        )
        entries.append(Entry(kind, attempt, run_id, order_id, time_ns, "0x" + order_hash.hex()))
        offset += length
    return entries
