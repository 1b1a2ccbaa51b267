"""The slowest orders of a tape, or a named one: where the time went, and the frame that caused it.

```
 frame (records of one receive stamp) ── batch ── NEW_ORDER ── … ── answer
   `─ what replaying from here needs       `─ base_seq: the sequence to step a core with
```
An order's `trace` is the sequence of the record that caused it; the records beside that one with
the same receive stamp came in the same frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.backoffice.latency import STAGES
from engine.backoffice.ledger import Ledger
from engine.backoffice.orders import OrderFacts, OrderTable
from engine.host.errors import HostError
from engine.tape.reader import TapeReader
from engine.tape.text import describe
from engine.wire.codes import Flag, Kind

WORST = 5
FRAME_RECORDS_MAX = 64  # on either side of the record that caused an order
_TRACE_WORD, _LOCAL_NS_WORD = 1, 3


class NoSuchOrder(HostError):
    """An order that is not on the tape; the message names it."""


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of an order, nanoseconds. began_ns: since the frame was received."""

    name: str
    began_ns: int
    spent_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the tape. row: int64[16]."""

    sequence: int
    row: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """An order, its stages, and its cause.

    total_ns: frame to last byte, None where the order was never sent or no frame caused it.
    cause: sequence of the record that made the core decide, 0 = its own timer.  batch: sequence
    of the batch both were in.  frame: the records that came with the cause, as far as the tape
    still has them.
    """

    order: OrderFacts
    cause: int
    total_ns: int | None
    spans: tuple[Span, ...]
    batch: int
    frame: tuple[Record, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values; the frame's records decoded."""
        order = self.order
        return {
            "order_id": f"{order.order_id:016x}",
            "sequence": order.sequence,
            "instrument": order.instrument,
            "strategy": order.strategy,
            "side": order.side,
            "price": order.price,
            "size": order.size,
            "order_hash": "0x" + order.order_hash.hex() if order.order_hash else None,
            "total_us": None if self.total_ns is None else self.total_ns / 1_000,
            "stages": [
                {"stage": s.name, "began_us": s.began_ns / 1_000, "spent_us": s.spent_ns / 1_000}
                for s in self.spans
            ],
            "cause": self.cause,
            "batch": self.batch,
            "frame": [describe(record.row, record.sequence) for record in self.frame],
        }


def worst(path: Path, count: int = WORST) -> list[OrderTrace]:
    """Return the slowest orders from frame to last byte, slowest first. Raises TapeError."""
    orders = [order for order in orders_of(path) if total_ns(order) is not None]
    orders.sort(key=lambda order: (-(total_ns(order) or 0), order.sequence))
    return _explained(path, orders[:count])


def of_order(path: Path, order_id: int) -> OrderTrace:
    """Return one order. Raises NoSuchOrder and TapeError."""
    found = [order for order in orders_of(path) if order.order_id == order_id]
    if not found:
        raise NoSuchOrder(f"order is not on the tape: order={order_id:016x}, file={path}")
    return _explained(path, found)[0]


def total_ns(order: OrderFacts) -> int | None:
    """Return the time from the frame to the order's last byte, None where there is none.

    The core's own timer stamps its decisions with the batch's time: no frame came then.
    """
    if not order.sent_ns or not 0 < order.trigger_ns < order.decided_ns:
        return None
    return max(order.sent_ns - order.trigger_ns, 0)


def spans(order: OrderFacts) -> tuple[Span, ...]:
    """Return the stages that the order got through, in order."""
    found = []
    for name, begin, end in STAGES:
        began_ns, ended_ns = getattr(order, begin), getattr(order, end)
        if not began_ns or not ended_ns:
            break
        found.append(Span(name, began_ns - order.trigger_ns, max(ended_ns - began_ns, 0)))
    return tuple(found)


def orders_of(path: Path) -> Iterable[OrderFacts]:
    """Return all orders of a tape. Raises TapeError."""
    table = OrderTable()
    with TapeReader(path) as reader:
        ledger = Ledger(reader.header)
        for piece in reader.slices():
            table.apply(ledger.apply(piece))
    return table.by_id.values()


def _explained(path: Path, orders: Sequence[OrderFacts]) -> list[OrderTrace]:
    """Return the orders with their causes, looked up in a second pass."""
    with TapeReader(path) as reader:
        decided = _entries_of(reader, {order.sequence for order in orders})
        causes = {
            order.sequence: int(_at(reader, decided[order.sequence])[1][_TRACE_WORD])
            for order in orders
        }
        caused = _entries_of(reader, set(causes.values()) - {0})
        return [
            _trace(reader, order, causes[order.sequence], caused.get(causes[order.sequence]))
            for order in orders
        ]


def _trace(reader: TapeReader, order: OrderFacts, cause: int, entry: int | None) -> OrderTrace:
    batch, frame = (0, ()) if entry is None else _around(reader, entry)
    return OrderTrace(order, cause, total_ns(order), spans(order), batch, frame)


def _entries_of(reader: TapeReader, wanted: set[int]) -> dict[int, int]:
    """Return the place on the tape of each sequence that is there: gaps make the two differ."""
    sequences = np.array(sorted(wanted), np.int64)
    found: dict[int, int] = {}
    first = 0
    for piece in reader.slices():
        for index in np.flatnonzero(np.isin(piece.sequences, sequences)):
            found.setdefault(int(piece.sequences[index]), first + int(index))
        first += len(piece.rows)
    return found


def _at(reader: TapeReader, entry: int) -> tuple[int, np.ndarray]:
    (piece,) = reader.slices(entry, entry + 1)
    return int(piece.sequences[0]), piece.rows[0]


def _around(reader: TapeReader, entry: int) -> tuple[int, tuple[Record, ...]]:
    """Return the batch's sequence and the records of the frame that the entry is of."""
    first = max(0, entry - FRAME_RECORDS_MAX)
    (piece,) = reader.slices(first, entry + FRAME_RECORDS_MAX)
    rows, at = piece.rows, entry - first
    heads = rows[:, 0]
    is_batch = ((heads & 0xFFFF) == Kind.TIMER) & ((heads >> 24) & Flag.BATCH != 0)
    is_other = (rows[:, _LOCAL_NS_WORD] != rows[at, _LOCAL_NS_WORD]) | is_batch
    before, after = np.flatnonzero(is_other[:at]), np.flatnonzero(is_other[at:])
    begin = int(before[-1]) + 1 if len(before) else 0
    end = at + int(after[0]) if len(after) else len(rows)
    batches = np.flatnonzero(is_batch[: at + 1])
    batch = int(piece.sequences[batches[-1]]) if len(batches) else 0
    records = (Record(int(piece.sequences[i]), rows[i]) for i in range(begin, end))
    return batch, tuple(records)
