"""A run as one HTML page: nothing to load, nothing to run, for light and dark screens."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path

from engine.backoffice.latency import STAGES, Percentiles, TickToTrade
from engine.backoffice.plots import equity_plot, latency_plot, market_plot
from engine.backoffice.summary import Activity, MarketSummary, Summary
from engine.backoffice.units import STAGE_NAMES, time_text
from engine.host.log import iso_time

_COLUMNS = ("orders", "fills", "rejects", "cancels", "volume", "fees", "profit")
_LEGEND = """<ul class="legend">
<li><b class="up">▲ bought</b>, <b class="up">▼ sold Up</b></li>
<li><b class="down">▲ bought</b>, <b class="down">▼ sold Down</b> (at one minus its price)</li>
<li>filled: we took · hollow: we made</li><li>◆ how it resolved</li></ul>"""


def write_report(summary: Summary, path: Path) -> Path:
    """Write the report to `path` and return it; whoever looks sees all of it or the one before.

    Raises PlotError where plots cannot be drawn, OSError where the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(render(summary), encoding="utf-8")
    os.replace(draft, path)
    return path


def render(summary: Summary) -> str:
    """Return the page. Text from the venue is escaped. Raises PlotError."""
    style = resources.files("engine.backoffice").joinpath("report.css").read_text()
    traded = [market for market in summary.markets if market.fills]
    body = (
        _heading(summary),
        _warnings(summary),
        _tiles(summary),
        _section("Profit and loss", _equity(summary)),
        _section("Tick to trade", _latency(summary.latency)),
        _section("Strategies", _strategy_table(summary)),
        _section("Markets", _market_table(summary)),
        _markets(traded),
        _footer(summary),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>halftick · run {summary.run_id:016x}</title>\n<style>\n{style}</style></head>\n"
        f"<body>\n{''.join(body)}</body></html>\n"
    )


def _heading(summary: Summary) -> str:
    traded = sum(1 for market in summary.markets if market.fills)
    lasted = time_text(summary.end_ns - summary.start_ns)
    return (
        "<header><h1>halftick run</h1>"
        f'<p class="faint">{escape(iso_time(summary.start_ns))} · {lasted} · '
        f"{len(summary.markets)} markets, fills in {traded}</p></header>\n"
    )


def _warnings(summary: Summary) -> str:
    found = []
    if summary.lost:
        found.append(f"{summary.lost:,} records are missing from the tape")
    if summary.damaged:
        found.append(f"{summary.damaged:,} records of the tape are damaged and left out")
    if summary.halts:
        times = "once" if summary.halts == 1 else f"{summary.halts} times"
        found.append(f"trading was halted {times}")
    if not found:
        return ""
    return f'<section class="warning"><h2>Mind</h2><p>{escape("; ".join(found))}.</p></section>\n'


def _tiles(summary: Summary) -> str:
    total, latency = summary.total, summary.latency.total
    tiles = (
        ("profit and loss", _money(total.pnl, signed=True), "after fees, pUSD"),
        ("fills", f"{total.fills:,}", f"of {total.orders:,} orders"),
        ("volume", _money(total.volume), "pUSD traded"),
        ("fees", _money(total.fees), "pUSD paid"),
        ("tick to trade, p50", _ns(latency.p50), f"of {latency.n:,} orders"),
        ("tick to trade, p99", _ns(latency.p99), "frame to order"),
    )
    inside = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd><small>{note}</small></div>"
        for name, value, note in tiles
    )
    return f'<dl class="tiles">{inside}</dl>\n'


def _equity(summary: Summary) -> str:
    if not summary.equity:
        return '<p class="faint">Nothing was traded.</p>'
    plot = equity_plot(summary.equity, summary.start_ns, "equity")
    note = "Cash from our fills, plus what is held at the middle of its book, or at its payout."
    return f"{plot}<small>{note}</small>"


