"""The report's plots, as SVG text that takes its colours from the page.

Matplotlib draws with stand-in colours; each is then replaced by a CSS variable of the page, so one
plot serves a light and a dark screen. Text stays text: it can be searched, copied and read aloud.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from engine.backoffice.fills import Fill
from engine.backoffice.latency import TickToTrade
from engine.backoffice.ledger import EquityPoint
from engine.backoffice.summary import MarketSummary, position_curve
from engine.backoffice.touches import mid
from engine.backoffice.units import time_text
from engine.host.errors import HostError
from engine.wire.codes import Liquidity, Side

_MICROS = 1e6
_NS = 1e9
_POINTS_MAX = 700  # as many as a screen can show

# Stand-in → CSS variable. No two may be equal, and none may occur by chance.
INK, FAINT, GRID = "#0a0b0c", "#0a0b0d", "#0a0b0e"
UP, DOWN, PAPER, ACCENT = "#0a0b10", "#0a0b11", "#0a0b12", "#0a0b13"
_VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GRID: "var(--grid)",
    UP: "var(--up)",
    DOWN: "var(--down)",
    PAPER: "var(--paper)",
    ACCENT: "var(--accent)",
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "halftick",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": FAINT,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


class PlotError(HostError):
    """Plots cannot be drawn here."""


def market_plot(market: MarketSummary, name: str) -> str:
    """Return the book's middle with our fills on it, and what we held below."""
    with _figure(5.4, 3.1, name, f"{market.slug}: mid, our fills and our inventory") as (fig, out):
        price, held = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1.15))
        minutes = _minutes_of(market)
        _draw_touch(price, market, minutes)
        _draw_fills(price, market, minutes)
        price.set_ylim(-0.03, 1.03)
        price.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "", "0.5", "", "1"))
        price.set_title("price of Up", loc="left", fontsize=8, pad=3)
        for instrument, color in ((market.up, UP), (market.down, DOWN)):
            times, shares = position_curve(market.fills, instrument)
            _draw_holding(held, minutes(times), shares / _MICROS, market, minutes, color)
        held.axhline(0, color=GRID, lw=0.8, zorder=1)
        held.set_title("shares held", loc="left", fontsize=8, pad=3)
        held.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        held.set_xlabel("minutes into the window", fontsize=8)
        if market.close_s > market.open_s:
            length = (market.close_s - market.open_s) / 60
            early = min((float(minutes(fill.venue_ns)) for fill in market.fills), default=0.0)
            held.set_xlim(min(early, 0.0) - 0.015 * length, 1.02 * length)
    return out.getvalue()


def equity_plot(points: Sequence[EquityPoint], start_ns: int, name: str) -> str:
    """Return profit and loss over the time of the run."""
    with _figure(11.2, 2.5, name, "profit and loss over the run, pUSD") as (fig, out):
        axes = fig.subplots()
        seconds = np.array([(p.local_ns - start_ns) / _NS for p in points] or [0.0])
        equity = np.array([p.equity / _MICROS for p in points] or [0.0])
        keep = _thinned(seconds)
        scale, unit = _time_unit(float(seconds[-1]))
        times = np.append(0.0, seconds[keep] / scale)
        values = np.append(0.0, equity[keep])
        axes.plot(times, values, color=ACCENT, lw=1.5, drawstyle="steps-post")
        axes.fill_between(times, values, step="post", color=ACCENT, alpha=0.13, lw=0)
        axes.axhline(0, color=FAINT, lw=0.7)
        axes.plot(times[-1], values[-1], "o", color=ACCENT, ms=4)
        axes.margins(x=0.01)
        axes.set_xlabel(f"{unit} into the run", fontsize=8)
    return out.getvalue()


def latency_plot(latency: TickToTrade, name: str) -> str:
    """Return how many orders took how long, on a logarithmic axis."""
    with _figure(5.4, 2.9, name, "histogram of tick-to-trade, logarithmic time") as (fig, out):
        axes = fig.subplots()
        samples = np.maximum(latency.samples_ns, 1) / 1000
        low, high = np.log10(samples.min()) - 0.02, np.log10(samples.max()) + 0.02
        bins = np.logspace(low, high, int(np.clip(len(samples) ** 0.5 * 2, 12, 60)))
        axes.hist(samples, bins, color=ACCENT, alpha=0.75, rwidth=0.9)
        axes.set_xscale("log")
        top = axes.get_ylim()[1]
        for label, value in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
            ns = getattr(latency.total, value)
            if ns is not None:
                axes.axvline(ns / 1000, color=INK, lw=0.9, ls=(0, (3, 3)))
                axes.annotate(
                    label, (ns / 1000, top), (3, -8), textcoords="offset points", color=INK
                )
        axes.set_ylim(0, top * 1.02)
        axes.xaxis.set_major_locator(_log_ticks())
        axes.xaxis.set_minor_locator(_no_ticks())
        axes.xaxis.set_major_formatter(lambda us, _: time_text(us * 1000))
        axes.grid(visible=False, axis="x")
        axes.set_title("orders", loc="left", fontsize=8, pad=3)
    return out.getvalue()


