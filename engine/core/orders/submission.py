"""A candidate as records: the DECISION that tells of it and the NEW_ORDER that sends it. Jitted.

Where a field lies is taken from the wire's own description of the record.
"""

from __future__ import annotations

from numba import int64, njit, uint64, void

from engine.core.orders.candidates import (
    EDGE,
    INSTRUMENT,
    LEG,
    NOTIONAL,
    ORDER_ID,
    POST_ONLY,
    PRICE,
    REASON,
    SIDE,
    SIZE,
    SPENDS,
    STRATEGY,
    TIF,
)
from engine.core.orders.ids import order_id_of, salt
from engine.core.risk.gates import opening
from engine.core.world.books import ASK, BID, LOCAL_NS, TICK
from engine.core.world.facts import (
    BEST_BUY,
    BEST_SELL,
    BUYS,
    EXPOSURE,
    MARKET,
    OPENED,
    OWN_COLUMNS,
    OWN_SELLS,
    RATE_MAX,
    RESERVED,
    RING,
    SELLS,
    TOTAL_EXPOSURE,
    WORKING,
)
from engine.wire.codes import Kind, Side, Source
from engine.wire.records import BODIES, RECORD_WORDS, pack_word0

RECORDS = 2  # what an order leaves as: its DECISION, then its NEW_ORDER
NS_PER_MS = 1_000_000
_TRACE, _LOCAL_NS = 1, 3  # words of every header
_SELL = int(Side.SELL)
_DECISION = int(pack_word0(Kind.DECISION, Source.CORE, 0, 0))
_NEW_ORDER = int(pack_word0(Kind.NEW_ORDER, Source.CORE, 0, 0))


def _place(kind: Kind, field: str) -> tuple[int, int]:
    """Return the word of a record that holds a field, and how far up in it the field begins."""
    fields = BODIES[kind].fields
    assert fields is not None, f"a kind without fields: kind={kind}"
    word, byte = divmod(int(fields[field][1]), 8)
    return word, 8 * byte


_D_ID, _ = _place(Kind.DECISION, "order_id")
_D_PRICE, _ = _place(Kind.DECISION, "price")
_D_SIZE, _ = _place(Kind.DECISION, "size")
_D_EDGE, _ = _place(Kind.DECISION, "edge")
_D_BID, _D_BID_AT = _place(Kind.DECISION, "bid")
_D_ASK, _D_ASK_AT = _place(Kind.DECISION, "ask")
_D_AGE_NS, _ = _place(Kind.DECISION, "book_age_ns")
_D_REASON, _D_REASON_AT = _place(Kind.DECISION, "reason")
_D_STRATEGY, _D_STRATEGY_AT = _place(Kind.DECISION, "strategy")
_D_SIDE, _D_SIDE_AT = _place(Kind.DECISION, "side")
_D_LEG, _D_LEG_AT = _place(Kind.DECISION, "leg")
_O_ID, _ = _place(Kind.NEW_ORDER, "order_id")
_O_PRICE, _ = _place(Kind.NEW_ORDER, "price")
_O_SIZE, _ = _place(Kind.NEW_ORDER, "size")
_O_BUDGET, _ = _place(Kind.NEW_ORDER, "budget")
_O_SALT, _ = _place(Kind.NEW_ORDER, "salt")
_O_TIMESTAMP_MS, _ = _place(Kind.NEW_ORDER, "timestamp_ms")
_O_TRIGGER_NS, _ = _place(Kind.NEW_ORDER, "trigger_ns")
_O_DECIDED_NS, _ = _place(Kind.NEW_ORDER, "decided_ns")
_O_TICK, _O_TICK_AT = _place(Kind.NEW_ORDER, "tick")
_O_SIDE, _O_SIDE_AT = _place(Kind.NEW_ORDER, "side")
_O_TIF, _O_TIF_AT = _place(Kind.NEW_ORDER, "tif")
_O_POST_ONLY, _O_POST_ONLY_AT = _place(Kind.NEW_ORDER, "post_only")
_O_STRATEGY, _O_STRATEGY_AT = _place(Kind.NEW_ORDER, "strategy")
_O_LEG, _O_LEG_AT = _place(Kind.NEW_ORDER, "leg")


@njit(forceinline=True, error_model="numpy", _nrt=False)
def _begin(word0, c, k, trace, now_ns, out, at):  # type: ignore[no-untyped-def]
    """Clear a record and write its header."""
    for word in range(RECORD_WORDS):
        out[at, word] = 0
    out[at, 0] = word0 | c[k, INSTRUMENT] << 32
    out[at, _TRACE] = trace
    out[at, _LOCAL_NS] = now_ns


