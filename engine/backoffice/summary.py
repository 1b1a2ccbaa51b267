"""What a run did: orders, fills, fees and profit by market and strategy, and how fast it was.

Everything comes from one pass over the tape. Money is exact in micros of pUSD until it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.backoffice.catalog import Catalog, load_slugs
from engine.backoffice.fills import Fill, Movement
from engine.backoffice.latency import TickToTrade, tick_to_trade
from engine.backoffice.ledger import EquityPoint, Ledger
from engine.backoffice.orders import OrderTable
from engine.backoffice.positions import Positions
from engine.backoffice.touches import TOUCH
from engine.tape.reader import TapeReader
from engine.wire.codes import Kind, Reason

UNATTRIBUTED = 0  # strategy of a fill whose order is not on the tape


@dataclass(slots=True)
class Activity:
    """What was done in one market by one strategy, or a sum of such. Micros."""

    orders: int = 0
    fills: int = 0
    rejects: int = 0
    unknowns: int = 0
    cancels: int = 0
    volume: int = 0
    fees: int = 0
    pnl: int = 0
    open_shares: int = 0  # micro-shares whose worth is still an opinion, priced at mid

    def add(self, other: Activity) -> None:
        """Add another activity to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """Return counts, and money in pUSD to six decimals."""
        return {
            "orders": self.orders,
            "fills": self.fills,
            "rejects": self.rejects,
            "unknowns": self.unknowns,
            "cancels": self.cancels,
            "volume_usd": pusd(self.volume),
            "fees_usd": pusd(self.fees),
            "pnl_usd": pusd(self.pnl),
            "open_shares": pusd(self.open_shares),
        }


@dataclass(slots=True)
class MarketSummary:
    """One market. touches: TOUCH[k] of both instruments; fills: those that count, in tape order."""

    slug: str
    condition_id: str
    up: int
    down: int
    open_s: int
    close_s: int
    payout_up: int  # micros, -1 = unresolved
    strategies: dict[str, Activity] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    touches: np.ndarray = field(default_factory=lambda: np.zeros(0, TOUCH), repr=False)

    @property
    def total(self) -> Activity:
        """All strategies together."""
        return _sum(self.strategies.values())

    def to_json(self) -> dict[str, Any]:
        """Return the market as the demo prints it."""
        strategies = {name: done.to_json() for name, done in sorted(self.strategies.items())}
        payout = None if self.payout_up < 0 else pusd(self.payout_up)
        head = {"slug": self.slug, "condition_id": self.condition_id}
        return head | self.total.to_json() | {"payout_up": payout, "strategies": strategies}


@dataclass(slots=True)
class Summary:
    """A whole run."""

    run_id: int
    tape: Path
    records: int
    lost: int
    damaged: int
    start_ns: int
    end_ns: int
    markets: list[MarketSummary]
    latency: TickToTrade
    equity: list[EquityPoint] = field(repr=False)
    decisions: int = 0
    halts: int = 0

    @property
    def total(self) -> Activity:
        """All markets together."""
        return _sum(market.total for market in self.markets)

    @property
    def by_strategy(self) -> dict[str, Activity]:
        """The same activity by strategy over all markets."""
        found: dict[str, Activity] = {}
        for market in self.markets:
            for name, done in market.strategies.items():
                found.setdefault(name, Activity()).add(done)
        return found

    def to_json(self, report: Path | None = None) -> dict[str, Any]:
        """Return the object `halftick demo --json` prints."""
        strategies = {name: done.to_json() for name, done in sorted(self.by_strategy.items())}
        return {
            "run_id": self.run_id,
            "markets": [market.to_json() for market in self.markets],
            "strategies": strategies,
            "totals": self.total.to_json(),
            "tick_to_trade_us": self.latency.to_json(),
            "records": self.records,
            "records_lost": self.lost,
            "records_damaged": self.damaged,
            "decisions": self.decisions,
            "halts": self.halts,
            "seconds": (self.end_ns - self.start_ns) / 1e9,
            "tape": str(self.tape),
            "report": None if report is None else str(report),
        }


def summarize(path: Path, progress: Callable[[int], None] | None = None) -> Summary:
    """Return the summary of a tape; TapeError where it cannot be read.

    progress: called now and then with the number of records done.
    """
    with TapeReader(path) as tape:
        ledger = Ledger(tape.header, load_slugs(path.parent))
        return _Harvest(ledger).gather(tape, progress)


