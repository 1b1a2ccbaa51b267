"""The market channel's frequent frames, from bytes to records in one jitted call.

A `book` (alone or in an array), `price_change`, `last_trade_price` or `best_bid_ask` becomes
records in the wire's own layout, exact integers all the way, nothing allocated, no object made.
Keys may come in any order and the text compact or spaced; anything the scanner does not know makes
it answer NOT_PLAIN, and `feeds.clob_market` reads the frame again with a slower, more patient
decoder. It never guesses.

```
book              RESET [5 levels] · [5 levels] · [n levels, claim] LAST TOUCH
price_change      for each token, as they appear: [5 levels] · [n levels, claim] LAST TOUCH
last_trade_price  TRADE
best_bid_ask      BBO
```
`_nrt=False` here and in the modules below: numba counts no references to the arrays. It would, at
every call they are handed to, atomically: that was half the time of a frame.

Source of the formats: the venue's AsyncAPI description; recorded frames are in the contract tests.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit

from engine.wire.codes import Flag, Side
from engine.wire.records import BODY_WORD, LEVELS_PER_RECORD, RECORD_WORDS
from feeds import clob_names as names
from feeds.clob_levels import MICROS, Rows, book_side, changes_list, is_price, side_in
from feeds.json_walk import Pair, after_value, key_at, list_begin, name_word, string_at
from feeds.numbers import MILLISECONDS_END
from feeds.text import Text, hash_prefix_in, integer_in, micros_in, skip_space
from feeds.token_table import BOOKS, CLAIM, HEARD_NS, OBJECTS, OPEN_ROW, TICK, find_token

NOT_PLAIN = -1
MILLISECONDS_DIGITS = 13

_RESET, _LAST_TOUCH = Flag.RESET << 24, (Flag.LAST | Flag.TOUCH) << 24
_BID, _ASK = int(Side.BUY), int(Side.SELL)
_OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = 0x5B, 0x5D, 0x7B, 0x7D
_PRICE_CHANGE, _BOOK, _TRADE, _TOUCH = 1, 2, 3, 4


@njit(forceinline=True, _nrt=False)
def _event_in(text, first, end):  # type: ignore[no-untyped-def]
    """Return the event that text[first:end] names, -1 if it is none of ours."""
    name = name_word(text, first, end)
    length = end - first
    if name == names.PRICE_CHANGE and length == 12:
        return _PRICE_CHANGE
    if name == names.BOOK and length == 4:
        return _BOOK
    if name == names.LAST_TRADE_PRICE and length == 16:
        return _TRADE
    if name == names.BEST_BID_ASK and length == 12:
        return _TOUCH
    return -1


@njit(forceinline=True, _nrt=False)
def _end_changes(begin, m, venue_ns, local_ns, rows, out):  # type: ignore[no-untyped-def]
    """Stamp the rows of a price_change and mark the last one of each token."""
    for row in range(begin, m):
        out[row, 2] = venue_ns
        out[row, 3] = local_ns
        index = out[row, 0] >> 32
        if rows[index, OPEN_ROW] == row:
            out[row, 0] |= _LAST_TOUCH
            rows[index, HEARD_NS] = local_ns
            rows[index, CLAIM] = out[row, names.CLAIM_WORD]


@njit(forceinline=True, _nrt=False)
def _end_book(begin, levels, index, out):  # type: ignore[no-untyped-def]
    """Put the headers before a book's levels; return the next row, or -1 if they do not fit."""
    m = begin + max(1, (levels + LEVELS_PER_RECORD - 1) // LEVELS_PER_RECORD)
    if m > out.shape[0]:
        return -1
    if levels == 0:
        for k in range(RECORD_WORDS):
            out[begin, k] = 0
    for row in range(begin, m):
        out[row, 0] = names.LEVELS_HEADER | index << 32
    out[begin, 0] |= _RESET
    out[m - 1, 0] |= _LAST_TOUCH
    return m


@njit(Pair(Text, int64, int64, int64, int64[::1], Rows, Rows), cache=True, _nrt=False)
def _object(text, i, begin, local_ns, slots, rows, out):  # type: ignore[no-untyped-def]
    """Scan the event object at i into rows `begin`... of out; return (index after it, next row)."""
    i = skip_space(text, i)
    if i >= text.shape[0] or text[i] != _OPEN:
        return -1, begin
    i += 1
    rows[0, OBJECTS] += 1
    stamp = rows[0, OBJECTS]
    event = 0
    seen = 0
    index = 0
    venue_ms = 0
    prefix = np.uint64(0)
    tick = 0
    price = 0
    size = 0
    side = 0
    bid = 0
    ask = MICROS
    levels = 0
    m = begin
    closed = 0
    while closed == 0:
        name, length, i = key_at(text, i)
        if i < 0:
            return -1, begin
        bit = 0
        if name == names.BIDS and length == 4:
            bit = names.SAW_BIDS
            i, levels, bid, _ = book_side(text, i, _BID, begin, levels, bid, out)
        elif name == names.ASKS and length == 4:
            bit = names.SAW_ASKS
            i, levels, ask, _ = book_side(text, i, _ASK, begin, levels, ask, out)
        elif name == names.CHANGES and length == 13:
            bit = names.SAW_CHANGES
            i, m = changes_list(text, i, begin, stamp, slots, rows, out)
        else:
            first, end = string_at(text, i)
            if end < 0:
                return -1, begin
            i = end + 1
            value = 0
            if name == names.ASSET_ID and length == 8:
                bit = names.SAW_ASSET
                index = find_token(text, first, end - first, slots, rows)
            elif name == names.TIMESTAMP and length == 9:
                bit = names.SAW_TIME
                value = venue_ms = integer_in(text, first, end)
                if end - first != MILLISECONDS_DIGITS or text[first] == 0x30:
                    return -1, begin
                if value >= MILLISECONDS_END:
                    return -1, begin
            elif name == names.HASH and length == 4:
                bit = names.SAW_HASH
                prefix, value = hash_prefix_in(text, first, end)
            elif name == names.TICK_SIZE and length == 9:
                bit = names.SAW_TICK
                value = tick = micros_in(text, first, end)
            elif name == names.EVENT_TYPE and length == 10:
                bit = names.SAW_EVENT
                value = event = _event_in(text, first, end)
            elif name == names.MARKET and length == 6:
                bit = names.SAW_MARKET
            elif name == names.PRICE and length == 5:
                bit = names.SAW_PRICE
                value = price = micros_in(text, first, end)
            elif name == names.SIZE and length == 4:
                bit = names.SAW_SIZE
                value = size = micros_in(text, first, end)
            elif name == names.SIDE and length == 4:
                bit = names.SAW_SIDE
                value = side = side_in(text, first, end)
            elif name == names.BEST_BID and length == 8:
                bit = names.SAW_BEST_BID
                value = bid = micros_in(text, first, end)
            elif name == names.BEST_ASK and length == 8:
                bit = names.SAW_BEST_ASK
                value = ask = micros_in(text, first, end)
            if value < 0:
                return -1, begin
        if i < 0 or seen & bit:
            return -1, begin
        seen |= bit
        i, closed = after_value(text, i, _CLOSE)
        if i < 0:
            return -1, begin
    seen &= ~names.SAW_MARKET
    venue_ns = venue_ms * 1_000_000
    if event == _PRICE_CHANGE:
        if seen != names.CHANGES_KEYS:
            return -1, begin
        _end_changes(begin, m, venue_ns, local_ns, rows, out)
        return i, m
    if index == 0:
        return -1, begin
    if event == _BOOK:
        if seen & ~names.SAW_TICK != names.BOOK_KEYS:
            return -1, begin
        if seen & names.SAW_TICK and tick != rows[index, TICK]:
            return -1, begin  # the patient decoder announces the new tick first
        m = _end_book(begin, levels, index, out)
        if m < 0:
            return -1, begin
        out[m - 1, names.CLAIM_WORD] = bid | ask << 32
        out[m - 1, names.HASH_WORD] = int64(prefix)
        rows[index, BOOKS] += 1
        rows[index, CLAIM] = bid | ask << 32
    else:
        if begin >= out.shape[0]:
            return -1, begin
        m = begin + 1
        for k in range(RECORD_WORDS):
            out[begin, k] = 0
        if event == _TRADE:
            if seen != names.TRADE_KEYS or not is_price(price):
                return -1, begin
            out[begin, 0] = names.TRADE_HEADER | index << 32
            out[begin, BODY_WORD] = price
            out[begin, BODY_WORD + 1] = size
            out[begin, BODY_WORD + 2] = side
        else:
            if seen != names.TOUCH_KEYS or bid > MICROS or ask > MICROS:
                return -1, begin
            out[begin, 0] = names.TOUCH_HEADER | index << 32
            out[begin, BODY_WORD] = bid
            out[begin, BODY_WORD + 1] = ask
    rows[index, HEARD_NS] = local_ns
    for row in range(begin, m):
        out[row, 2] = venue_ns
        out[row, 3] = local_ns
    return i, m


@njit(int64(Text, int64, int64[::1], Rows, Rows), cache=True, _nrt=False)
def scan(text, local_ns, slots, rows, out):  # type: ignore[no-untyped-def]
    """Hot path. Turn one frame into records; return how many, or NOT_PLAIN.

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