@njit(
    void(int64[:, ::1], int64, int64, int64, int64[:, ::1], int64[:, ::1], int64),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def write_decision(c, k, trace, now_ns, tops, out, at):  # type: ignore[no-untyped-def]
    """Hot path. Write the DECISION of a candidate, with its ORDER_ID and REASON, at row `at`."""
    _begin(_DECISION, c, k, trace, now_ns, out, at)
    i = c[k, INSTRUMENT]
    out[at, _D_ID] = c[k, ORDER_ID]
    out[at, _D_PRICE] = c[k, PRICE]
    out[at, _D_SIZE] = c[k, SIZE]
    out[at, _D_EDGE] = c[k, EDGE]
    out[at, _D_BID] |= tops[i, BID] << _D_BID_AT
    out[at, _D_ASK] |= tops[i, ASK] << _D_ASK_AT
    out[at, _D_AGE_NS] = now_ns - tops[i, LOCAL_NS]
    out[at, _D_REASON] |= c[k, REASON] << _D_REASON_AT
    out[at, _D_STRATEGY] |= c[k, STRATEGY] << _D_STRATEGY_AT
    out[at, _D_SIDE] |= c[k, SIDE] << _D_SIDE_AT
    out[at, _D_LEG] |= c[k, LEG] << _D_LEG_AT


@njit(forceinline=True, error_model="numpy", _nrt=False)
def leave(c, k, trace, trigger_ns, seed, now_ns, tops, account, out, at):  # type: ignore[no-untyped-def]
    """Hot path. Let a candidate leave that has passed its gates: id, both records, its second.

    seed: splitmix64 of the run's.
    """
    order_id = order_id_of(seed, c[k, STRATEGY], trace, c[k, LEG], 0)
    c[k, REASON] = 0
    c[k, ORDER_ID] = int64(order_id)
    write_decision(c, k, trace, now_ns, tops, out, at)
    at += 1
    _begin(_NEW_ORDER, c, k, trace, now_ns, out, at)
    out[at, _O_ID] = int64(order_id)
    out[at, _O_PRICE] = c[k, PRICE]
    out[at, _O_SIZE] = c[k, SIZE]
    out[at, _O_BUDGET] = c[k, SPENDS]
    out[at, _O_SALT] = int64(salt(order_id))
    out[at, _O_TIMESTAMP_MS] = now_ns // NS_PER_MS
    out[at, _O_TRIGGER_NS] = trigger_ns
    out[at, _O_DECIDED_NS] = now_ns
    out[at, _O_TICK] |= tops[c[k, INSTRUMENT], TICK] << _O_TICK_AT
    out[at, _O_SIDE] |= c[k, SIDE] << _O_SIDE_AT
    out[at, _O_TIF] |= c[k, TIF] << _O_TIF_AT
    out[at, _O_POST_ONLY] |= c[k, POST_ONLY] << _O_POST_ONLY_AT
    out[at, _O_STRATEGY] |= c[k, STRATEGY] << _O_STRATEGY_AT
    out[at, _O_LEG] |= c[k, LEG] << _O_LEG_AT
    account[RING + account[OPENED] % account[RATE_MAX]] = now_ns
    account[OPENED] += 1


@njit(forceinline=True, error_model="numpy", _nrt=False)
def reserve(c, k, facts, account):  # type: ignore[no-untyped-def]
    """Count a candidate as exposure: from now on every gate sees it."""
    i = c[k, INSTRUMENT]
    account[WORKING] += 1
    if c[k, SIDE] == _SELL:
        facts[i, SELLS] += c[k, SIZE]
        facts[i, OWN_SELLS + OWN_COLUMNS * c[k, STRATEGY]] += c[k, SIZE]
        facts[i, BEST_SELL] = min(facts[i, BEST_SELL], c[k, PRICE])
    else:
        facts[i, BUYS] += c[k, NOTIONAL]
        facts[i, BEST_BUY] = max(facts[i, BEST_BUY], c[k, PRICE])
        facts[facts[i, MARKET], EXPOSURE] += c[k, NOTIONAL]
        account[RESERVED] += c[k, NOTIONAL]
        account[TOTAL_EXPOSURE] += c[k, NOTIONAL]


@njit(
    int64(int64[:, ::1], int64, int64, int64[:, ::1], int64[:, ::1], int64[::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def admit(c, count, now_ns, tops, facts, account):  # type: ignore[no-untyped-def]
    """Hot path. Ask every gate for `count` candidates and reserve all, or none.

    Returns the row of the first one refused, whose REASON then says why, or `count`.
    """
    for k in range(count):
        reason = opening(c, k, tops, facts, account, now_ns)
        if reason != 0:
            c[k, REASON] = reason
            return k
    for k in range(count):
        reserve(c, k, facts, account)
    return count


@njit(
    int64(
        int64[:, ::1],
        int64,
        int64,
        int64,
        int64,
        int64,
        uint64,
        int64[:, ::1],
        int64[:, ::1],
        int64[::1],
        int64[:, ::1],
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def submit(c, count, trace, trigger_ns, at, now_ns, seed, tops, facts, account, out):  # type: ignore[no-untyped-def]
    """Hot path. Ask every gate for `count` candidates; reserve them and let all leave, or none.

    Writes RECORDS rows of `out` a candidate, the first at row `at`.  Returns what `admit` does.
    """
    row = admit(c, count, now_ns, tops, facts, account)
    if row == count:
        for k in range(count):
            leave(c, k, trace, trigger_ns, seed, now_ns, tops, account, out, at + RECORDS * k)
    return row
