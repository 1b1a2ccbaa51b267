"""Drives an Engine with records as the processes around it would: the tests' own small venue."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.core.engine import Engine
from engine.core.params import EngineParams, RiskLimits, StrategyParams
from engine.core.world.lots import Lot
from engine.math.units import MICROS, micros_from_text
from engine.wire.codes import (
    Connection,
    FeeCurve,
    Flag,
    Kind,
    MarketStatus,
    Settlement,
    Side,
    Source,
)
from engine.wire.records import LEVELS_PER_RECORD, new, typed, words

NOW_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
AFTER_NS = NOW_NS + (1 << 59)  # later than anything a test does
UP, DOWN = 1, 2

SPREAD = StrategyParams(
    "spread",
    "engine.core.strategies.spread:Spread",
    {
        "size_shares": 20 * MICROS,
        "target_total_usd": 980_000,
        "improve_ticks": 0,
        "price_usd_min": 50_000,
        "price_usd_max": 950_000,
        "imbalance_shares_moderate": 40 * MICROS,
        "imbalance_shares_hard": 60 * MICROS,
        "cutoff_s": 60 * SECOND,
        "lead_s": 900 * SECOND,
        "requote_ms": 0,
        "requote_ticks_min": 1,
    },
)
DUTCH = StrategyParams(
    "dutch_book",
    "engine.core.strategies.dutch_book:DutchBook",
    {"edge_usd_min": 0, "size_shares_max": 100 * MICROS, "cooldown_ms": SECOND},
)
LIMITS = RiskLimits(
    order_notional_max=100 * MICROS,
    market_notional_max=300 * MICROS,
    total_notional_max=500 * MICROS,
    book_age_ns_max=5 * SECOND,
    orders_per_second_max=100,
    orders_open_max=50,
    cash_min=0,
    private_sign_age_ns_max=1 << 60,
    read_back_age_ns_max=1 << 60,
)


def params(*strategies: StrategyParams, limits: RiskLimits = LIMITS) -> EngineParams:
    """Return parameters for a small run."""
    return EngineParams(run_seed=7, instruments_max=16, risk=limits, strategies=strategies)


class Driver:
    """An Engine, a tape sequence, a clock, and shorthand for the records that go in."""

    def __init__(self, *strategies: StrategyParams, limits: RiskLimits = LIMITS) -> None:
        self.engine = Engine(params(*strategies, limits=limits))
        self.sequence = 0
        self.now_ns = NOW_NS
        self._gifts = 0
        self.settles = True  # as whoever sends the commands does; False leaves it to the next step

    def step(self, *records: np.ndarray, after_ns: int = 1_000_000) -> list[np.void]:
        """Step once with these records; return what came out, as typed records."""
        self.now_ns += after_ns
        rows = [words(r) for r in records]
        batch = np.concatenate(rows) if rows else np.zeros((0, 16), np.int64)
        batch[:, 3] = self.now_ns
        out = self.engine.step(batch, self.sequence + 1, self.now_ns)
        self.sequence += 2 + len(batch) + len(out)
        if self.settles:
            self.engine.settle()
        return [typed(r.copy(), Kind(int(r[0]) & 0xFFFF))[0] for r in out]

    def hold(self, index: int, size: int) -> None:
        """Let the first strategy hold so many micro-shares of an instrument, got for nothing."""
        lots = self.engine.world.lots
        change = size - lots.size(index)
        side = Side.BUY if change > 0 else Side.SELL
        lot = Lot(1, index, side, 0, abs(change), 0, 0, Settlement.CONFIRMED)
        self._gifts += 1
        lots.apply((bytes(16), b"", self._gifts), lot)

    def open_market(
        self,
        up: tuple[dict[str, str], dict[str, str]] | None = None,
        down: tuple[dict[str, str], dict[str, str]] | None = None,
        *,
        fee_ppm: int = 70_000,
        balance: int = 1_000 * MICROS,
    ) -> list[np.void]:
        """Announce one market, its balance and both books; return what the core did."""
        up = up or ({"0.48": "100"}, {"0.50": "100"})
        down = down or ({"0.50": "100"}, {"0.52": "100"})
        self.step(
            instrument(UP, fee_ppm),
            instrument(DOWN, fee_ppm),
            status(MarketStatus.OPEN),
            *account(balance),
        )
        return self.step(book(UP, *up), book(DOWN, *down))


def instrument(index: int, fee_ppm: int = 70_000, *, tick: int = 10_000) -> np.ndarray:
    """Return the INSTRUMENT record of one outcome of the test market."""
    record = new(Kind.INSTRUMENT)
    record["instrument"] = index
    record["complement"] = UP + DOWN - index
    record["outcome"] = index - UP
    record["fee_curve"] = FeeCurve.V2
    record["fee_rate_ppm"] = fee_ppm
    record["fee_exponent"] = 1
    record["tick"] = tick
    record["min_size_cents"] = 500
    record["open_s"] = NOW_NS // SECOND
    record["close_s"] = NOW_NS // SECOND + 900
    return record


def feed_status(feed: Source, connection: Connection, index: int = 0) -> np.ndarray:
    """Return the FEED_STATUS of a feed, or of one book of it."""
    record = new(Kind.FEED_STATUS)
    record["feed"], record["connection"], record["instrument"] = feed, connection, index
    if feed == Source.CLOB_USER:
        record["read_back_ns"] = AFTER_NS
    return record


def account(balance: int = 1_000 * MICROS) -> tuple[np.ndarray, ...]:
    """Return the records that make the account known: its money, nothing of earlier runs."""
    return cash(balance), recovered(), feed_status(Source.CLOB_USER, Connection.CONNECTED)


def recovered() -> np.ndarray:
    """Return the record that ends what the signer tells of earlier runs."""
    record = new(Kind.RECOVERED)
    record["last"] = 1
    return record


def status(market_status: MarketStatus, payout: int = -1) -> np.ndarray:
    """Return the STATUS of the test market; payout: of Up, micros, once resolved."""
    record = new(Kind.STATUS)
    record["instrument"], record["status"], record["payout"] = UP, market_status, payout
    return record


def cash(micros: int) -> np.ndarray:
    """Return the BALANCE record of our pUSD."""
    record = new(Kind.BALANCE)
    record["balance"] = micros
    return record


def book(index: int, bids: dict[str, str], asks: dict[str, str]) -> np.ndarray:
    """Return the LEVELS records of a full snapshot, the venue's claim included."""
    changes = [(p, s, Side.BUY) for p, s in bids.items()]
    changes += [(p, s, Side.SELL) for p, s in asks.items()]
    best_bid = max((micros_from_text(p) for p in bids), default=0)
    best_ask = min((micros_from_text(p) for p in asks), default=MICROS)
    return levels(index, changes, best_bid, best_ask, reset=True)


