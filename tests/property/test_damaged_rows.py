"""Rows of market data that something wrote over: the core believes what it can, and goes on."""

from __future__ import annotations

import numpy as np
from arming import BOTH, sniper
from core_driver import (
    DOWN,
    DUTCH,
    SPREAD,
    UP,
    Driver,
    book,
    feed_status,
    instrument,
    levels,
    status,
)
from hypothesis import example, given
from hypothesis import strategies as st

from engine.wire.codes import Connection, Kind, MarketStatus, Side, Source
from engine.wire.records import BODIES, RECORD_BYTES, words

ROWS = [
    words(record)[:1]
    for record in (
        instrument(UP),
        instrument(DOWN),
        status(MarketStatus.OPEN),
        book(UP, {"0.47": "100"}, {"0.49": "100"}),
        levels(DOWN, [("0.49", "10", Side.SELL)], 480_000, 490_000),
        feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED, UP),
    )
]
KIND_BYTES = 2  # what is damaged there is another kind; those of orders and money are not for here
INSTRUMENT_END = 7  # the last byte of the header's instrument
BOOK = {"0.46": "100"}, {"0.49": "100"}
DAMAGES = st.tuples(
    st.integers(0, len(ROWS) - 1),
    st.lists(
        st.tuples(st.integers(KIND_BYTES, RECORD_BYTES - 1), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    ),
)


def damaged(which: int, changes: list[tuple[int, int]]) -> np.ndarray:
    """Return a row with some of its bytes written over, int64[1, 16]."""
    row = ROWS[which].copy()
    text = row.view(np.uint8).reshape(-1)
    for at, value in changes:
        text[at] = value
    return row


def place(kind: Kind, field: str) -> int:
    """Return the last byte of a field: where a change makes the number a large one."""
    dtype, offset = BODIES[kind].fields[field][:2]  # type: ignore[index]
    return int(offset) + dtype.itemsize - 1


@given(st.lists(DAMAGES, max_size=12))
@example([(0, [(place(Kind.INSTRUMENT, "fee_exponent"), 64)])])
@example([(0, [(place(Kind.INSTRUMENT, "fee_curve"), 7)])])
@example([(5, [(INSTRUMENT_END, 64)])])
def test_no_row_of_market_data_stops_the_core(
    damages: list[tuple[int, list[tuple[int, int]]]],
) -> None:
    """Between them come good ones, at which strategies want to trade: none raises, none halts."""
    driver = Driver(SPREAD, DUTCH, sniper(limit=490_000, is_armed=BOTH))
    driver.open_market()
    for number, (which, changes) in enumerate(damages):
        driver.step(damaged(which, changes))
        ask = ("0.48", "0.50")[number & 1]
        driver.step(book(UP, {"0.46": "100"}, {ask: "100"}), book(DOWN, *BOOK))
        while driver.engine.is_unasked:
            driver.step()
    assert driver.engine.gauges()["halted"] == 0
