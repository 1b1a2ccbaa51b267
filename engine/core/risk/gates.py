"""The risk gates: pure, named, asked in order; the first answer other than OK stops the order.

A gate whose input is missing refuses (no balance yet, no fee curve): it never assumes. All of them
read the same arrays and are compiled into the function that asks: eighteen questions, one call.

Every gate takes (c, k, tops, facts, account, now_ns): row `k` of the candidates
(`engine.core.orders.candidates`), the touches (`engine.core.world.books`), and what is known of
instruments and account (`engine.core.world.facts`). It returns a Reason as int64, 0 = OK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import int64, njit

from engine.core.orders.candidates import (
    FEE,
    INSTRUMENT,
    NOTIONAL,
    POST_ONLY,
    PRICE,
    SIDE,
    SIZE,
    STRATEGY,
    TERMS,
)
from engine.core.world import facts as f
from engine.core.world.books import CERTIFIED, LIVE, LOCAL_NS, STATE, TICK
from engine.math.units import MICROS, SIZE_STEP
from engine.wire.codes import Reason, Side

SECOND_NS = 1_000_000_000
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_HALTED, _PRIVATE_STREAM_LOST = int(Reason.HALTED), int(Reason.PRIVATE_STREAM_LOST)
_MARKET_CLOSED, _STALE_BOOK = int(Reason.MARKET_CLOSED), int(Reason.STALE_BOOK)
_FEE_UNKNOWN, _PRICE_OFF_TICK = int(Reason.FEE_UNKNOWN), int(Reason.PRICE_OFF_TICK)
_SIZE_TOO_SMALL, _ORDER_NOTIONAL = int(Reason.SIZE_TOO_SMALL), int(Reason.ORDER_NOTIONAL)
_MARKET_NOTIONAL, _TOTAL_NOTIONAL = int(Reason.MARKET_NOTIONAL), int(Reason.TOTAL_NOTIONAL)
_ORDER_RATE, _INSUFFICIENT_CASH = int(Reason.ORDER_RATE), int(Reason.INSUFFICIENT_CASH)
_INSUFFICIENT_SHARES = int(Reason.INSUFFICIENT_SHARES)
_WOULD_CROSS_OWN, _ORDERS_OPEN_MAX = int(Reason.WOULD_CROSS_OWN), int(Reason.ORDERS_OPEN_MAX)
_SUPERSEDED = int(Reason.SUPERSEDED)
_NOT_RECOVERED, _FILLS_UNSEEN = int(Reason.NOT_RECOVERED), int(Reason.FILLS_UNSEEN)
_UNEXPLAINED = int(Reason.UNEXPLAINED)

Gate = Callable[..., Any]


def _gate(function: Gate) -> Gate:
    """Compile a gate into its callers."""
    compiled: Gate = njit(forceinline=True, error_model="numpy", _nrt=False)(function)
    return compiled


@_gate
def own(c, k):  # type: ignore[no-untyped-def]
    """The column of what its strategy holds; the next is what its strategy has offered."""
    return f.OWN + f.OWN_COLUMNS * c[k, STRATEGY]


@_gate
def reduces(c, k, facts):  # type: ignore[no-untyped-def]
    """Whether it only sells what its own strategy holds and has not offered.

    What another one holds is not its to sell: the two would cost each other their cost.
    """
    i, at = c[k, INSTRUMENT], own(c, k)
    return c[k, SIDE] == _SELL and c[k, SIZE] <= facts[i, at] - facts[i, at + 1]


@_gate
def free_cash(account):  # type: ignore[no-untyped-def]
    """What may still be spent, micros."""
    balance = account[f.CASH_OPENING] + account[f.CASH_FLOW]
    return balance - account[f.RESERVED] - account[f.CASH_MIN]


@_gate
def halt(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Under HALT only risk-reducing orders pass."""
    return _HALTED if account[f.HALTED] != 0 and not reduces(c, k, facts) else 0


