"""The jitted part of armed takes: which limit the touch has come to, and the records that leave.

The records were written when the take was armed; what they still lack is the cause, the time, the
touch and the ids that follow from the cause. Nothing here decides anything.
"""

from __future__ import annotations

from numba import int64, njit, uint64

from engine.core.orders.ids import SALT_BITS
from engine.core.outbox import NS_PER_MS
from engine.core.world.books import ASK, BID, CERTIFIED, LIVE, LOCAL_NS, STATE, TRACE
from engine.wire.codes import Kind, Side
from engine.wire.records import BODIES

# Columns of `armed`.
INSTRUMENT = 0
SIDE = 1
LIMIT = 2
ARMED_COLUMNS = 3
HIT_COLUMNS = 3

# What an armed take leaves as, in this order.
DECISION, NEW_ORDER = 0, 1
RECORDS = 2

_BUY = int(Side.BUY)
_TRACE_WORD, _LOCAL_NS_WORD = 1, 3


def _word(kind: Kind, field: str) -> int:
    """Return the word of a record that holds, or begins with, this field."""
    fields = BODIES[kind].fields
    assert fields is not None, f"a kind without fields: kind={kind}"
    return int(fields[field][1]) // 8


_DECISION_ID = _word(Kind.DECISION, "order_id")
_DECISION_TOUCH = _word(Kind.DECISION, "bid")  # the low half; the high half is `ask`
_DECISION_AGE_NS = _word(Kind.DECISION, "book_age_ns")
_ORDER_ID = _word(Kind.NEW_ORDER, "order_id")
_SALT = _word(Kind.NEW_ORDER, "salt")
_TIMESTAMP_MS = _word(Kind.NEW_ORDER, "timestamp_ms")
_TRIGGER_NS = _word(Kind.NEW_ORDER, "trigger_ns")
_DECIDED_NS = _word(Kind.NEW_ORDER, "decided_ns")


@njit(
    int64(int64[:, ::1], int64, int64[:, ::1], int64[::1], int64, int64[:, ::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def look(armed, count, tops, dirty, oldest_ns, hits):  # type: ignore[no-untyped-def]
    """Hot path. Write the rows of `armed` whose limit the touch has come to; return how many.

    Only books that have changed, are certified and no older than `oldest_ns` are looked at; `dirty`
    is left as it is.  hits: int64[capacity, 3], (row, TRACE, LOCAL_NS of the book) a hit.
    """
    n = 0
    for k in range(count):
        instrument = armed[k, INSTRUMENT]
        if dirty[instrument] == 0:
            continue
        if tops[instrument, STATE] != LIVE or tops[instrument, CERTIFIED] != 1:
            continue
        if tops[instrument, LOCAL_NS] < oldest_ns:
            continue
        limit = armed[k, LIMIT]
        if armed[k, SIDE] == _BUY:
            hit = tops[instrument, ASK] <= limit
        else:
            hit = tops[instrument, BID] >= limit
        if hit:
            hits[n, 0] = k
            hits[n, 1] = tops[instrument, TRACE]
            hits[n, 2] = tops[instrument, LOCAL_NS]
            n += 1
    return n


@njit(uint64(uint64), cache=True, error_model="numpy", _nrt=False)
def splitmix64(x):  # type: ignore[no-untyped-def]
    """Return what `engine.core.orders.ids.splitmix64` does."""
    x = x + uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))


@njit(
    uint64(
        int64[:, :, ::1], int64, int64[:, ::1], int64, int64, uint64, int64, int64[:, ::1], int64
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def leave(records, k, tops, instrument, strategy, seed, now_ns, out, at):  # type: ignore[no-untyped-def]
    """Hot path. Write what armed take `k` leaves as into `out` from row `at`; return its order id.

    records: int64[capacity, RECORDS, 16].  seed: splitmix64 of the run's.  The id is that of
    `ids.order_id` for leg 0 and attempt 0, the salt that of `ids.salt`.
    """
    trace = tops[instrument, TRACE]
    order_id = splitmix64(uint64(trace << 24 | strategy << 16) ^ seed)
    for r in range(RECORDS):
        for w in range(records.shape[2]):
            out[at + r, w] = records[k, r, w]
        out[at + r, _TRACE_WORD] = trace
        out[at + r, _LOCAL_NS_WORD] = now_ns
    local_ns = tops[instrument, LOCAL_NS]
    decision = at + DECISION
    out[decision, _DECISION_ID] = int64(order_id)
    out[decision, _DECISION_TOUCH] = tops[instrument, ASK] << 32 | tops[instrument, BID]
    out[decision, _DECISION_AGE_NS] = now_ns - local_ns
    order = at + NEW_ORDER
    out[order, _ORDER_ID] = int64(order_id)
    out[order, _SALT] = int64(splitmix64(order_id) >> uint64(64 - SALT_BITS))
    out[order, _TIMESTAMP_MS] = now_ns // NS_PER_MS
    out[order, _TRIGGER_NS] = local_ns
    out[order, _DECIDED_NS] = now_ns
    return order_id
