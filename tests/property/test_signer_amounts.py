"""Amounts: exact against rational arithmetic, and safe in the directions that matter."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.wire.codes import Side
from signer.amounts import (
    CENT,
    MARKET_TAKER_UNIT,
    ONE,
    PRICE_DECIMALS,
    implied_price_is_within,
    is_on_tick,
    limit_amounts,
    market_amounts,
)

ticks = st.sampled_from(sorted(PRICE_DECIMALS))
sides = st.sampled_from(Side)
sizes = st.integers(0, 10**13)


@st.composite
def on_grid(draw: st.DrawFn) -> tuple[int, int]:
    """A tick and a price on it."""
    tick = draw(ticks)
    return tick, tick * draw(st.integers(1, ONE // tick - 1))


@given(on_grid(), sides, sizes)
def test_limit_amounts_are_exact_on_the_grid(grid: tuple[int, int], side: Side, size: int) -> None:
    """pUSD is exactly price × shares, so the venue recomputes the very price."""
    tick, price = grid
    maker, taker = limit_amounts(side, price, size, tick)
    usd, shares = (maker, taker) if side is Side.BUY else (taker, maker)
    assert shares % CENT == 0
    assert size - CENT < shares <= size
    assert usd * ONE == price * shares


@given(on_grid(), sides, sizes)
def test_market_amounts_never_ask_for_more_than_the_price_allows(
    grid: tuple[int, int], side: Side, amount: int
) -> None:
    """Precision is the venue's, and an order resting exactly at the price stays within reach."""
    tick, price = grid
    maker, taker = market_amounts(side, price, amount, tick)
    assert maker % CENT == 0
    assert taker % MARKET_TAKER_UNIT == 0
    assert amount - CENT < maker <= amount
    exact = Fraction(maker * ONE, price) if side is Side.BUY else Fraction(maker * price, ONE)
    unit = max(MARKET_TAKER_UNIT, 10 ** (4 - PRICE_DECIMALS[tick]))
    assert exact - unit < taker <= exact


@given(on_grid(), sides, sizes)
def test_an_accepted_market_price_is_within_a_tick(
    grid: tuple[int, int], side: Side, amount: int
) -> None:
    """What passes the check implies a price less than one tick worse than asked, never better."""
    tick, price = grid
    amounts = market_amounts(side, price, amount, tick)
    if not implied_price_is_within(amounts, side, price, tick):
        return
    usd, shares = amounts if side is Side.BUY else reversed(amounts)
    implied = Fraction(usd * ONE, shares)
    if side is Side.BUY:
        assert price <= implied < price + tick
    else:
        assert price - tick < implied <= price


@given(ticks, st.integers(-ONE, 2 * ONE))
def test_the_grid_is_the_whole_multiples_inside(tick: int, price: int) -> None:
    """tick ≤ price ≤ 1 − tick, in whole ticks."""
    assert is_on_tick(price, tick) == (tick <= price <= ONE - tick and price % tick == 0)


@given(on_grid(), st.integers(1, 10**11))
def test_market_buys_equal_decimal_arithmetic(grid: tuple[int, int], amount: int) -> None:
    """Without the venue's ceiling the shares are the decimal quotient, rounded down."""
    tick, price = grid
    maker, taker = market_amounts(Side.BUY, price, amount, tick, taker_unit=1)
    quotient = Decimal(maker) / Decimal(price)
    unit = Decimal(1).scaleb(-(PRICE_DECIMALS[tick] + 2))
    # Rounding up four decimals further first matters only within 1e-4 units of the next unit.
    low = quotient.quantize(unit, ROUND_DOWN)
    assert taker in (int(low * ONE), int((low + unit) * ONE))
    assert Decimal(taker) / ONE - quotient < unit / 10_000