def levels(
    index: int,
    changes: list[tuple[str, str, Side]],
    best_bid: int,
    best_ask: int,
    *,
    reset: bool = False,
) -> np.ndarray:
    """Return the LEVELS records of one frame for one instrument."""
    count = max(1, -(-len(changes) // LEVELS_PER_RECORD))
    out = new(Kind.LEVELS, count)
    out["instrument"] = index
    out["venue_ns"] = NOW_NS
    for k, (price, size, side) in enumerate(changes):
        slot = out["levels"][k // LEVELS_PER_RECORD]
        slot["price"][k % LEVELS_PER_RECORD] = micros_from_text(price)
        slot["size"][k % LEVELS_PER_RECORD] = micros_from_text(size)
        slot["side"][k % LEVELS_PER_RECORD] = side
    if reset:
        out["flags"][0] |= Flag.RESET
    out["flags"][-1] |= Flag.LAST | Flag.TOUCH
    out["best_bid"], out["best_ask"] = best_bid, best_ask
    return out


def report(kind: Kind, order_id: int, **fields: Any) -> np.ndarray:
    """Return an execution report on an order."""
    record = new(kind)
    record["order_id"] = order_id
    for name, value in fields.items():
        record[name] = np.void(value) if isinstance(value, bytes) else value
    return record


def fill(order_hash: bytes, price: str, size: str, **fields: Any) -> np.ndarray:
    """Return a FILL of an order to buy Up; trade, settlement, side and others may be named."""
    record = new(Kind.FILL)
    record["instrument"] = UP
    record["order_hash"] = np.void(order_hash)
    record["price"], record["size"] = micros_from_text(price), micros_from_text(size)
    record["fee"] = -1
    record["settlement"] = 1
    record["trade_id"] = np.void(bytes(16))
    for name, value in fields.items():
        record[name] = np.void(value) if isinstance(value, bytes) else value
    return record


def of_kind(records: list[np.void], kind: Kind) -> list[np.void]:
    """Return the records of one kind."""
    return [r for r in records if r["kind"] == kind]
