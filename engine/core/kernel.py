"""The jitted inner step: a batch of rows → books → triggers hit.

One call per batch (`engine/wire/records.py` draws the rows). The kernel applies market data in
place and stops at the first row that is not market data, which `engine.py` then handles by name;
so the order of facts is the order of the tape.

`_nrt=False`: numba does not count references to the arrays here. It would with every function an
array is handed to, atomically, which cost four times what applying a row does; the caller's own
references outlive the call, and nothing here makes an array.
"""

from __future__ import annotations

from numba import int64, njit, uint64, void

from engine.core.world.books import (
    ASK,
    AWAITING_SNAPSHOT,
    BID,
    CERTIFIED,
    LAST_TRADE,
    LIVE,
    LOADING,
    LOCAL_NS,
    PAIR,
    REJECTED,
    STATE,
    TRACE,
    VENUE_NS,
)
from engine.math.bits import count_leading_zeros, count_trailing_zeros
from engine.math.fees import COST_UNIT, cost_buy
from engine.math.units import MICROS, PRICE_CELLS, PRICE_UNIT
from engine.wire.codes import Flag, Kind
from engine.wire.records import BODY_WORD, LEVELS_PER_RECORD

_LEVELS, _BBO, _TRADE = int(Kind.LEVELS), int(Kind.BBO), int(Kind.TRADE)
_DECISION = int(Kind.DECISION)
_RESET, _LAST, _TOUCH = int(Flag.RESET), int(Flag.LAST), int(Flag.TOUCH)
_CLAIM_WORD = BODY_WORD + 2 * LEVELS_PER_RECORD
_LOW32 = 0xFFFF_FFFF
NO_PRICE = -1

# Columns of `triggers`: wake market `MARKET` when its condition holds.
MARKET = 0
UP = 1
DOWN = 2
RATE_PPM = 3  # fee of the market, ppm
PAIR_EDGE = 4  # wake when a full set bought at the touch earns at least this many micros
MOVED = 5  # 1 = also wake whenever a touch differs from the reference below
REF_UP_BID = 6
REF_UP_ASK = 7
REF_DOWN_BID = 8
REF_DOWN_ASK = 9
TRIGGER_COLUMNS = 10
HIT_COLUMNS = 3


