"""From price and size to the two integers that are signed, exactly.

Everything is int64 micros: 1e-6 pUSD, 1e-6 share, and prices in micros of pUSD a share. Binary
floats lose a cent here (0.57 becomes 0.56); integers cannot. Source: the venue's rounding tables.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.wire.codes import Side

_BUY = int(Side.BUY)
ONE = 1_000_000
CENT = 10_000  # the unit of sizes, and of what a market order spends
# What the matching engine allows the other amount of a market order: four decimals, any tick.
MARKET_TAKER_UNIT = 100

# Decimals of a price on each tick. A closed set: a new tick is refused until it is known.
PRICE_DECIMALS: dict[int, int] = {100_000: 1, 10_000: 2, 5_000: 3, 2_500: 4, 1_000: 3, 100: 4}


class Amounts(NamedTuple):
    """What an order gives (maker) and gets (taker), in micros. Both are 0 if nothing is left."""

    maker: int
    taker: int


def is_on_tick(price: int, tick: int) -> bool:
    """Return whether tick ≤ price ≤ 1 − tick and price is a whole number of ticks.

    Counting decimals is not enough: 0.123 has three, but is off a tick of 0.005.
    """
    return tick in PRICE_DECIMALS and tick <= price <= ONE - tick and price % tick == 0


def limit_amounts(side: int, price: int, size: int, tick: int) -> Amounts:
    """Return the amounts of a resting order (GTC, GTD).

    Shares are rounded down to two decimals; the pUSD are then exact for a price on tick. Off it,
    they are rounded up four decimals beyond the tick's precision and then down to it, as the
    official clients do. Raises ValueError for an unknown tick.
    """
    shares = size - size % CENT
    usd = _round(shares * price, ONE * ONE, _price_decimals(tick) + 2)
    return Amounts(usd, shares) if side == _BUY else Amounts(shares, usd)


def market_amounts(
    side: int, price: int, amount: int, tick: int, *, taker_unit: int = MARKET_TAKER_UNIT
) -> Amounts:
    """Return the amounts of an order that takes at once (FOK, FAK).

    amount: pUSD to spend (BUY) or shares to sell (SELL), rounded down to two decimals.
    price: the worst acceptable, rounded down to the tick's decimals.
    taker_unit: the taker amount is a multiple of it, rounded down: asking a hair less than
    amount / price keeps an order resting exactly at `price` within reach, asking a hair more never
    matches. 1 gives the official clients' amounts, which the venue refuses on fine ticks.
    Raises ValueError for an unknown tick.
    """
    decimals = _price_decimals(tick)
    unit = 10 ** (6 - decimals)
    worst = price - price % unit
    given = amount - amount % CENT
    if worst <= 0:
        return Amounts(0, 0)
    if side == _BUY:
        taken = _round(given, worst, decimals + 2)
    else:
        taken = _round(given * worst, ONE * ONE, decimals + 2)
    return Amounts(given, taken - taken % taker_unit)


def implied_price_is_within(amounts: Amounts, side: int, price: int, tick: int) -> bool:
    """Return whether rounding moved the price the amounts imply by less than one tick.

    Tiny market orders can fail: one cent at a fine tick has too few digits left.
    """
    maker, taker = amounts
    if maker <= 0 or taker <= 0:
        return False
    if side == _BUY:
        return maker * ONE < (price + tick) * taker
    return taker * ONE > (price - tick) * maker


def _price_decimals(tick: int) -> int:
    if tick not in PRICE_DECIMALS:
        raise ValueError(f"an unknown tick: tick_micros={tick}")
    return PRICE_DECIMALS[tick]


def _round(numerator: int, denominator: int, decimals: int) -> int:
    """Return numerator / denominator in micros: up four decimals further, then down."""
    finer = -(-numerator * 10 ** (decimals + 4) // denominator)
    return finer // 10_000 * 10 ** (6 - decimals)
