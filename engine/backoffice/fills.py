"""Our fills, each counted once: what they moved and what took them back.

A fill is known by (trade id, order hash, leg). The venue reports it again at every step of its
settlement; only the first report moves money, only FAILED takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.backoffice.catalog import Catalog
from engine.math.fees import fee_micros
from engine.wire.codes import FeeCurve, Liquidity, Settlement, Side

_MICROS = 1_000_000
FillKey = tuple[bytes, bytes, int]


@dataclass(slots=True)
class Fill:
    """One fill of ours. Price in micros, size in micro-shares, money in micros of pUSD."""

    sequence: int
    order_hash: bytes
    trade_id: bytes
    leg: int
    instrument: int
    side: int
    liquidity: int
    settlement: int
    price: int
    size: int
    notional: int
    fee: int
    venue_ns: int
    local_ns: int

    @property
    def key(self) -> FillKey:
        """What makes it the same fill."""
        return self.trade_id, self.order_hash, self.leg

    @property
    def cash(self) -> int:
        """The money it moved, fee included: negative for a purchase."""
        return (-self.notional if self.side == Side.BUY else self.notional) - self.fee

    @property
    def shares(self) -> int:
        """The micro-shares it moved: negative for a sale."""
        return self.size if self.side == Side.BUY else -self.size

    @property
    def is_possible(self) -> bool:
        """Whether it can be a fill at all: the core books none that cannot."""
        return self.settlement != Settlement.UNKNOWN and self.size > 0 and 0 < self.price < _MICROS

    @property
    def is_counted(self) -> bool:
        """Whether it stands: a failed fill never happened."""
        return self.settlement != Settlement.FAILED


@dataclass(frozen=True, slots=True)
class Movement:
    """A fill that begins (+1) or ceases (-1) to count; 0: only its settlement went on."""

    sequence: int
    local_ns: int
    venue_ns: int
    fill: Fill
    sign: int


class Fills:
    """Every fill of a tape."""

    def __init__(self, catalog: Catalog) -> None:
        self.by_key: dict[FillKey, Fill] = {}
        self._catalog = catalog

    def apply(self, records: np.ndarray, sequences: np.ndarray) -> Iterator[Movement]:
        """Yield what FILL records, with their sequences int64[n], change."""
        for record, sequence in zip(records, sequences.tolist(), strict=True):
            reported = self._fill(record, sequence)
            if not reported.is_possible:
                continue
            known = self.by_key.get(reported.key)
            if known is None:
                self.by_key[reported.key] = reported
                sign = 1 if reported.is_counted else 0
            elif (reported.price, reported.size) != (known.price, known.size):
                continue  # told otherwise before: the core has halted its market
            elif reported.settlement > known.settlement:
                known.settlement = reported.settlement
                sign = 0 if reported.is_counted else -1
            else:
                continue
            fill = self.by_key[reported.key]
            yield Movement(sequence, reported.local_ns, reported.venue_ns, fill, sign)

    def _fill(self, record: np.void, sequence: int) -> Fill:
        price, size, fee = int(record["price"]), int(record["size"]), int(record["fee"])
        instrument, liquidity = int(record["instrument"]), int(record["liquidity"])
        if fee < 0:
            fee = self._fee(instrument, liquidity, price, size)
        return Fill(
            sequence=sequence,
            order_hash=record["order_hash"].tobytes(),
            trade_id=record["trade_id"].tobytes(),
            leg=int(record["leg"]),
            instrument=instrument,
            side=int(record["side"]),
            liquidity=liquidity,
            settlement=int(record["settlement"]),
            price=price,
            size=size,
            notional=price * size // _MICROS,
            fee=fee,
            venue_ns=int(record["venue_ns"]),
            local_ns=int(record["local_ns"]),
        )

    def _fee(self, instrument: int, liquidity: int, price: int, size: int) -> int:
        """Return the fee the venue did not say: 0 for makers, the market's curve for takers."""
        listing = self._catalog.by_index.get(instrument)
        if liquidity == Liquidity.MAKER or listing is None:
            return 0
        if listing.fee_curve == FeeCurve.UNKNOWN or not 0 <= price <= _MICROS or size < 0:
            return 0
        return fee_micros(
            size, price, listing.fee_curve, listing.fee_rate_ppm, listing.fee_exponent
        )
