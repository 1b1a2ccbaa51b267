"""Positions from fills, whatever the order of their settlement states."""

from __future__ import annotations

from dataclasses import dataclass

from core_driver import LIMITS
from hypothesis import given
from hypothesis import strategies as st

from engine.core.world.facts import Facts
from engine.core.world.lots import Lot, Lots
from engine.wire.codes import Settlement, Side


@dataclass(frozen=True)
class Fill:
    """One fill and the settlement states its reports carry, in arrival order."""

    price: int
    size: int
    fee: int
    side: Side
    states: list[Settlement]


FILLS = st.lists(
    st.builds(
        Fill,
        price=st.integers(1, 99).map(lambda c: c * 10_000),
        size=st.integers(1, 1_000).map(lambda n: n * 10_000),
        fee=st.integers(0, 10_000),
        side=st.sampled_from(list(Side)),
        states=st.lists(st.sampled_from(list(Settlement)), min_size=1, max_size=5),
    ),
    max_size=20,
)


def book(fills: list[Fill]) -> Lots:
    """Apply every report of every fill."""
    lots = Lots(Facts(2, LIMITS, 1), set())
    for number, fill in enumerate(fills):
        for state in fill.states:
            notional = fill.price * fill.size // 1_000_000
            lot = Lot(1, 1, fill.side, fill.price, fill.size, notional, fill.fee, state)
            lots.apply((bytes([number]), b"", 0), lot)
    return lots


@given(FILLS)
def test_cash_and_shares_equal_the_sum_of_fills_that_did_not_fail(fills: list[Fill]) -> None:
    """However often and in whatever order states are reported, money moves once, or not at all."""
    lots = book(fills)
    position = lots.position(1, 1)
    cash = shares = fees = 0
    for fill in fills:
        if Settlement.FAILED in fill.states:
            continue
        sign = 1 if fill.side == Side.BUY else -1
        shares += sign * fill.size
        cash -= sign * (fill.price * fill.size // 1_000_000) + fill.fee
        fees += fill.fee
    assert (position.size, position.cash, position.fees) == (shares, cash, fees)
    assert lots.size(1) == shares


@given(FILLS)
def test_cash_is_realized_profit_less_the_cost_still_held(fills: list[Fill]) -> None:
    """The books balance at every moment: cash = realized − cost of what is held."""
    position = book(fills).position(1, 1)
    assert position.cash == position.realized - position.cost


@given(FILLS, st.sampled_from([0, 500_000, 1_000_000]))
def test_after_settlement_cash_is_profit(fills: list[Fill], payout: int) -> None:
    """Once a market has paid out, nothing is held and cash equals the realized profit."""
    lots = book([f for f in fills if f.side == Side.BUY])
    position = lots.position(1, 1)
    lots.settle(1, payout)
    assert position.size == position.cost == lots.size(1) == 0
    assert position.cash == position.realized
