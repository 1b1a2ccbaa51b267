"""The market channel's two frequent frames, from bytes to records in one jitted call.

A `book` (alone or in an array) or a `price_change` becomes LEVELS records in the wire's own layout,
exact integers all the way, nothing allocated, no object made. Keys may come in any order and the
text compact or spaced; anything the scanner does not know makes it answer NOT_PLAIN, and
`feeds.clob_market` reads the frame again with a slower, more patient decoder. It never guesses.

```
book          RESET [5 levels] · [5 levels] · [n levels, claim] LAST TOUCH
price_change  for each token, in the order they appear: [5 levels] · [n levels, claim] LAST TOUCH
```
Source of the formats: the venue's AsyncAPI description; recorded frames are in the contract tests.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types

from engine.wire.codes import Flag, Kind, Side, Source
from engine.wire.records import (
    BODY_WORD,
    LEVELS_PER_RECORD,
    RECORD_WORDS,
    pack_word0,
)
from feeds.json_walk import (
    Pair,
    after_value,
    key_at,
    list_begin,
    name_word,
    string_at,
    word_of,
)
from feeds.text import (
    Text,
    hash_prefix_in,
    integer_in,
    micros_in,
    skip_space,
)
from feeds.token_table import (
    BOOKS,
    FILLED,
    OBJECTS,
    OPEN_ROW,
    OPENED_BY,
    TICK,
    find_token,
)

NOT_PLAIN = -1
LEVELS_PER_BOOK_MAX = 20_000  # both sides; the finest grid has 9,999 prices
MICROS = 1_000_000
PRICE_UNIT = 100  # no tick is finer than 0.0001
MILLISECONDS_DIGITS = 13

CLAIM_WORD = BODY_WORD + 2 * LEVELS_PER_RECORD
HASH_WORD = CLAIM_WORD + 1
EMPTY_CLAIM = MICROS << 32  # no bid, no ask
HEADER = pack_word0(Kind.LEVELS, Source.CLOB_MARKET, 0, 0)
RESET, LAST_TOUCH = Flag.RESET << 24, (Flag.LAST | Flag.TOUCH) << 24

_BID, _ASK = int(Side.BUY), int(Side.SELL)
_OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = 0x5B, 0x5D, 0x7B, 0x7D


_PRICE, _SIZE, _SIDE, _HASH = word_of("price"), word_of("size"), word_of("side"), word_of("hash")
_BIDS, _ASKS, _MARKET, _ASSET_ID = (
    word_of("bids"),
    word_of("asks"),
    word_of("market"),
    word_of("asset_id"),
)
_BEST_BID, _BEST_ASK, _TIMESTAMP = word_of("best_bid"), word_of("best_ask"), word_of("timestamp")
_TICK_SIZE, _EVENT_TYPE, _CHANGES = (
    word_of("tick_size"),
    word_of("event_type"),
    word_of("price_changes"),
)
_BUY, _SELL = word_of("BUY"), word_of("SELL")
_BOOK, _PRICE_CHANGE = word_of("book"), word_of("price_change")

# Which keys of an object were seen; a second time is not plain.
_SAW_ASSET, _SAW_TIME, _SAW_HASH, _SAW_BIDS, _SAW_ASKS = 1, 2, 4, 8, 16
_SAW_TICK, _SAW_EVENT, _SAW_CHANGES, _SAW_PRICE, _SAW_SIZE = 32, 64, 128, 256, 512
_SAW_SIDE, _SAW_BEST_BID, _SAW_BEST_ASK, _SAW_MARKET = 1024, 2048, 4096, 8192
_BOOK_KEYS = _SAW_ASSET | _SAW_TIME | _SAW_HASH | _SAW_BIDS | _SAW_ASKS | _SAW_EVENT
_CHANGE_KEYS = (
    _SAW_ASSET | _SAW_PRICE | _SAW_SIZE | _SAW_SIDE | _SAW_HASH | _SAW_BEST_BID | _SAW_BEST_ASK
)
_CHANGES_KEYS = _SAW_TIME | _SAW_CHANGES | _SAW_EVENT

_Rows = int64[:, ::1]


@njit(inline="always")
def _level(text, i):  # type: ignore[no-untyped-def]
    """Return (index after the level object at i, price, size), or (-1, 0, 0)."""
    i = skip_space(text, i)
    if i >= text.shape[0] or text[i] != _OPEN:
        return -1, 0, 0
    i += 1
    price = -1
    size = -1
    closed = 0
    while closed == 0:
        name, length, i = key_at(text, i)
        if i < 0:
            return -1, 0, 0
        first, end = string_at(text, i)
        if end < 0:
            return -1, 0, 0
        value = micros_in(text, first, end)
        if value < 0:
            return -1, 0, 0
        if name == _PRICE and length == 5 and price < 0:
            price = value
        elif name == _SIZE and length == 4 and size < 0:
            size = value
        else:
            return -1, 0, 0
        i, closed = after_value(text, end + 1, _CLOSE)
        if i < 0:
            return -1, 0, 0
    if size < 0 or price <= 0 or price >= MICROS or price % PRICE_UNIT != 0:
        return -1, 0, 0
    return i, price, size


@njit(types.UniTuple(int64, 4)(Text, int64, int64, int64, int64, int64, _Rows), cache=True)
def _book_side(text, i, side, begin, levels, best, out):  # type: ignore[no-untyped-def]
    """Put one side's levels behind the `levels` already in rows `begin`... of out.

    Return (index after the list, levels, best, 0), or (-1, ...).
    """
    i, closed = list_begin(text, i)
    if i < 0:
        return -1, levels, best, 0
    while closed == 0:
        i, price, size = _level(text, i)
        if i < 0 or levels >= LEVELS_PER_BOOK_MAX:
            return -1, levels, best, 0
        row = begin + levels // LEVELS_PER_RECORD
        place = levels % LEVELS_PER_RECORD
        if row >= out.shape[0]:
            return -1, levels, best, 0
        if place == 0:
            for k in range(RECORD_WORDS):
                out[row, k] = 0
        out[row, BODY_WORD + 2 * place] = price | side << 32
        out[row, BODY_WORD + 2 * place + 1] = size
        levels += 1
        if size > 0 and ((price > best) if side == _BID else (price < best)):
            best = price
        i, closed = after_value(text, i, _CLOSE_LIST)
        if i < 0:
            return -1, levels, best, 0
    return i, levels, best, 0


@njit(Pair(Text, int64, int64, int64, int64[::1], _Rows, _Rows), cache=True)
def _changes(text, i, begin, stamp, slots, rows, out):  # type: ignore[no-untyped-def]
    """Put a price_changes list into rows `begin`... of out; return (index after it, next row)."""
    n_out = out.shape[0]
    m = begin
    i, closed = list_begin(text, i)
    if i < 0:
        return -1, m
    while closed == 0:
        i = skip_space(text, i)
        if i >= text.shape[0] or text[i] != _OPEN:
            return -1, m
        i += 1
        seen = 0
        index = 0
        price = 0
        size = 0
        side = 0
        bid = 0
        ask = 0
        prefix = np.uint64(0)
        ended = 0
        while ended == 0:
            name, length, i = key_at(text, i)
            if i < 0:
                return -1, m
            first, end = string_at(text, i)
            if end < 0:
                return -1, m
            bit = 0
            value = 0
            if name == _ASSET_ID and length == 8:
                bit = _SAW_ASSET
                index = find_token(text, first, end - first, slots, rows)
            elif name == _PRICE and length == 5:
                bit = _SAW_PRICE
                value = price = micros_in(text, first, end)
            elif name == _SIZE and length == 4:
                bit = _SAW_SIZE
                value = size = micros_in(text, first, end)
            elif name == _SIDE and length == 4:
                bit = _SAW_SIDE
                which = name_word(text, first, end)
                if which == _BUY and end - first == 3:
                    side = _BID
                elif which == _SELL and end - first == 4:
                    side = _ASK
                else:
                    value = -1
            elif name == _HASH and length == 4:
                bit = _SAW_HASH
                prefix, value = hash_prefix_in(text, first, end)
            elif name == _BEST_BID and length == 8:
                bit = _SAW_BEST_BID
                value = bid = micros_in(text, first, end)
            elif name == _BEST_ASK and length == 8:
                bit = _SAW_BEST_ASK
                value = ask = micros_in(text, first, end)
            if value < 0 or seen & bit:
                return -1, m
            seen |= bit
            i, ended = after_value(text, end + 1, _CLOSE)
            if i < 0:
                return -1, m
        if seen != _CHANGE_KEYS or price <= 0 or price >= MICROS or price % PRICE_UNIT != 0:
            return -1, m
        if bid > MICROS or ask > MICROS or index == 0:
            return -1, m
        if rows[index, OPENED_BY] != stamp or rows[index, FILLED] == LEVELS_PER_RECORD:
            if m >= n_out:
                return -1, m
            if rows[index, OPENED_BY] == stamp:
                out[rows[index, OPEN_ROW], CLAIM_WORD] = 0
                out[rows[index, OPEN_ROW], HASH_WORD] = 0
            for k in range(RECORD_WORDS):
                out[m, k] = 0
            out[m, 0] = HEADER | index << 32
            rows[index, OPENED_BY] = stamp
            rows[index, OPEN_ROW] = m
            rows[index, FILLED] = 0
            m += 1
        row = rows[index, OPEN_ROW]
        place = rows[index, FILLED]
        rows[index, FILLED] = place + 1
        out[row, BODY_WORD + 2 * place] = price | side << 32
        out[row, BODY_WORD + 2 * place + 1] = size
        out[row, CLAIM_WORD] = bid | ask << 32
        out[row, HASH_WORD] = int64(prefix)
        i, closed = after_value(text, i, _CLOSE_LIST)
        if i < 0:
            return -1, m
    return i, m


@njit(Pair(Text, int64, int64, int64, int64[::1], _Rows, _Rows), cache=True)
def _object(text, i, begin, local_ns, slots, rows, out):  # type: ignore[no-untyped-def]
    """Scan the event object at i into rows `begin`... of out; return (index after it, next row)."""
    i = skip_space(text, i)
    if i >= text.shape[0] or text[i] != _OPEN:
        return -1, begin
    i += 1
    rows[0, OBJECTS] += 1
    stamp = rows[0, OBJECTS]
    seen = 0
    index = 0
    venue_ms = 0
    prefix = np.uint64(0)
    tick = 0
    bid = 0
    ask = MICROS
    levels = 0
    is_book = False
    m = begin
    closed = 0
    while closed == 0:
        name, length, i = key_at(text, i)
        if i < 0:
            return -1, begin
        bit = 0
        if name == _BIDS and length == 4:
            bit = _SAW_BIDS
            i, levels, bid, _ = _book_side(text, i, _BID, begin, levels, bid, out)
        elif name == _ASKS and length == 4:
            bit = _SAW_ASKS
            i, levels, ask, _ = _book_side(text, i, _ASK, begin, levels, ask, out)
        elif name == _CHANGES and length == 13:
            bit = _SAW_CHANGES
            i, m = _changes(text, i, begin, stamp, slots, rows, out)
        else:
            first, end = string_at(text, i)
            if end < 0:
                return -1, begin
            i = end + 1
            if name == _ASSET_ID and length == 8:
                bit = _SAW_ASSET
                index = find_token(text, first, end - first, slots, rows)
            elif name == _TIMESTAMP and length == 9:
                bit = _SAW_TIME
                venue_ms = integer_in(text, first, end)
                if end - first != MILLISECONDS_DIGITS or text[first] == 0x30 or venue_ms < 0:
                    return -1, begin
            elif name == _HASH and length == 4:
                bit = _SAW_HASH
                prefix, plain = hash_prefix_in(text, first, end)
                if plain < 0:
                    return -1, begin
            elif name == _TICK_SIZE and length == 9:
                bit = _SAW_TICK
                tick = micros_in(text, first, end)
                if tick <= 0:
                    return -1, begin
            elif name == _EVENT_TYPE and length == 10:
                bit = _SAW_EVENT
                kind = name_word(text, first, end)
                if kind == _BOOK and end - first == 4:
                    is_book = True
                elif kind != _PRICE_CHANGE or end - first != 12:
                    return -1, begin
            elif name == _MARKET and length == 6:
                bit = _SAW_MARKET
            elif name in (_PRICE, _SIZE, _SIDE):
                return -1, begin
        if i < 0 or seen & bit:
            return -1, begin
        seen |= bit
        i, closed = after_value(text, i, _CLOSE)
        if i < 0:
            return -1, begin
    venue_ns = venue_ms * 1_000_000
    if is_book:
        if seen & ~(_SAW_TICK | _SAW_MARKET) != _BOOK_KEYS:
            return -1, begin
        if index == 0:
            return -1, begin
        if seen & _SAW_TICK and tick != rows[index, TICK]:
            return -1, begin  # the patient decoder announces the new tick first
        m = begin + max(1, (levels + LEVELS_PER_RECORD - 1) // LEVELS_PER_RECORD)
        if m > out.shape[0]:
            return -1, begin
        if levels == 0:
            for k in range(RECORD_WORDS):
                out[begin, k] = 0
        for row in range(begin, m):
            out[row, 0] = HEADER | index << 32
            out[row, 2] = venue_ns
            out[row, 3] = local_ns
        out[begin, 0] |= RESET
        out[m - 1, 0] |= LAST_TOUCH
        out[m - 1, CLAIM_WORD] = bid | ask << 32
        out[m - 1, HASH_WORD] = int64(prefix)
        rows[index, BOOKS] += 1
        return i, m
    if seen & ~_SAW_MARKET != _CHANGES_KEYS:
        return -1, begin
    for row in range(begin, m):
        out[row, 2] = venue_ns
        out[row, 3] = local_ns
        if rows[out[row, 0] >> 32, OPEN_ROW] == row:
            out[row, 0] |= LAST_TOUCH
    return i, m


@njit(int64(Text, int64, int64[::1], _Rows, _Rows), cache=True)
def scan(text, local_ns, slots, rows, out):  # type: ignore[no-untyped-def]
    """Hot path. Turn one frame into LEVELS records; return how many, or NOT_PLAIN.

    text: uint8[n], the frame.  local_ns: when it came.  slots, rows: of a TokenTable; an id it
    does not hold is not plain.  out: int64[m, 16]; what lies in it after NOT_PLAIN, or
    behind the answer's rows, means nothing.
    """
    n = text.shape[0]
    i = skip_space(text, 0)
    if i >= n:
        return NOT_PLAIN
    m = 0
    if text[i] == _OPEN_LIST:
        i, closed = list_begin(text, i)
        while closed == 0:
            i, m = _object(text, i, m, local_ns, slots, rows, out)
            if i < 0:
                return NOT_PLAIN
            i, closed = after_value(text, i, _CLOSE_LIST)
            if i < 0:
                return NOT_PLAIN
    else:
        i, m = _object(text, i, 0, local_ns, slots, rows, out)
        if i < 0:
            return NOT_PLAIN
    if skip_space(text, i) != n:
        return NOT_PLAIN
    return m
