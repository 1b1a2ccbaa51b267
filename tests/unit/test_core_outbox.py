"""What the core packs is what the wire says, field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.core.outbox import CAPACITY, Outbox
from engine.wire.codes import Kind, Source
from engine.wire.records import new, typed, words

NOW_NS, INSTRUMENT, TRACE = 1_800_000_000_123_456_789, 7, 99

ARM: dict[str, Any] = {
    "price": 510_000,
    "size": 12_000_000,
    "budget": 6_120_000,
    "tick": 10_000,
    "side": 1,
    "tif": 2,
    "strategy": 255,
    "reason": 0,
}


def expected(kind: Kind, instrument: int, fields: dict[str, Any]) -> list[int]:
    """Return the record's words as the dtype of the wire lays them out."""
    record = new(kind)
    record["source"], record["instrument"], record["local_ns"] = Source.CORE, instrument, NOW_NS
    record["trace"] = TRACE
    for name, value in fields.items():
        record[name] = value
    return words(record)[0].tolist()


def outbox() -> Outbox:
    """Return an outbox whose room was full of something else before."""
    out = Outbox()
    out.clear(NOW_NS)
    for _ in range(4):
        out.forward(np.full(16, -1, np.int64), TRACE)
    out.clear(NOW_NS)
    return out


def test_every_record_is_laid_out_as_on_the_wire():
    """Each field lands where its dtype has it, and nothing of former records is left between."""
    out = outbox()
    out.arm(INSTRUMENT, TRACE, **ARM)
    out.arm(INSTRUMENT, TRACE, **ARM | {"reason": 40_000})
    out.cancel(5, INSTRUMENT, 3, 40_000, TRACE)
    out.cancel_all(60_000, TRACE)
    assert out.rows.tolist() == [
        expected(Kind.ARM, INSTRUMENT, ARM | {"engaged": 1}),
        expected(Kind.ARM, INSTRUMENT, ARM | {"reason": 40_000}),
        expected(Kind.CANCEL, INSTRUMENT, {"order_id": 5, "strategy": 3, "reason": 40_000}),
        expected(Kind.CANCEL_ALL, 0, {"reason": 60_000}),
    ]


def test_a_forwarded_record_is_from_us_and_keeps_the_rest():
    """The signer gets an instrument as the feed told it, traced to where the core has it."""
    out, record = outbox(), new(Kind.INSTRUMENT)
    record["source"], record["instrument"], record["tick"] = Source.GAMMA, INSTRUMENT, 10_000
    out.forward(words(record)[0], TRACE)
    told = typed(out.rows[0], Kind.INSTRUMENT)[0]
    assert (told["source"], told["trace"], told["local_ns"]) == (Source.CORE, TRACE, NOW_NS)
    assert (told["instrument"], told["tick"]) == (INSTRUMENT, 10_000)


def test_a_step_that_says_too_much_is_a_broken_belief():
    """More records than the outbox holds end the core: it never writes over its own words."""
    out = outbox()
    for _ in range(CAPACITY):
        out.cancel_all(1, TRACE)
    with pytest.raises(AssertionError, match=f"count={CAPACITY}"):
        out.cancel_all(1, TRACE)
    with pytest.raises(AssertionError, match=f"count={CAPACITY}"):
        out.room(1)