def _latency(latency: TickToTrade) -> str:
    if not latency.total.n:
        return '<p class="faint">No order was sent on a tick.</p>'
    rows = [_stage_row("", "tick to trade", latency.total)]
    rows += [_stage_row("part", STAGE_NAMES[name], latency.stages[name]) for name, _, _ in STAGES]
    table = (
        '<table><thead><tr><th scope="col">stage</th><th scope="col">p50</th>'
        '<th scope="col">p99</th><th scope="col">p99.9</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return (
        f'<div class="pair"><div>{latency_plot(latency, "latency")}</div>'
        f"<div>{_stage_bar(latency)}{table}<p><small>From the frame's arrival to the last byte of "
        "the order written. A percentile needs enough samples before it is shown (p99: 368, "
        "p99.9: 3,688).</small></p></div></div>"
    )


def _stage_bar(latency: TickToTrade) -> str:
    """Return the medians of the stages side by side, each as long as it took."""
    parts = [(STAGE_NAMES[name], latency.stages[name].p50 or 0) for name, _, _ in STAGES]
    bars = "".join(
        f'<i style="flex-grow:{ns}" title="{escape(name)}: {time_text(ns)}"></i>'
        for name, ns in parts
    )
    label = ", ".join(f"{name} {time_text(ns)}" for name, ns in parts)
    return f'<div class="stages" role="img" aria-label="medians: {escape(label)}">{bars}</div>'


def _stage_row(style: str, name: str, stage: Percentiles) -> str:
    cells = "".join(f"<td>{_ns(value)}</td>" for value in (stage.p50, stage.p99, stage.p999))
    return f'<tr class="{style}"><th scope="row">{escape(name)}</th>{cells}</tr>'


def _market_table(summary: Summary) -> str:
    rows = []
    for market in summary.markets:
        rows.append(_activity_row("", market.slug, market.total))
        if len(market.strategies) > 1:
            rows += [
                _activity_row("part", name, done)
                for name, done in sorted(market.strategies.items())
            ]
    return _activity_table("market", rows, summary.total)


def _strategy_table(summary: Summary) -> str:
    rows = [_activity_row("", name, done) for name, done in sorted(summary.by_strategy.items())]
    return _activity_table("strategy", rows, summary.total)


def _activity_table(what: str, rows: Iterable[str], total: Activity) -> str:
    names = "".join(f'<th scope="col">{name}</th>' for name in (what, *_COLUMNS))
    return (
        f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f"<tfoot>{_activity_row('', 'all', total)}</tfoot></table></div>"
    )


def _activity_row(style: str, name: str, done: Activity) -> str:
    cells = (
        f"{done.orders:,}",
        f"{done.fills:,}",
        f"{done.rejects:,}",
        f"{done.cancels:,}",
        _money(done.volume),
        _money(done.fees),
        _money(done.pnl, signed=True),
    )
    inside = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{style}"><th scope="row">{escape(name)}</th>{inside}</tr>'


def _markets(traded: list[MarketSummary]) -> str:
    if not traded:
        return ""
    cards = "".join(_market_card(market, number) for number, market in enumerate(traded))
    return f'{_section("Market by market", _LEGEND)}<div class="markets">{cards}</div>\n'


def _market_card(market: MarketSummary, number: int) -> str:
    total = market.total
    return (
        f"<section><header><h3>{escape(market.slug)}</h3>"
        f"<span>{_money(total.pnl, signed=True)}</span></header>"
        f"<small>{total.fills:,} fills, {_money(total.volume)} pUSD traded</small>"
        f"{market_plot(market, f'market{number}')}</section>"
    )


def _footer(summary: Summary) -> str:
    return (
        f"<footer>Everything here comes from the tape <code>{escape(str(summary.tape))}</code>, "
        f"{summary.records:,} records. Prove it: <code>halftick replay --verify "
        f"{escape(str(summary.tape))}</code></footer>\n"
    )


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>\n"


def _money(micros: int, *, signed: bool = False) -> str:
    """Return pUSD to the cent, in full where one points at it; gains and losses in their colour."""
    exact = f"{micros / 1_000_000:,.6f}"
    if not signed:
        return f'<span title="{exact}">{micros / 1_000_000:,.2f}</span>'
    text = f"{micros / 1_000_000:+,.2f}".replace("-", "−")
    style = "good" if micros > 0 else "bad" if micros < 0 else "faint"
    return f'<span class="{style}" title="{exact}">{text}</span>'


def _ns(ns: int | None) -> str:
    return '<span class="faint" title="too few samples">–</span>' if ns is None else time_text(ns)
