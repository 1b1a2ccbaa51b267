"""What the feeds know of markets: indices, ids, state. One registry a group, one thread.

Indices are given in the order of discovery, 1 and 2 for the first market's Up (or Yes) and Down,
and stay for the whole run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engine.wire.codes import FeeCurve, Flag, Kind, MarketStatus, Source
from engine.wire.records import new, words
from feeds.numbers import token_number
from feeds.token_table import TICK, TokenTable

INSTRUMENTS_FILE = "instruments.json"
UNRESOLVED = -1


@dataclass(frozen=True, slots=True)
class Market:
    """One condition as Gamma describes it. Outcomes, tokens and payouts: Up (Yes) first.

    tick: micros.  min_size_cents: hundredths of a share.  open_s, close_s: epoch seconds, 0 = not
    said.  payouts: micros a share once resolved, else empty.
    """

    slug: str
    condition_id: bytes
    tokens: tuple[str, str]
    outcomes: tuple[str, str]
    generation: int
    neg_risk: bool
    fee_curve: FeeCurve
    fee_rate_ppm: int
    fee_exponent: int
    tick: int
    min_size_cents: int
    open_s: int
    close_s: int
    status: MarketStatus
    payouts: tuple[int, ...] = ()


@dataclass(slots=True)
class Instrument:
    """One token of a market. outcome: 0 = Up or Yes.  status and payout are the last ones heard.

    is_adopted: listed because the account has traded it, not because `[markets]` names it.
    """

    index: int
    outcome: int
    market: Market
    status: MarketStatus = MarketStatus.UNKNOWN
    payout: int = UNRESOLVED
    is_adopted: bool = False

    @property
    def token_id(self) -> str:
        """The uint256 in decimal, as the venue writes it."""
        return self.market.tokens[self.outcome]

    @property
    def complement(self) -> int:
        """The index of the market's other token."""
        return self.index + 1 - 2 * self.outcome

    @property
    def is_resolved(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status == MarketStatus.RESOLVED


class Instruments:
    """All instruments of a run. `version` changes whenever one is added or changes its status."""

    __slots__ = ("_by_index", "_of_condition", "table", "version")

    def __init__(self) -> None:
        self.table = TokenTable()
        self.version = 0
        self._by_index: dict[int, Instrument] = {}
        self._of_condition: dict[bytes, tuple[Instrument, Instrument]] = {}

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_index.values())

    def __len__(self) -> int:
        return len(self._by_index)

    def get(self, index: int) -> Instrument:
        """Return the instrument with an index this registry gave."""
        return self._by_index[index]

    def find(self, token_id: str) -> Instrument | None:
        """Return the instrument of a token id, None if it is not ours."""
        return self._by_index.get(self.table.find(token_id))

    def pairs(self) -> Iterator[tuple[Instrument, Instrument]]:
        """Return every market's two instruments, in the order of discovery."""
        return iter(self._of_condition.values())

    def of(self, condition_id: bytes) -> tuple[Instrument, Instrument] | None:
        """Return a condition's instruments, None if it is not ours."""
        return self._of_condition.get(condition_id)

    def add(self, market: Market, *, is_adopted: bool = False) -> tuple[Instrument, Instrument]:
        """Give a new market its two indices; its status is still to be announced."""
        assert market.condition_id not in self._of_condition, f"market known: slug={market.slug}"
        first = len(self._by_index) + 1
        pair = (
            Instrument(first, 0, market, is_adopted=is_adopted),
            Instrument(first + 1, 1, market, is_adopted=is_adopted),
        )
        for instrument in pair:
            self._by_index[instrument.index] = instrument
            self.table.add(instrument.index, instrument.token_id, market.tick)
        self._of_condition[market.condition_id] = pair
        self.version += 1
        return pair

    def tick(self, index: int) -> int:
        """Return the last tick heard for an instrument, micros."""
        return int(self.table.rows[index, TICK])

    def set_tick(self, index: int, tick: int) -> None:
        """Remember a tick that has been announced."""
        self.table.rows[index, TICK] = tick

    def set_status(self, index: int, status: MarketStatus, payout: int = UNRESOLVED) -> None:
        """Remember a status that has been announced."""
        instrument = self._by_index[index]
        instrument.status = status
        instrument.payout = payout
        self.version += 1

    def save(self, runtime_dir: Path) -> None:
        """Write `instruments.json`, what each index stands for; a reader sees all of it or none."""
        content = [
            {
                "index": each.index,
                "slug": each.market.slug,
                "outcome": each.market.outcomes[each.outcome],
                "token_id": each.token_id,
                "condition_id": "0x" + each.market.condition_id.hex(),
                "complement": each.complement,
                "open_s": each.market.open_s,
                "close_s": each.market.close_s,
            }
            for each in self
        ]
        draft = runtime_dir / f".{INSTRUMENTS_FILE}.draft"
        draft.write_bytes(msgspec.json.encode({"instruments": content}))
        os.replace(draft, runtime_dir / INSTRUMENTS_FILE)


def instrument_rows(
    pair: tuple[Instrument, Instrument], ticks: tuple[int, int], local_ns: int
) -> np.ndarray:
    """Return the INSTRUMENT records of a market's two tokens, int64[2, 16].

    ticks: micros, the last ones heard.
    """
    records = new(Kind.INSTRUMENT, 2)
    market = pair[0].market
    for record, each in zip(records, pair, strict=True):
        record["instrument"] = each.index
        record["token_id"] = token_number(each.token_id).to_bytes(32, "big")
        record["complement"] = each.complement
        record["outcome"] = each.outcome
    records["source"] = Source.GAMMA
    records["flags"] = Flag.SNAPSHOT if pair[0].is_adopted else Flag.NONE
    records["local_ns"] = local_ns
    records["condition_id"] = np.void(market.condition_id)
    records["generation"] = market.generation
    records["neg_risk"] = market.neg_risk
    records["fee_curve"] = market.fee_curve
    records["fee_rate_ppm"] = market.fee_rate_ppm
    records["fee_exponent"] = market.fee_exponent
    records["tick"] = ticks
    records["min_size_cents"] = market.min_size_cents
    records["open_s"] = market.open_s
    records["close_s"] = market.close_s
    return words(records)


def status_row(
    index: int,
    status: MarketStatus,
    *,
    source: Source,
    local_ns: int,
    venue_ns: int = 0,
    tick: int = 0,
    payout: int = UNRESOLVED,
) -> np.ndarray:
    """Return one STATUS record, int64[1, 16]. tick: micros, 0 = unchanged."""
    record = new(Kind.STATUS)
    record["source"] = source
    record["instrument"] = index
    record["venue_ns"] = venue_ns
    record["local_ns"] = local_ns
    record["status"] = status
    record["tick"] = tick
    record["payout"] = payout
    return words(record)
