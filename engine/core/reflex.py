"""The reflex: from the rows of a tick to the orders that were armed for it, in one jitted call.

```
rows ─▶ books ─▶ has the touch of an armed take's book come to its limit? ─yes─▶ gates ─▶ records
                                                                          └no──▶ triggers to ask by
```
Nothing is asked of Python between: an armed take was decided, gated and paid for before the tick.
What it means for orders, legs and events is seen to when the records have left.
"""

from __future__ import annotations

from numba import int64, njit, uint64

from engine.core.kernel import apply_market_data, wake
from engine.core.orders.candidates import INSTRUMENT, PRICE, REASON, SIDE
from engine.core.orders.submission import RECORDS, leave
from engine.core.risk.gates import firing
from engine.core.world.books import ASK, BID, CERTIFIED, LIVE, LOCAL_NS, STATE, TRACE
from engine.core.world.facts import BOOK_AGE_NS_MAX
from engine.wire.codes import Side

_BUY = int(Side.BUY)
WAITS = -1  # REASON of an armed take that has not been hit
FIRED = 1 << 32  # more than there are markets


@njit(
    int64(
        int64[:, ::1],
        int64,
        int64[:, ::1],
        int64[::1],
        uint64,
        int64,
        int64[:, ::1],
        int64[::1],
        int64[:, ::1],
        int64,
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def fire(armed, count, tops, dirty, seed, now_ns, facts, account, out, at):  # type: ignore[no-untyped-def]
    """Hot path. Let the armed takes leave whose limit the touch has come to; return how many have
    left, or, where a gate has refused one that was hit, -1 less that number.

    armed: int64[capacity, candidates.COLUMNS], of which `count` are in use; REASON says what became
    of each.  Only books that have changed (`dirty`), are certified and fresh are looked at.
    """
    left = 0
    is_refused = False
    oldest_ns = now_ns - account[BOOK_AGE_NS_MAX]
    for k in range(count):
        i = armed[k, INSTRUMENT]
        if dirty[i] == 0 or tops[i, STATE] != LIVE or tops[i, CERTIFIED] != 1:
            continue
        if tops[i, LOCAL_NS] < oldest_ns:
            continue
        limit = armed[k, PRICE]
        is_buy = armed[k, SIDE] == _BUY
        if (is_buy and tops[i, ASK] > limit) or (not is_buy and tops[i, BID] < limit):
            continue
        armed[k, REASON] = firing(armed, k, tops, facts, account, now_ns)
        if armed[k, REASON] == 0:
            trace, trigger_ns = tops[i, TRACE], tops[i, LOCAL_NS]
            leave(armed, k, trace, trigger_ns, seed, now_ns, tops, account, out, at)
            at += RECORDS
            left += 1
        else:
            is_refused = True
    return -1 - left if is_refused else left


@njit(
    int64(
        int64[:, ::1],
        int64,
        int64,
        int64,
        int64,
        int64,
        int64,
        int64,
        int64[:, ::1],
        int64[:, :, ::1],
        uint64[:, :, ::1],
        int64[:, ::1],
        int64[::1],
        int64[:, ::1],
        uint64,
        int64[:, ::1],
        int64[::1],
        int64[:, ::1],
        int64[:, ::1],
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def react(  # type: ignore[no-untyped-def]
    rows,
    start,
    stop,
    base_sequence,
    now_ns,
    armed_count,
    market_count,
    at,
    out,
    sizes,
    bits,
    tops,
    dirty,
    armed,
    seed,
    facts,
    account,
    triggers,
    hits,
):
    """Hot path. Apply market data rows from `start` on and, when all have been, fire what is armed.

    Returns the first row that is no market data, for Python to apply; when there is none, `stop` +
    the markets to be woken (`kernel.wake`), or `stop` + FIRED + the armed takes that have left, or,
    where one was refused, the negative number that `fire` returns.
    """
    i = apply_market_data(rows, start, stop, base_sequence, sizes, bits, tops, dirty)
    if i < stop:
        return i
    left = fire(armed, armed_count, tops, dirty, seed, now_ns, facts, account, out, at)
    if left < 0:
        return left
    if left > 0:
        return stop + FIRED + left
    return stop + wake(triggers, market_count, tops, dirty, hits)
