"""What a person watches while a run goes on, and what stays on the terminal when it is over.

`live_view` and `final_tables` are pure: a value in, something rich can draw out. `LiveView` is the
one thing here that touches a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.backoffice.latency import STAGES, Percentiles, TickToTrade
from engine.backoffice.summary import Activity, Summary
from engine.backoffice.units import STAGE_NAMES, time_text
from engine.wire.codes import Reason

_BAR_WIDTH = 32
_REASONS = {int(reason): reason.name for reason in Reason}


@dataclass(frozen=True, slots=True)
class LiveState:
    """A moment of a run. Money in micros of pUSD; exposure counts working orders too."""

    slug: str
    fraction: float  # of the whole recording that has been played, 0..1
    venue_ms: int  # the venue's clock; 0 = not known yet
    exposure: int = 0
    pnl: int = 0
    orders: int = 0
    fills: int = 0
    halted: str = ""  # why, if it is

    @classmethod
    def of(cls, progress: Mapping[str, Any], core: Mapping[str, int]) -> LiveState:
        """Return the moment that the exchange's status and the core's counters describe."""
        halted = core.get("halted", 0)
        return cls(
            slug=str(progress.get("slug") or ""),
            fraction=progress.get("played", 0) / max(progress.get("total", 0), 1),
            venue_ms=int(progress.get("virtual_ms", 0)),
            exposure=core.get("exposure_micros", 0),
            pnl=core.get("equity_micros", 0),
            orders=core.get("orders_opened", 0),
            fills=core.get("fills", 0),
            halted=_REASONS.get(halted, str(halted)) if halted else "",
        )


class LiveView:
    """Shows a run on a console while it goes on, and leaves nothing behind."""

    def __init__(self, console: Console, markets: int) -> None:
        self._live = Live(console=console, transient=True, refresh_per_second=10)
        self._is_shown = console.is_terminal and not console.quiet
        self._markets = markets
        self._seen: dict[str, None] = {}

    def __enter__(self) -> LiveView:
        if self._is_shown:
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._live.stop()

    def update(self, state: LiveState) -> None:
        """Show another moment."""
        if state.slug:
            self._seen[state.slug] = None
        if self._is_shown:
            self._live.update(live_view(state, len(self._seen), self._markets))


def live_view(state: LiveState, market: int, markets: int) -> RenderableType:
    """Return two lines: how far along, and how it is going.

    market: the how-many-eth of `markets` is playing, 0 = none yet.
    """
    played = min(max(state.fraction, 0.0), 1.0)
    clock = datetime.fromtimestamp(state.venue_ms / 1000, UTC).strftime("%H:%M:%S")
    top = Table.grid(padding=(0, 2))
    top.add_row(
        ProgressBar(total=1.0, completed=played, width=_BAR_WIDTH, complete_style="cyan"),
        Text(f"{played:4.0%}"),
        Text(f"market {market} of {markets}" if market else f"{markets} markets", style="dim"),
        Text(state.slug or "waiting for the first book", style="bold"),
        Text(clock if state.venue_ms else "", style="dim"),
    )
    below = Table.grid(padding=(0, 2))
    below.add_row(
        _labelled("PnL", money_text(state.pnl)),
        _labelled("exposure", Text(f"{state.exposure / 1_000_000:,.2f}")),
        _labelled("orders", Text(f"{state.orders:,}")),
        _labelled("fills", Text(f"{state.fills:,}")),
        Text(f"halted: {state.halted}", style="bold red") if state.halted else Text(),
    )
    return Group(top, below)


def final_tables(summary: Summary) -> tuple[Table, ...]:
    """Return what a run did, by market and strategy, and how fast it was."""
    return _activity_table(summary), _latency_table(summary.latency)


def money_text(micros: int) -> Text:
    """Return a gain or loss in pUSD with its sign and colour."""
    style = "green" if micros > 0 else "red" if micros < 0 else "dim"
    return Text(f"{micros / 1_000_000:+,.2f}", style=style)


def _labelled(label: str, value: Text) -> Text:
    return Text.assemble((f"{label} ", "dim"), value)


def _activity_table(summary: Summary) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), show_footer=True)
    total = summary.total
    table.add_column("market", Text("all", style="bold"))
    for name, footer in zip(
        ("orders", "fills", "rejects", "volume", "fees", "PnL"), _cells(total), strict=True
    ):
        table.add_column(name, footer, justify="right")
    for market in summary.markets:
        table.add_row(Text(market.slug), *_cells(market.total))
        if len(market.strategies) > 1:
            _add_strategies(table, "  ", market.strategies)
    table.add_section()
    _add_strategies(table, "all, ", summary.by_strategy)
    return table


def _add_strategies(table: Table, before: str, parts: Mapping[str, Activity]) -> None:
    for name, done in sorted(parts.items()):
        table.add_row(Text(before + name), *_cells(done), style="dim")


def _cells(done: Activity) -> tuple[Text, ...]:
    return (
        Text(f"{done.orders:,}"),
        Text(f"{done.fills:,}"),
        Text(f"{done.rejects:,}"),
        Text(f"{done.volume / 1_000_000:,.2f}"),
        Text(f"{done.fees / 1_000_000:,.2f}"),
        money_text(done.pnl),
    )


def _latency_table(latency: TickToTrade) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("tick to trade")
    for name in ("p50", "p99", "p99.9"):
        table.add_column(name, justify="right")
    table.add_column("orders", justify="right")
    for name, _, _ in STAGES:
        table.add_row(f"  {STAGE_NAMES[name]}", *_percentile_cells(latency.stages[name]))
    table.add_row("all", *_percentile_cells(latency.total), style="bold")
    return table


def _percentile_cells(found: Percentiles) -> tuple[str, ...]:
    values = (found.p50, found.p99, found.p999)
    return (*("–" if v is None else time_text(v) for v in values), f"{found.n:,}")