@njit(
    void(int64[:, :, ::1], uint64[:, :, ::1], int64[:, ::1], int64),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def clear(sizes, bits, tops, instrument):  # type: ignore[no-untyped-def]
    """Empty both sides of one book, visiting only occupied cells."""
    for side in range(2):
        for w in range(bits.shape[2]):
            word = bits[instrument, side, w]
            while word != 0:
                rank = w * 64 + count_trailing_zeros(word)
                cell = rank if side == 0 else PRICE_CELLS - 1 - rank
                sizes[instrument, side, cell] = 0
                word &= word - uint64(1)
            bits[instrument, side, w] = 0
    tops[instrument, BID] = 0
    tops[instrument, ASK] = MICROS


@njit(forceinline=True, error_model="numpy", _nrt=False)
def highest_rank(bits, instrument, side, w):  # type: ignore[no-untyped-def]
    """Return the rank of the best level in words 0..w of one side's bitmap, 0 if none."""
    word = bits[instrument, side, w]
    while word == 0:
        if w == 0:
            return 0
        w -= uint64(1)
        word = bits[instrument, side, w]
    return int64(w) * 64 + 63 - count_leading_zeros(word)


@njit(forceinline=True, error_model="numpy", _nrt=False)
def set_level(sizes, bits, tops, instrument, side, cell, size):  # type: ignore[no-untyped-def]
    """Set the absolute size at one price; the touch follows.

    Both sides take the same steps on ranks, and what a coin toss decides (the side, whether a level
    is removed) selects values, not paths: a branch guessed wrong costs more than all of this.
    """
    sign = 1 - 2 * side
    rank = side * (PRICE_CELLS - 1) + sign * cell
    w = uint64(rank) >> uint64(6)
    bit = uint64(1) << uint64(rank & 63)
    word = bits[instrument, side, w]
    bits[instrument, side, w] = word | bit if size > 0 else word & ~bit
    sizes[instrument, side, cell] = size
    price = cell * PRICE_UNIT
    removed = price if size == 0 else NO_PRICE
    best = tops[instrument, side]
    if best == removed:
        best = side * MICROS + sign * highest_rank(bits, instrument, side, w) * PRICE_UNIT
    else:
        best = price if (size > 0) & (sign * (price - best) > 0) else best
    tops[instrument, side] = best


@njit(forceinline=True, error_model="numpy", _nrt=False)
def apply_levels(rows, i, sequence, sizes, bits, tops):  # type: ignore[no-untyped-def]
    """Apply one LEVELS row: absolute sizes, then the venue's claim about the touch."""
    header = rows[i, 0]
    flags = (header >> 24) & 0xFF
    instrument = (header >> 32) & _LOW32
    if flags & _RESET:
        clear(sizes, bits, tops, instrument)
        tops[instrument, STATE] = LOADING
        tops[instrument, CERTIFIED] = 0
    elif tops[instrument, STATE] == AWAITING_SNAPSHOT:
        tops[instrument, REJECTED] += 1
        return
    for k in range(LEVELS_PER_RECORD):
        word = rows[i, BODY_WORD + 2 * k]
        price = word & _LOW32
        if price == 0:
            break
        size = rows[i, BODY_WORD + 2 * k + 1]
        side = (word >> 32) & 0xFF
        cell = price // PRICE_UNIT
        if cell * PRICE_UNIT != price or price >= MICROS or size < 0 or side > 1:
            tops[instrument, REJECTED] += 1
            tops[instrument, STATE] = AWAITING_SNAPSHOT
            tops[instrument, CERTIFIED] = 0
            continue
        set_level(sizes, bits, tops, instrument, side, cell, size)
    tops[instrument, VENUE_NS] = rows[i, 2]
    tops[instrument, LOCAL_NS] = rows[i, 3]
    tops[instrument, TRACE] = sequence
    if flags & _LAST and tops[instrument, STATE] != AWAITING_SNAPSHOT:
        if tops[instrument, BID] > 0 and tops[instrument, ASK] < MICROS:
            tops[instrument, PAIR] = tops[instrument, BID] + tops[instrument, ASK]
        certified = tops[instrument, BID] < tops[instrument, ASK]
        if flags & _TOUCH:
            claim = rows[i, _CLAIM_WORD]
            certified = (
                certified
                and tops[instrument, BID] == claim & _LOW32
                and tops[instrument, ASK] == (claim >> 32) & _LOW32
            )
        tops[instrument, STATE] = LIVE
        tops[instrument, CERTIFIED] = 1 if certified else 0


@njit(
    int64(
        int64[:, ::1],
        int64,
        int64,
        int64,
        int64[:, :, ::1],
        uint64[:, :, ::1],
        int64[:, ::1],
        int64[::1],
    ),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def apply_market_data(rows, start, stop, base_sequence, sizes, bits, tops, dirty):  # type: ignore[no-untyped-def]
    """Hot path. Apply market data rows from `start` on; return the first row that is none.

    dirty: int64[instruments], set to 1 for every book touched.  Rows of unknown instruments are
    skipped: their INSTRUMENT record has not been accepted.
    """
    instruments = tops.shape[0]
    for k in range(start, stop):
        i = uint64(k)  # a signed index is tested for "from the end", at every row
        header = rows[i, 0]
        kind = header & 0xFFFF
        if kind != _LEVELS and kind != _TRADE and kind != _BBO:
            return k
        instrument = (header >> 32) & _LOW32
        if instrument == 0 or instrument >= instruments:
            continue
        if kind == _LEVELS:
            apply_levels(rows, i, base_sequence + k, sizes, bits, tops)
            dirty[instrument] = 1
        elif kind == _TRADE:
            tops[instrument, LAST_TRADE] = rows[i, BODY_WORD]
    return stop


@njit(
    int64(int64[:, ::1], int64, int64[:, ::1], int64[::1], int64[:, ::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def wake(triggers, count, tops, dirty, hits):  # type: ignore[no-untyped-def]
    """Hot path. Write the markets whose trigger condition holds into `hits`; return how many.

    Only markets with a dirty book are looked at, and `dirty` is cleared behind; the touch a hit was
    for becomes the reference. A pair trigger needs both touches certified: a cross inside an
    unfinished run of frames is no arbitrage.
    hits: int64[markets, 3], a row (market, TRACE, LOCAL_NS of the book that changed last) a hit.
    """
    n = 0
    for t in range(count):
        up = triggers[t, UP]
        down = triggers[t, DOWN]
        if dirty[up] == 0 and dirty[down] == 0:
            continue
        dirty[up] = 0
        dirty[down] = 0
        hit = False
        if triggers[t, MOVED] == 1:
            hit = (
                tops[up, BID] != triggers[t, REF_UP_BID]
                or tops[up, ASK] != triggers[t, REF_UP_ASK]
                or tops[down, BID] != triggers[t, REF_DOWN_BID]
                or tops[down, ASK] != triggers[t, REF_DOWN_ASK]
            )
        if not hit and tops[up, CERTIFIED] == 1 and tops[down, CERTIFIED] == 1:
            rate = triggers[t, RATE_PPM]
            cost = cost_buy(tops[up, ASK], rate) + cost_buy(tops[down, ASK], rate)
            edge = COST_UNIT - cost
            hit = edge > triggers[t, PAIR_EDGE] * (COST_UNIT // MICROS)
        if hit:
            triggers[t, REF_UP_BID] = tops[up, BID]
            triggers[t, REF_UP_ASK] = tops[up, ASK]
            triggers[t, REF_DOWN_BID] = tops[down, BID]
            triggers[t, REF_DOWN_ASK] = tops[down, ASK]
            latest = up if tops[up, TRACE] >= tops[down, TRACE] else down
            hits[n, 0] = triggers[t, MARKET]
            hits[n, 1] = tops[latest, TRACE]
            hits[n, 2] = tops[latest, LOCAL_NS]
            n += 1
    return n


@njit(
    int64(int64[:, ::1], int64[:, ::1]),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def pick_commands(out, commands):  # type: ignore[no-untyped-def]
    """Hot path. Copy what the signer is to be told into `commands`; return how many records.

    out: int64[m, 16], what a step returned: DECISIONs are for the tape alone.
    """
    n = 0
    for i in range(out.shape[0]):
        if out[i, 0] & 0xFFFF != _DECISION:
            for k in range(out.shape[1]):
                commands[n, k] = out[i, k]
            n += 1
    return n