@_gate
def private_stream(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Nothing is opened while our own fills cannot be seen."""
    return 0 if account[f.SEES_FILLS] == 1 else _PRIVATE_STREAM_LOST


@_gate
def recovered(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Nothing is opened before it is known what earlier runs have left."""
    return 0 if account[f.IS_RECOVERED] == 1 else _NOT_RECOVERED


@_gate
def fills_seen(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The private feed must live, and have read the account back not long ago."""
    lives = now_ns - account[f.SIGN_NS] <= account[f.SIGN_AGE_NS_MAX]
    reads = now_ns - account[f.READ_BACK_NS] <= account[f.READ_BACK_AGE_NS_MAX]
    return 0 if lives and reads else _FILLS_UNSEEN


@_gate
def explained(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """What the venue says is held of the token must be what the books say."""
    return _UNEXPLAINED if facts[c[k, INSTRUMENT], f.IS_DISPUTED] == 1 else 0


@_gate
def market_open(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The market must accept orders."""
    return 0 if facts[c[k, INSTRUMENT], f.IS_OPEN] == 1 else _MARKET_CLOSED


@_gate
def stale_book(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The book must be certified and fresh."""
    i = c[k, INSTRUMENT]
    is_believed = tops[i, STATE] == LIVE and tops[i, CERTIFIED] == 1
    is_fresh = now_ns - tops[i, LOCAL_NS] <= account[f.BOOK_AGE_NS_MAX]
    return 0 if is_believed and is_fresh else _STALE_BOOK


@_gate
def fee_known(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Nothing is taken at an unknown fee."""
    is_known = c[k, POST_ONLY] == 1 or facts[c[k, INSTRUMENT], f.IS_FEE_KNOWN] == 1
    return 0 if is_known else _FEE_UNKNOWN


@_gate
def price_on_tick(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The price must be an integer multiple of the tick, strictly inside (0, 1)."""
    tick, price = tops[c[k, INSTRUMENT], TICK], c[k, PRICE]
    legal = tick > 0 and price % tick == 0 and tick <= price <= MICROS - tick
    return 0 if legal else _PRICE_OFF_TICK


@_gate
def size_min(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The size must be in hundredths of a share and at least the market's minimum."""
    legal = c[k, SIZE] % SIZE_STEP == 0 and c[k, SIZE] >= facts[c[k, INSTRUMENT], f.MIN_SIZE]
    return 0 if legal else _SIZE_TOO_SMALL


@_gate
def order_notional(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """One order's notional is bounded."""
    return 0 if c[k, NOTIONAL] <= account[f.ORDER_NOTIONAL_MAX] else _ORDER_NOTIONAL


@_gate
def market_notional(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """What one market could cost, with everything working filled, is bounded."""
    exposure = facts[facts[c[k, INSTRUMENT], f.MARKET], f.EXPOSURE] + c[k, NOTIONAL]
    is_within = c[k, SIDE] == _SELL or exposure <= account[f.MARKET_NOTIONAL_MAX]
    return 0 if is_within else _MARKET_NOTIONAL


@_gate
def total_notional(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """What all markets together could cost is bounded."""
    exposure = account[f.TOTAL_EXPOSURE] + c[k, NOTIONAL]
    is_within = c[k, SIDE] == _SELL or exposure <= account[f.TOTAL_NOTIONAL_MAX]
    return 0 if is_within else _TOTAL_NOTIONAL


@_gate
def order_rate(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Orders per second are bounded: the oldest of the last `limit` must be a second old."""
    limit = account[f.RATE_MAX]
    if limit == 0:
        return _ORDER_RATE
    oldest_ns = account[f.RING + account[f.OPENED] % limit]
    return 0 if oldest_ns <= now_ns - SECOND_NS else _ORDER_RATE


@_gate
def cash(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """A buy must be affordable beside all working buys, its fee included."""
    is_paid = account[f.CASH_KNOWN] == 1 and c[k, NOTIONAL] + c[k, FEE] <= free_cash(account)
    return 0 if c[k, SIDE] == _SELL or is_paid else _INSUFFICIENT_CASH


@_gate
def shares(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """A strategy may only sell shares of its own that it has not offered."""
    return 0 if c[k, SIDE] == _BUY or reduces(c, k, facts) else _INSUFFICIENT_SHARES


@_gate
def crosses_own(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Our own orders must not trade with each other, on this outcome or across the pair."""
    i, price = c[k, INSTRUMENT], c[k, PRICE]
    if c[k, SIDE] == _SELL:
        crosses = facts[i, f.BEST_BUY] > 0 and facts[i, f.BEST_BUY] >= price
    else:
        crosses = price >= facts[i, f.BEST_SELL]
        if c[k, POST_ONLY] == 1:
            across = facts[facts[i, f.COMPLEMENT], f.BEST_BUY]
            crosses = crosses or (across > 0 and across + price >= MICROS)
    return _WOULD_CROSS_OWN if crosses else 0


@_gate
def orders_open(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """The number of working orders is bounded."""
    return 0 if account[f.WORKING] < account[f.ORDERS_OPEN_MAX] else _ORDERS_OPEN_MAX


@_gate
def same_terms(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Tick, fee and minimum size must be those it was decided on."""
    return 0 if facts[c[k, INSTRUMENT], f.TERMS] == c[k, TERMS] else _SUPERSEDED


@_gate
def covered(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """What is reserved already must still be ours: money and fee of a buy, shares of a sale."""
    i = c[k, INSTRUMENT]
    if c[k, SIDE] == _SELL:
        at = own(c, k)
        return _INSUFFICIENT_SHARES if facts[i, at + 1] > facts[i, at] else 0
    return 0 if c[k, FEE] <= free_cash(account) else _INSUFFICIENT_CASH


@_gate
def opening(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]
    """Ask every gate about a new order."""
    return (
        halt(c, k, tops, facts, account, now_ns)
        or private_stream(c, k, tops, facts, account, now_ns)
        or recovered(c, k, tops, facts, account, now_ns)
        or fills_seen(c, k, tops, facts, account, now_ns)
        or explained(c, k, tops, facts, account, now_ns)
        or market_open(c, k, tops, facts, account, now_ns)
        or stale_book(c, k, tops, facts, account, now_ns)
        or fee_known(c, k, tops, facts, account, now_ns)
        or price_on_tick(c, k, tops, facts, account, now_ns)
        or size_min(c, k, tops, facts, account, now_ns)
        or order_notional(c, k, tops, facts, account, now_ns)
        or market_notional(c, k, tops, facts, account, now_ns)
        or total_notional(c, k, tops, facts, account, now_ns)
        or order_rate(c, k, tops, facts, account, now_ns)
        or cash(c, k, tops, facts, account, now_ns)
        or shares(c, k, tops, facts, account, now_ns)
        or crosses_own(c, k, tops, facts, account, now_ns)
        or orders_open(c, k, tops, facts, account, now_ns)
    )


@_gate
def moved(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]
    """Ask what an armed take has passed once and may fail at any time after."""
    return (
        halt(c, k, tops, facts, account, now_ns)
        or private_stream(c, k, tops, facts, account, now_ns)
        or fills_seen(c, k, tops, facts, account, now_ns)
        or explained(c, k, tops, facts, account, now_ns)
        or market_open(c, k, tops, facts, account, now_ns)
        or same_terms(c, k, tops, facts, account, now_ns)
    )


@_gate
def firing(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]
    """Ask about an armed take that fires what may have changed since it passed every gate.

    Its book has just been found certified and fresh, and its money is reserved.
    """
    return (
        moved(c, k, tops, facts, account, now_ns)
        or order_rate(c, k, tops, facts, account, now_ns)
        or covered(c, k, tops, facts, account, now_ns)
    )


@njit(
    int64(int64[:, ::1], int64, int64[:, ::1], int64[:, ::1], int64[::1], int64),
    cache=True,
    error_model="numpy",
    _nrt=False,
)
def standing(c, k, tops, facts, account, now_ns):  # type: ignore[no-untyped-def]
    """Ask whether an armed take may go on standing."""
    return (
        moved(c, k, tops, facts, account, now_ns)
        or stale_book(c, k, tops, facts, account, now_ns)
        or covered(c, k, tops, facts, account, now_ns)
    )
