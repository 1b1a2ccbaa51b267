"""Lists of levels and of changes, from bytes to LEVELS rows; the inner half of `feeds.clob_scan`.

Every function answers with -1 in place of the next index where the text is not of the plain form.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types

from engine.wire.codes import Side
from engine.wire.records import BODY_WORD, LEVELS_PER_RECORD, RECORD_WORDS
from feeds import clob_names as names
from feeds.json_walk import Pair, after_value, key_at, list_begin, name_word, string_at
from feeds.text import Text, hash_prefix_in, micros_in, skip_space
from feeds.token_table import FILLED, OPEN_ROW, OPENED_BY, find_token

LEVELS_PER_BOOK_MAX = 20_000  # both sides; the finest grid has 9,999 prices
MICROS = 1_000_000
PRICE_UNIT = 100  # no tick is finer than 0.0001

Rows = int64[:, ::1]

_BID, _ASK = int(Side.BUY), int(Side.SELL)
_OPEN, _CLOSE, _CLOSE_LIST = 0x7B, 0x7D, 0x5D


@njit(forceinline=True, _nrt=False)
def is_price(price):  # type: ignore[no-untyped-def]
    """Return whether micros are inside (0, 1) and on the finest grid."""
    return 0 < price < MICROS and price % PRICE_UNIT == 0


@njit(forceinline=True, _nrt=False)
def side_in(text, first, end):  # type: ignore[no-untyped-def]
    """Return the Side that text[first:end] names, or -1."""
    which = name_word(text, first, end)
    if which == names.BUY and end - first == 3:
        return _BID
    if which == names.SELL and end - first == 4:
        return _ASK
    return -1


@njit(forceinline=True, _nrt=False)
def level_at(text, i):  # type: ignore[no-untyped-def]
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
        if name == names.PRICE and length == 5 and price < 0:
            price = value
        elif name == names.SIZE and length == 4 and size < 0:
            size = value
        else:
            return -1, 0, 0
        i, closed = after_value(text, end + 1, _CLOSE)
        if i < 0:
            return -1, 0, 0
    if size < 0 or not is_price(price):
        return -1, 0, 0
    return i, price, size


@njit(
    types.UniTuple(int64, 4)(Text, int64, int64, int64, int64, int64, Rows), cache=True, _nrt=False
)
def book_side(text, i, side, begin, levels, best, out):  # type: ignore[no-untyped-def]
    """Put one side's levels behind the `levels` already in rows `begin`... of out.

    Return (index after the list, levels, best, 0), or (-1, ...).
    """
    i, closed = list_begin(text, i)
    if i < 0:
        return -1, levels, best, 0
    while closed == 0:
        i, price, size = level_at(text, i)
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


@njit(Pair(Text, int64, int64, int64, int64[::1], Rows, Rows), cache=True, _nrt=False)
def changes_list(text, i, begin, stamp, slots, rows, out):  # type: ignore[no-untyped-def]
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
            if name == names.ASSET_ID and length == 8:
                bit = names.SAW_ASSET
                index = find_token(text, first, end - first, slots, rows)
            elif name == names.PRICE and length == 5:
                bit = names.SAW_PRICE
                value = price = micros_in(text, first, end)
            elif name == names.SIZE and length == 4:
                bit = names.SAW_SIZE
                value = size = micros_in(text, first, end)
            elif name == names.SIDE and length == 4:
                bit = names.SAW_SIDE
                value = side = side_in(text, first, end)
            elif name == names.HASH and length == 4:
                bit = names.SAW_HASH
                prefix, value = hash_prefix_in(text, first, end)
            elif name == names.BEST_BID and length == 8:
                bit = names.SAW_BEST_BID
                value = bid = micros_in(text, first, end)
            elif name == names.BEST_ASK and length == 8:
                bit = names.SAW_BEST_ASK
                value = ask = micros_in(text, first, end)
            if value < 0 or seen & bit:
                return -1, m
            seen |= bit
            i, ended = after_value(text, end + 1, _CLOSE)
            if i < 0:
                return -1, m
        if seen != names.CHANGE_KEYS or not is_price(price):
            return -1, m
        if bid > MICROS or ask > MICROS or index == 0:
            return -1, m
        if rows[index, OPENED_BY] != stamp or rows[index, FILLED] == LEVELS_PER_RECORD:
            if m >= n_out:
                return -1, m
            if rows[index, OPENED_BY] == stamp:
                out[rows[index, OPEN_ROW], names.CLAIM_WORD] = 0
                out[rows[index, OPEN_ROW], names.HASH_WORD] = 0
            for k in range(RECORD_WORDS):
                out[m, k] = 0
            out[m, 0] = names.LEVELS_HEADER | index << 32
            rows[index, OPENED_BY] = stamp
            rows[index, OPEN_ROW] = m
            rows[index, FILLED] = 0
            m += 1
        row = rows[index, OPEN_ROW]
        place = rows[index, FILLED]
        rows[index, FILLED] = place + 1
        out[row, BODY_WORD + 2 * place] = price | side << 32
        out[row, BODY_WORD + 2 * place + 1] = size
        out[row, names.CLAIM_WORD] = bid | ask << 32
        out[row, names.HASH_WORD] = int64(prefix)
        i, closed = after_value(text, i, _CLOSE_LIST)
        if i < 0:
            return -1, m
    return i, m
