"""A run's tape, read by the drawing of its bytes: the fills and orders it tells of.

```
header: magic 8 B, version u4, header_bytes u4, layout hash u8, run id u8, …
entry:  length u4 = 128, crc32c u4, sequence u8, record 128 B
record: kind u2, source u1, flags u1, instrument u4, trace u8, venue_ns i8, local_ns i8, body 96 B
FILL:      order_hash 32 B, trade_id 16 B, price i8, size i8, fee i8, side u1, liquidity u1,
           settlement u1, leg u1
NEW_ORDER: order_id u8, price, size, budget i8, salt u8, timestamp_ms, expires_s, trigger_ns,
           decided_ns i8, tick u4, side, tif, post_only, strategy, leg, attempt u1
```
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

MAGIC = b"HALFTAPE"
HEADER = struct.Struct("<8sIIQQ")
ENTRY_BYTES = 144
RECORD = struct.Struct("<HBBIQqq")
FILL_BODY = struct.Struct("<32s16sqqqBBBB")
ORDER_BODY = struct.Struct("<QqqqQqqqqIBBBBBB")
FILL, NEW_ORDER = 33, 64


class TapedFill(NamedTuple):
    """A fill as the core heard of it. trade_id: 32 hex digits. size: micro-shares."""

    trade_id: str
    order_hash: str
    size: int
    settlement: int


class TapedOrder(NamedTuple):
    """An order that the core decided. trace: the record that caused it."""

    run_id: int
    order_id: int
    strategy: int
    instrument: int
    trace: int
    leg: int
    attempt: int


class Tape(NamedTuple):
    """What one tape tells."""

    run_id: int
    fills: list[TapedFill]
    orders: list[TapedOrder]


def read_tape(file: Path) -> Tape:
    """Return what a tape tells; an empty or foreign file tells nothing."""
    data = file.read_bytes()
    tape = Tape(0, [], [])
    if len(data) < HEADER.size or data[:8] != MAGIC:
        return tape
    _, _, start, _, run_id = HEADER.unpack_from(data)
    tape = tape._replace(run_id=run_id)
    for offset in range(start, len(data) - ENTRY_BYTES + 1, ENTRY_BYTES):
        kind, _, _, instrument, trace, *_ = RECORD.unpack_from(data, offset + 16)
        body = offset + 16 + RECORD.size
        if kind == FILL:
            order_hash, trade_id, _, size, _, _, _, settlement, _ = FILL_BODY.unpack_from(
                data, body
            )
            tape.fills.append(TapedFill(trade_id.hex(), "0x" + order_hash.hex(), size, settlement))
        elif kind == NEW_ORDER:
            order_id, *_, strategy, leg, attempt = ORDER_BODY.unpack_from(data, body)
            tape.orders.append(
                TapedOrder(run_id, order_id, strategy, instrument, trace, leg, attempt)
            )
    return tape
