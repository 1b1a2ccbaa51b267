"""Fills move money exactly once, in whatever order the venue tells of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.backoffice.catalog import Catalog
from engine.backoffice.fills import Fills
from engine.backoffice.positions import Positions
from engine.wire.codes import Kind, Settlement
from engine.wire.records import new

reports = st.lists(
    st.tuples(
        st.integers(0, 4),  # which trade
        st.integers(0, 1),  # which leg
        st.sampled_from(list(Settlement)),
    ),
    max_size=40,
)


def record(trade: int, leg: int, settlement: Settlement) -> np.ndarray:
    """A report of a fill; everything but its settlement follows from trade and leg."""
    made = new(Kind.FILL)
    made["instrument"] = 1 + trade % 2
    made["trade_id"] = np.void(bytes([trade]) * 16)
    made["leg"] = leg
    made["price"] = 10_000 * (10 + 7 * trade + leg)
    made["size"] = 10_000 * (1 + 3 * trade + leg)
    made["fee"] = trade
    made["side"] = leg
    made["settlement"] = settlement
    return made


@given(reports)
def test_cash_and_shares_are_those_of_the_fills_that_stand(told: list[tuple[int, int, Settlement]]):
    """After any reports in any order, the account is the sum of fills that never failed.

    A settlement without a known name says nothing of a fill.
    """
    fills, positions = Fills(Catalog()), Positions()
    for sequence, report in enumerate(told):
        for movement in fills.apply(record(*report), np.array([sequence])):
            positions.move(movement)
    failed = {(trade, leg) for trade, leg, state in told if state is Settlement.FAILED}
    named = {(trade, leg) for trade, leg, state in told if state is not Settlement.UNKNOWN}
    standing = named - failed
    cash, shares = 0, {1: 0, 2: 0}
    for trade, leg in standing:
        fill = record(trade, leg, Settlement.MATCHED)[0]
        notional = int(fill["price"]) * int(fill["size"]) // 1_000_000
        cash += (notional if leg else -notional) - int(fill["fee"])
        shares[int(fill["instrument"])] += -int(fill["size"]) if leg else int(fill["size"])
    assert positions.cash == cash
    assert {i: positions.shares.get(i, 0) for i in (1, 2)} == shares
