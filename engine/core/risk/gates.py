"""The risk gates: pure, named, asked in order; the first answer other than OK stops the order.

A gate whose input is missing refuses (no balance yet, no fee curve): it never assumes.

All of them together are a fifth of a tick's step. One jitted call in their place is no win: their
thirty inputs come from a dozen objects, and to hand them over takes longer than to ask each gate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.core.params import RiskLimits
from engine.core.world.books import Touch
from engine.core.world.instruments import Instrument, Market
from engine.core.world.world import World
from engine.math.fees import fee_micros_ceil
from engine.math.units import MICROS, SIZE_STEP
from engine.wire.codes import FeeCurve, Reason, Side

SECOND_NS = 1_000_000_000
# An enum finds its members by a slow road: looked up at every order, they cost more than the gates.
_OK, _BUY, _SELL, _CURVE_UNKNOWN = Reason.OK, Side.BUY, Side.SELL, FeeCurve.UNKNOWN


class Candidate(NamedTuple):
    """An order about to exist. Price in micros, size in micro-shares, money in pUSD micros.

    touch: of the book it is for, its certificate.  notional: the worst case of price × size.
    budget: what a marketable buy spends, 0 = the notional.
    """

    strategy: int
    market: Market
    instrument: Instrument
    side: int
    price: int
    size: int
    tif: int
    post_only: bool
    leg: int
    touch: Touch
    notional: int
    edge: int
    budget: int

    @property
    def spends(self) -> int:
        """What a marketable buy spends in micros; 0 for all other orders."""
        return 0 if self.post_only or self.side == _SELL else self.budget or self.notional

    @property
    def fee(self) -> int:
        """The worst-case fee in micros."""
        if self.post_only:
            return 0
        i = self.instrument
        return fee_micros_ceil(self.size, self.price, i.fee_curve, i.fee_rate_ppm, i.fee_exponent)

    def reduces(self, world: World) -> bool:
        """Whether it only sells what we hold."""
        held = world.lots.size(self.instrument.index)
        selling = world.orders.working_sell_size(self.instrument.index)
        return self.side == _SELL and self.size <= held - selling


Gate = Callable[[World, Candidate, RiskLimits], Reason]


def halt(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Under HALT only risk-reducing orders pass."""
    return Reason.HALTED if world.halted and not candidate.reduces(world) else _OK


def private_stream(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Nothing is opened while our own fills cannot be seen."""
    return _OK if world.sees_fills else Reason.PRIVATE_STREAM_LOST


def stale_book(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """The book must be certified and fresh."""
    return _OK if candidate.touch.usable else Reason.STALE_BOOK


def market_open(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """The market must accept orders."""
    return _OK if candidate.market.is_open else Reason.MARKET_CLOSED


def fee_known(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Nothing is taken at an unknown fee."""
    if not candidate.post_only and candidate.instrument.fee_curve == _CURVE_UNKNOWN:
        return Reason.FEE_UNKNOWN
    return _OK


def price_on_tick(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """The price must be an integer multiple of the tick, strictly inside (0, 1)."""
    tick = candidate.instrument.tick
    legal = tick > 0 and candidate.price % tick == 0 and tick <= candidate.price <= MICROS - tick
    return _OK if legal else Reason.PRICE_OFF_TICK


def size_min(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """The size must be in hundredths of a share and at least the market's minimum."""
    legal = candidate.size % SIZE_STEP == 0 and candidate.size >= candidate.instrument.min_size
    return _OK if legal else Reason.SIZE_TOO_SMALL


def order_notional(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """One order's notional is bounded."""
    return _OK if candidate.notional <= limits.order_notional_max else Reason.ORDER_NOTIONAL


def market_notional(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:
    """What one market could cost, with everything working filled, is bounded."""
    if candidate.side == _SELL:
        return _OK
    exposure = world.market_exposure(candidate.market) + candidate.notional
    return _OK if exposure <= limits.market_notional_max else Reason.MARKET_NOTIONAL


def total_notional(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:
    """What all markets together could cost is bounded."""
    if candidate.side == _SELL:
        return _OK
    exposure = world.total_exposure() + candidate.notional
    return _OK if exposure <= limits.total_notional_max else Reason.TOTAL_NOTIONAL


def order_rate(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Orders per second are bounded."""
    recent = world.orders.opened_since(world.now_ns - SECOND_NS)
    return _OK if recent < limits.orders_per_second_max else Reason.ORDER_RATE


def cash(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:
    """A buy must be affordable beside all working buys, its fee included."""
    if candidate.side == _SELL:
        return _OK
    if not world.cash.known:
        return Reason.INSUFFICIENT_CASH
    needed = candidate.notional + candidate.fee
    free = world.cash.balance - world.reserved_cash() - limits.cash_min
    return _OK if needed <= free else Reason.INSUFFICIENT_CASH


def shares(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Only shares we hold and have not offered may be sold."""
    if candidate.side == _SELL and not candidate.reduces(world):
        return Reason.INSUFFICIENT_SHARES
    return _OK


def crosses_own(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Our own orders must not trade with each other, on this outcome or across the pair."""
    index = candidate.instrument.index
    for order in world.orders.working(index):
        if order.side != candidate.side:
            bid, ask = (
                (candidate.price, order.price)
                if candidate.side == _BUY
                else (order.price, candidate.price)
            )
            if bid >= ask:
                return Reason.WOULD_CROSS_OWN
    if candidate.post_only and candidate.side == _BUY:
        for order in world.orders.working(candidate.instrument.complement):
            if order.side == _BUY and order.price + candidate.price >= MICROS:
                return Reason.WOULD_CROSS_OWN
    return _OK


def orders_open(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """The number of working orders is bounded."""
    within = world.orders.working_count < limits.orders_open_max
    return _OK if within else Reason.ORDERS_OPEN_MAX


def same_terms(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:  # noqa: ARG001
    """Tick, fee and minimum size must be those it was decided on."""
    current = world.instruments.get(candidate.instrument.index)
    same = current is candidate.instrument or current == candidate.instrument
    return _OK if same else Reason.SUPERSEDED


def covered(world: World, candidate: Candidate, limits: RiskLimits) -> Reason:
    """What is reserved already must still be ours: money and fee of a buy, shares of a sale."""
    if candidate.side == _SELL:
        index = candidate.instrument.index
        short = world.orders.working_sell_size(index) > world.lots.size(index)
        return Reason.INSUFFICIENT_SHARES if short else _OK
    free = world.cash.balance - world.reserved_cash() - limits.cash_min
    return _OK if candidate.fee <= free else Reason.INSUFFICIENT_CASH


GATES: tuple[Gate, ...] = (
    halt,
    private_stream,
    market_open,
    stale_book,
    fee_known,
    price_on_tick,
    size_min,
    order_notional,
    market_notional,
    total_notional,
    order_rate,
    cash,
    shares,
    crosses_own,
    orders_open,
)


# What an armed take passed once may fail later: asked while it stands, and when it fires. Then its
# book has just been found certified and fresh.
_MOVING: tuple[Gate, ...] = (halt, private_stream, market_open, same_terms)
STANDING: tuple[Gate, ...] = (*_MOVING, stale_book, covered)
FIRING: tuple[Gate, ...] = (*_MOVING, order_rate)


def first_refusal(
    world: World, candidate: Candidate, limits: RiskLimits, gates: tuple[Gate, ...] = GATES
) -> Reason:
    """Return the first gate's answer that is not OK, or OK."""
    for gate in gates:
        reason = gate(world, candidate, limits)
        if reason:  # any but OK, which is 0
            return reason
    return _OK
