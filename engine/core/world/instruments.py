"""What can be traded: instruments (one token each) and the markets that pair them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.math.fees import EXPONENTS, RATE_PPM_MAX
from engine.math.units import SIZE_STEP
from engine.wire.codes import FeeCurve, Flag, MarketStatus

_OPEN = MarketStatus.OPEN
_UNKNOWN, _FREE = int(FeeCurve.UNKNOWN), int(FeeCurve.FREE)
_CURVES = frozenset(map(int, FeeCurve))


@dataclass(frozen=True, slots=True)
class Instrument:
    """One outcome token. Prices in micros, sizes in micro-shares, windows in epoch nanoseconds.

    is_adopted: the account holds it, and no market of the configuration has it.
    """

    index: int
    complement: int
    outcome: int
    fee_curve: int
    fee_rate_ppm: int
    fee_exponent: int
    tick: int
    min_size: int
    open_ns: int
    close_ns: int
    is_adopted: bool = False


@dataclass(slots=True)
class Market:
    """One condition: two instruments that together pay 1. `payout_up` is micros, -1 unresolved."""

    number: int
    up: Instrument
    down: Instrument
    status: int = MarketStatus.UNKNOWN  # until the venue says that it accepts orders
    payout_up: int = -1
    halt_reason: int = 0  # why nothing of ours goes in for the rest of the run, 0 = it may

    @property
    def is_halted(self) -> bool:
        """Whether we have done with it, whatever the venue accepts."""
        return self.halt_reason != 0

    @property
    def is_open(self) -> bool:
        """Whether orders are accepted, by the venue and by us: what is adopted is only watched."""
        return self.status == _OPEN and not self.is_halted and not self.up.is_adopted

    def payout(self, instrument: int) -> int:
        """Return what one share of `instrument` pays in micros; -1 while unresolved."""
        if self.payout_up < 0:
            return -1
        return self.payout_up if instrument == self.up.index else 1_000_000 - self.payout_up


def instrument_from_record(record: np.void) -> Instrument:
    """Return the Instrument an INSTRUMENT record describes; an impossible fee is an unknown one."""
    curve, rate_ppm = int(record["fee_curve"]), int(record["fee_rate_ppm"])
    exponent = int(record["fee_exponent"])
    is_possible = curve == _FREE or (
        curve in _CURVES and 0 <= rate_ppm <= RATE_PPM_MAX and exponent in EXPONENTS
    )
    return Instrument(
        index=int(record["instrument"]),
        complement=int(record["complement"]),
        outcome=int(record["outcome"]),
        fee_curve=curve if is_possible else _UNKNOWN,
        fee_rate_ppm=rate_ppm,
        fee_exponent=exponent,
        tick=int(record["tick"]),
        min_size=int(record["min_size_cents"]) * SIZE_STEP,
        open_ns=int(record["open_s"]) * 1_000_000_000,
        close_ns=int(record["close_s"]) * 1_000_000_000,
        is_adopted=bool(int(record["flags"]) & Flag.SNAPSHOT),
    )


class Instruments:
    """The instrument table. A market exists once both of its instruments are known.

    markets: all of them, by number.  unresolved: those that have not paid out, by number too.
    """

    __slots__ = ("_by_index", "_market_of", "halted", "markets", "refused", "unresolved")

    def __init__(self) -> None:
        self._by_index: dict[int, Instrument] = {}
        self._market_of: dict[int, Market] = {}
        self.markets: list[Market] = []
        self.unresolved: dict[int, Market] = {}
        self.refused = 0  # instruments beyond the table's capacity
        self.halted = 0  # markets, those that are over included

    def accept(self, instrument: Instrument) -> Market | None:
        """Remember an instrument; return the market it completes, if it does."""
        known = self._market_of.get(instrument.index)
        self._by_index[instrument.index] = instrument
        if known is not None:
            if instrument.outcome == 0:
                known.up = instrument
            else:
                known.down = instrument
            return None
        other = self._by_index.get(instrument.complement)
        if other is None or other.outcome == instrument.outcome:
            return None
        up, down = (instrument, other) if instrument.outcome == 0 else (other, instrument)
        market = Market(len(self.markets), up, down)
        self.markets.append(market)
        self.unresolved[market.number] = market
        self._market_of[up.index] = self._market_of[down.index] = market
        return market

    def get(self, index: int) -> Instrument | None:
        """Return the instrument with this index, None where it is unknown."""
        return self._by_index.get(index)

    def market_of(self, index: int) -> Market | None:
        """Return the market an instrument belongs to, None while it is incomplete."""
        return self._market_of.get(index)
