"""The signer's own limits: held against every order, whatever the core believes.

A core that is broken or taken over can ask for anything; what leaves here is for a token that may
be traded, on the grid, small, slow, and little in a day. The rules are asked in order, and the
first that objects names the reason. Chain, contract and token are held against the settings when
an instrument is announced (`instruments`).

Most rules remember nothing: of an order that was armed, or asked for before, the judgement is
known, and asking for it again costs a look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

from engine.wire.codes import Reason, Side, Tif
from signer.amounts import (
    CENT,
    ONE,
    Amounts,
    implied_price_is_within,
    is_on_tick,
    limit_amounts,
    market_amounts,
)
from signer.commands import NewOrder
from signer.order_v2 import SALT_MAX
from signer.spending import Spending

# A member of an enum is looked up through its class: too slow for what every order meets.
_TIFS = frozenset(map(int, Tif))
_AT_ONCE = frozenset((int(Tif.FOK), int(Tif.FAK)))
_GTD = int(Tif.GTD)
_BUY, _SIDES = int(Side.BUY), frozenset(map(int, Side))
_OK, _POLICY_TOKEN = int(Reason.OK), int(Reason.POLICY_TOKEN)
_POLICY_PRICE, _POLICY_SIZE = int(Reason.POLICY_PRICE), int(Reason.POLICY_SIZE)
_POLICY_NOTIONAL, _POLICY_RATE = int(Reason.POLICY_NOTIONAL), int(Reason.POLICY_RATE)
_NS_PER_S = 1_000_000_000
NO_AMOUNTS = Amounts(0, 0)
SHAPES_MAX = 1_024  # orders whose judgement is kept


@dataclass(frozen=True, slots=True)
class Limits:
    """Prices in micros of pUSD, sizes in micro-shares, notional in micros of pUSD.

    daily_notional_max: what a day's orders may cost, 0 = any.  take_min: the least a purchase at
    once may spend.  token_ids: what may be traded, empty = whatever is announced.
    """

    price_min: int
    price_max: int
    size_max: int
    notional_max: int
    orders_per_second_max: int
    daily_notional_max: int = 0
    take_min: int = 0
    token_ids: frozenset[int] = frozenset()


def amounts_of(order: NewOrder, tick: int) -> Amounts:
    """Return what an order gives and gets; the budget of a FOK or FAK buy is price × size if 0."""
    if order.tif not in _AT_ONCE:
        return limit_amounts(order.side, order.price, order.size, tick)
    given = _given(order.side, order.price, order.size, order.budget)
    return market_amounts(order.side, order.price, given, tick)


def stake_of(side: int, amounts: Amounts) -> int:
    """Return what an order may lose at most, micros: what it pays, or the worth of what it gives.

    A sale far below the worth of the shares costs more than it brings in, so the larger counts.
    """
    maker, taker = amounts
    return maker if side == _BUY else max(taker, maker - taker)


class Policy:
    """The rules and what they remember: how many orders may still go this second, and today."""

    __slots__ = ("_judge", "_price_ns", "_refilled_ns", "_tokens_ns", "spending")

    def __init__(self, limits: Limits) -> None:
        self._judge = lru_cache(SHAPES_MAX)(partial(_judge, limits))
        self._price_ns = _NS_PER_S // limits.orders_per_second_max
        self.spending = Spending(limits.daily_notional_max)
        self._refilled_ns = 0
        self._tokens_ns = _NS_PER_S  # one second's worth of orders, counted in nanoseconds

    def check(
        self, order: NewOrder, tick: int, size_min: int, now_ns: int
    ) -> tuple[int, Amounts, int]:
        """Return (Reason, amounts, stake); the amounts are to be signed only if the reason is OK.

        Hot path. tick: micros, size_min: micro-shares, the instrument's as the signer knows them.
        An order that passes has taken its token and its part of the day's money.
        """
        reason, amounts = self.examine(order, tick, size_min)
        if reason:
            return reason, NO_AMOUNTS, 0
        if not self._take_token(now_ns):
            return _POLICY_RATE, NO_AMOUNTS, 0
        stake = stake_of(order.side, amounts)
        if not self.spending.take(stake, now_ns):
            return _POLICY_NOTIONAL, NO_AMOUNTS, 0
        return _OK, amounts, stake

    def examine(self, order: NewOrder, tick: int, size_min: int) -> tuple[int, Amounts]:
        """Return (Reason, amounts) by the rules that remember nothing; nothing is taken."""
        reason, amounts = self._judge(
            order.price,
            order.size,
            order.budget,
            order.side,
            order.tif,
            order.post_only,
            tick,
            size_min,
        )
        if not reason and not _is_dated(order):
            return _POLICY_TOKEN, NO_AMOUNTS
        return reason, amounts

    def _take_token(self, now_ns: int) -> bool:
        """Token bucket of one second: a burst may use it whole, then it refills evenly."""
        tokens_ns = self._tokens_ns + now_ns - self._refilled_ns
        self._refilled_ns = now_ns
        if tokens_ns > _NS_PER_S:
            tokens_ns = _NS_PER_S
        is_enough = tokens_ns >= self._price_ns
        self._tokens_ns = tokens_ns - self._price_ns if is_enough else tokens_ns
        return is_enough


def _judge(
    limits: Limits,
    price: int,
    size: int,
    budget: int,
    side: int,
    tif: int,
    post_only: int,
    tick: int,
    size_min: int,
) -> tuple[int, Amounts]:
    """Return (Reason, amounts) of any order with these fields."""
    if not is_on_tick(price, tick):
        return _POLICY_PRICE, NO_AMOUNTS
    if not limits.price_min <= price <= limits.price_max:
        return _POLICY_PRICE, NO_AMOUNTS
    if not 0 < size <= limits.size_max or size < size_min or size % CENT:
        return _POLICY_SIZE, NO_AMOUNTS
    if side not in _SIDES or tif not in _TIFS or post_only not in (0, 1) or budget < 0:
        return _POLICY_TOKEN, NO_AMOUNTS
    if post_only and tif in _AT_ONCE:
        return _POLICY_TOKEN, NO_AMOUNTS
    if tif in _AT_ONCE:
        amounts = market_amounts(side, price, _given(side, price, size, budget), tick)
    else:
        amounts = limit_amounts(side, price, size, tick)
    if not implied_price_is_within(amounts, side, price, tick):
        return _POLICY_SIZE, NO_AMOUNTS
    if max(price * size // ONE, budget) > limits.notional_max:
        return _POLICY_NOTIONAL, NO_AMOUNTS
    if tif in _AT_ONCE and side == _BUY and amounts.maker < limits.take_min:
        return _POLICY_SIZE, NO_AMOUNTS
    return _OK, amounts


def _is_dated(order: NewOrder) -> bool:
    """Whether what makes each order another one is as it must be: salt, time and expiry."""
    return (
        0 <= order.salt <= SALT_MAX
        and order.timestamp_ms > 0
        and (order.expires_s > 0) == (order.tif == _GTD)
    )


def _given(side: int, price: int, size: int, budget: int) -> int:
    """Return what a FOK or FAK gives: pUSD or shares, micros."""
    return (budget or price * size // ONE) if side == _BUY else size
