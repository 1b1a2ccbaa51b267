"""What the core reads of a report is what the wire says, field by field."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from engine.core import reports
from engine.wire.codes import Kind
from engine.wire.records import BODIES, words

READ = [
    (Kind.SIGNED, reports._SIGNED, ("order_id", "order_hash")),
    (Kind.ACK, reports._ACK, ("order_id", "making", "taking", "status")),
    (Kind.REJECT, reports._REJECT, ("order_id", "reason")),
    (Kind.UNKNOWN, reports._REJECT, ("order_id", "reason")),
    (Kind.DONE, reports._DONE, ("order_id", "matched", "reason")),
    (Kind.FILL, reports._FILL, reports.Fill._fields),
    (
        Kind.ORDER_STATE,
        reports._ORDER_STATE,
        ("order_hash", "price", "size", "matched", "status", "side"),
    ),
    (
        Kind.RECOVERED,
        reports._RECOVERED,
        ("order_id", "order_hash", "price", "size", "strategy", "side", "tif", "is_open", "last"),
    ),
]


@pytest.mark.parametrize(("kind", "layout", "names"), READ, ids=lambda value: str(value)[:12])
def test_a_report_is_read_where_the_wire_has_it(
    kind: Kind, layout: struct.Struct, names: tuple[str, ...]
):
    """Every field read is the one of that name, whatever bytes the record is full of."""
    record = np.frombuffer(np.random.default_rng(kind).bytes(128), BODIES[kind])
    row = words(record.copy())[0]
    read = layout.unpack_from(row.data, reports.BODY_BYTE)
    assert read == tuple(
        record[name][0].tobytes() if record.dtype[name].kind == "V" else int(record[name][0])
        for name in names
    )
