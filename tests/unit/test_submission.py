"""What the kernels write is what the wire says, field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
from core_driver import LIMITS

from engine.core.orders import candidates, ids, submission
from engine.core.world.books import ASK, BID, LOCAL_NS, TICK, TOP_COLUMNS
from engine.core.world.facts import OPENED, RING, Facts
from engine.wire.codes import Kind, Source
from engine.wire.records import new, words

NOW_NS, INSTRUMENT, TRACE, SEED = 1_800_000_000_123_456_789, 3, (1 << 40) - 1, (1 << 64) - 3
AGE_NS, TRIGGER_NS = 1 << 59, NOW_NS - 5
BID_NOW, ASK_NOW, TICK_NOW = 480_000, 1_000_000, 10_000

TERMS: dict[str, Any] = {"price": 510_000, "size": 12_000_000, "side": 1, "leg": 255}
CANDIDATE = {
    candidates.STRATEGY: 255,
    candidates.INSTRUMENT: INSTRUMENT,
    candidates.SIDE: TERMS["side"],
    candidates.PRICE: TERMS["price"],
    candidates.SIZE: TERMS["size"],
    candidates.TIF: 2,
    candidates.POST_ONLY: 1,
    candidates.LEG: TERMS["leg"],
    candidates.NOTIONAL: 6_120_000,
    candidates.EDGE: -3,
    candidates.SPENDS: 6_120_001,
}


def candidate(**also: int) -> np.ndarray:
    """Return one row of candidates; also: columns by name."""
    rows = np.zeros((2, candidates.COLUMNS), np.int64)
    for column, value in CANDIDATE.items():
        rows[1, column] = value
    for name, value in also.items():
        rows[1, getattr(candidates, name)] = value
    return rows


def touches() -> np.ndarray:
    """Return what the books say."""
    tops = np.zeros((INSTRUMENT + 1, TOP_COLUMNS), np.int64)
    tops[INSTRUMENT, [BID, ASK, TICK, LOCAL_NS]] = BID_NOW, ASK_NOW, TICK_NOW, NOW_NS - AGE_NS
    return tops


def expected(kind: Kind, **fields: Any) -> list[int]:
    """Return the record's words as the dtype of the wire lays them out."""
    record = new(kind)
    record["source"], record["instrument"], record["local_ns"] = Source.CORE, INSTRUMENT, NOW_NS
    record["trace"], record["strategy"] = TRACE, 255
    for name, value in fields.items():
        record[name] = value
    return words(record)[0].tolist()


SEEN = {"bid": BID_NOW, "ask": ASK_NOW, "book_age_ns": AGE_NS, "edge": -3}


def test_an_order_leaves_as_the_wire_has_it() -> None:
    """DECISION and NEW_ORDER, every field in its place, nothing of former records between, and the
    rows around them untouched."""
    facts = Facts(4, LIMITS, 2)
    out = np.full((5, 16), -1, np.int64)
    rows = candidate(REASON=-1)
    submission.leave(rows, 1, TRACE, TRIGGER_NS, SEED, NOW_NS, touches(), facts.account, out, 2)
    order_id = ids.order_id_of(SEED, 255, TRACE, 255, 0)
    assert out[2:4].tolist() == [
        expected(Kind.DECISION, order_id=order_id, **TERMS, **SEEN),
        expected(
            Kind.NEW_ORDER,
            order_id=order_id,
            **TERMS,
            budget=6_120_001,
            salt=ids.salt(order_id),
            timestamp_ms=NOW_NS // 1_000_000,
            trigger_ns=TRIGGER_NS,
            decided_ns=NOW_NS,
            tick=TICK_NOW,
            tif=2,
            post_only=1,
        ),
    ]
    assert (out[[0, 1, 4]] == -1).all()
    assert rows[1, candidates.REASON] == 0
    assert rows[1, candidates.ORDER_ID].view(np.uint64) == order_id
    assert (facts.account[OPENED], facts.account[RING]) == (1, NOW_NS)


def test_a_refusal_is_told_as_the_wire_has_it() -> None:
    """A DECISION with its reason and no order."""
    out = np.full((1, 16), -1, np.int64)
    rows = candidate(REASON=40_000)
    submission.write_decision(rows, 1, TRACE, NOW_NS, touches(), out, 0)
    assert out.tolist() == [expected(Kind.DECISION, reason=40_000, **TERMS, **SEEN)]