def _draw_touch(axes: Any, market: MarketSummary, minutes: Any) -> None:
    """Draw the price of Up; where only Down has a book, one minus its price."""
    touches = market.touches[market.touches["instrument"] == market.up]
    flip = not len(touches)
    if flip:
        touches = market.touches[market.touches["instrument"] == market.down]
    if not len(touches):
        return
    touches = touches[_thinned(touches["venue_ns"])]
    times = minutes(touches["venue_ns"])
    bid, ask, middle = (v / _MICROS for v in (touches["bid"], touches["ask"], mid(touches)))
    if flip:
        bid, ask, middle = 1 - ask, 1 - bid, 1 - middle
    axes.fill_between(times, bid, ask, step="post", color=FAINT, alpha=0.22, lw=0)
    axes.plot(times, middle, color=INK, lw=1.0, drawstyle="steps-post", zorder=2)
    if market.payout_up >= 0:
        axes.plot(times[-1], market.payout_up / _MICROS, "D", color=INK, ms=4.5, clip_on=False)


def _draw_fills(axes: Any, market: MarketSummary, minutes: Any) -> None:
    """Mark our fills: colour says which token, direction buy or sell, hollow that we were maker."""
    groups: dict[tuple[bool, int, int], list[Fill]] = {}
    for fill in market.fills:
        key = (fill.instrument == market.up, fill.side, fill.liquidity)
        groups.setdefault(key, []).append(fill)
    for (is_up, side, liquidity), fills in groups.items():
        prices = np.array([fill.price for fill in fills]) / _MICROS
        color = UP if is_up else DOWN
        is_maker = liquidity == Liquidity.MAKER
        axes.plot(
            minutes([fill.venue_ns for fill in fills]),
            prices if is_up else 1 - prices,
            "^" if side == Side.BUY else "v",
            ms=6.5,
            mew=1.1,
            mec=color if is_maker else PAPER,
            mfc=PAPER if is_maker else color,
            zorder=3,
        )


def _draw_holding(
    axes: Any,
    times: np.ndarray,
    shares: np.ndarray,
    market: MarketSummary,
    minutes: Any,
    color: str,
) -> None:
    if not len(times):
        return
    end = minutes([market.touches["venue_ns"].max()]) if len(market.touches) else times
    x = np.concatenate(([times[0]], times, [max(end[-1], times[-1])]))
    y = np.concatenate(([0.0], shares, [shares[-1]]))
    axes.plot(x, y, color=color, lw=1.3, drawstyle="steps-post")
    axes.fill_between(x, y, step="post", color=color, alpha=0.12, lw=0)


def _minutes_of(market: MarketSummary) -> Any:
    """Return the function from venue nanoseconds to minutes into the market's window."""
    first_ns = int(market.touches["venue_ns"].min()) if len(market.touches) else 0
    open_ns = market.open_s * 1_000_000_000 or first_ns
    return lambda venue_ns: (np.asarray(venue_ns, np.int64) - open_ns) / (60 * _NS)


def _thinned(times: np.ndarray) -> np.ndarray:
    """Return the indices of the last point in each of at most _POINTS_MAX equal spans of time."""
    span = max(float(times[-1] - times[0]), 1e-9)
    bins = ((times - times[0]) * (_POINTS_MAX / span)).astype(np.int64)
    return np.flatnonzero(np.append(np.diff(bins) != 0, True))


def _time_unit(seconds: float) -> tuple[float, str]:
    for scale, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds > 3 * scale:
            return scale, unit
    return 1.0, "seconds"


def _log_ticks() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(base=10, subs=(1, 2, 5), numticks=12)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


@contextmanager
def _figure(
    width: float, height: float, name: str, label: str
) -> Iterator[tuple[Any, io.StringIO]]:
    """Yield a figure and the buffer its SVG is in afterwards. Raises PlotError.

    name: a prefix that keeps the ids of several plots on one page apart.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotError(
            "the report needs matplotlib: install the extra, pip install 'halftick[demo]'"
        ) from None
    out = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        figure.subplots_adjust(
            left=0.42 / width,
            right=1 - 0.12 / width,
            top=1 - 0.22 / height,
            bottom=0.4 / height,
            hspace=0.28,
        )
        yield figure, out
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    svg = _for_page(out.getvalue(), name, label)
    out.seek(0)
    out.truncate()
    out.write(svg)


def _for_page(svg: str, name: str, label: str) -> str:
    """Return the SVG element alone, named, in the page's colours and font, with ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"<defs>\s*<style.*?</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"(\d+\.\d)\d+", r"\1", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    label = escape(label, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).replace("\n", " ")