@dataclass(slots=True)
class _Harvest:
    """What is kept of each step until the whole tape has been seen."""

    ledger: Ledger
    orders: OrderTable = field(default_factory=OrderTable)
    touches: list[np.ndarray] = field(default_factory=list)
    equity: list[EquityPoint] = field(default_factory=list)
    decisions: int = 0
    halts: int = 0

    def gather(self, tape: TapeReader, progress: Callable[[int], None] | None) -> Summary:
        records = lost = damaged = 0
        end_ns = tape.header.start_ns
        for piece in tape.slices():
            step = self.ledger.apply(piece)
            self.orders.apply(step)
            self.touches.append(step.touches)
            self.equity += step.equity
            self.decisions += sum(1 for _ in step.of(Kind.DECISION))
            self.halts += sum(1 for record, _ in step.of(Kind.HALT) if _is_incident(record))
            records += len(piece.rows)
            lost += step.lost
            damaged += step.damaged
            end_ns = max(end_ns, int(piece.rows[-1, 3]))
            if progress is not None:
                progress(records)
        return Summary(
            run_id=tape.header.run_id,
            tape=tape.path,
            records=records,
            lost=lost,
            damaged=damaged,
            start_ns=tape.header.start_ns,
            end_ns=end_ns,
            markets=list(self._markets()),
            latency=tick_to_trade(self.orders.by_id.values()),
            equity=self.equity,
            decisions=self.decisions,
            halts=self.halts,
        )

    def _markets(self) -> Iterator[MarketSummary]:
        """Yield the markets in the order they were listed, each with everything done in it."""
        touches = np.concatenate([*self.touches, np.zeros(0, TOUCH)])
        markets = _listed(self.ledger.catalog)
        self._count_orders(markets)
        self._count_fills(markets)
        for market in {id(m): m for m in markets.values()}.values():
            mine = np.isin(touches["instrument"], (market.up, market.down))
            market.touches = touches[mine]
            yield market

    def _count_orders(self, markets: dict[int, MarketSummary]) -> None:
        for order in self.orders.by_id.values():
            done = self._activity(markets, order.instrument, order.strategy)
            done.orders += 1
            done.rejects += order.is_rejected
            done.unknowns += order.was_unknown
            done.cancels += order.is_canceled

    def _count_fills(self, markets: dict[int, MarketSummary]) -> None:
        """Count every standing fill once, and price what is left at the end."""
        books: dict[tuple[int, int], Positions] = {}
        for fill in self.ledger.fills.by_key.values():
            if not fill.is_counted:
                continue
            order = self.orders.by_hash.get(fill.order_hash)
            strategy = order.strategy if order else UNATTRIBUTED
            done = self._activity(markets, fill.instrument, strategy)
            done.fills += 1
            done.volume += fill.notional
            done.fees += fill.fee
            markets[fill.instrument].fills.append(fill)
            book = books.setdefault((fill.instrument, strategy), Positions())
            book.move(Movement(fill.sequence, fill.local_ns, fill.venue_ns, fill, +1))
        for (instrument, strategy), book in books.items():
            book.prices = self.ledger.positions.prices
            done = self._activity(markets, instrument, strategy)
            done.pnl += book.equity
            listing = self.ledger.catalog.by_index.get(instrument)
            if listing is None or not listing.is_resolved:
                done.open_shares += book.shares[instrument]

    def _activity(
        self, markets: dict[int, MarketSummary], instrument: int, strategy: int
    ) -> Activity:
        name = self.ledger.strategies.get(strategy, f"strategy {strategy}")
        if strategy == UNATTRIBUTED:
            name = "unattributed"
        if instrument not in markets:
            slug = self.ledger.catalog.slug(instrument)
            markets[instrument] = MarketSummary(slug, slug, instrument, 0, 0, 0, -1)
        return markets[instrument].strategies.setdefault(name, Activity())


def _is_incident(halt: np.void) -> bool:
    """Whether a HALT record tells of trouble; the one that ends every run does not."""
    return bool(halt["engaged"]) and int(halt["reason"]) != Reason.HALT_STOPPING


def pusd(micros: int) -> float:
    """Return micros as pUSD for printing: its shortest decimal is exact below nine billion."""
    return micros / 1_000_000


def position_curve(fills: list[Fill], instrument: int) -> tuple[np.ndarray, np.ndarray]:
    """Return when (venue_ns) and to what (micro-shares) the holding of an instrument changed."""
    mine = [fill for fill in fills if fill.instrument == instrument]
    times = np.array([fill.venue_ns for fill in mine], np.int64)
    return times, np.cumsum(np.array([fill.shares for fill in mine], np.int64))


def _listed(catalog: Catalog) -> dict[int, MarketSummary]:
    """Return the market of every instrument; both instruments of one share the object."""
    markets: dict[str, MarketSummary] = {}
    found = {}
    for index in sorted(catalog.by_index):
        listing = catalog.by_index[index]
        market = markets.get(listing.condition_id)
        if market is None:
            market = markets[listing.condition_id] = MarketSummary(
                slug=catalog.slug(index),
                condition_id=listing.condition_id,
                up=0,
                down=0,
                open_s=listing.open_s,
                close_s=listing.close_s,
                payout_up=-1,
            )
        if listing.outcome == 0:
            market.up = index
        else:
            market.down = index
        if listing.is_resolved:
            market.payout_up = (
                listing.payout if listing.outcome == 0 else 1_000_000 - listing.payout
            )
        found[index] = market
    return found


def _sum(parts: Any) -> Activity:
    total = Activity()
    for part in parts:
        total.add(part)
    return total
