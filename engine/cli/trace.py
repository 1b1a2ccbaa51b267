"""`halftick trace`: where orders' time went, and the frames that caused the slowest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.backoffice.histograms import (
    STAMPS_AN_ORDER,
    WHOLE,
    Histogram,
    histograms,
    stamp_ns,
)
from engine.backoffice.trace import WORST, OrderTrace, of_order, orders_of, worst
from engine.backoffice.units import STAGE_NAMES, time_text
from engine.cli.runs import JsonOption
from engine.cli.tapes import instrument_names, tape_of
from engine.tape.reader import TapeReader
from engine.tape.text import describe
from engine.wire.codes import Side

_BAR = 40  # characters of the whole order
_LEVELS = " ▁▂▃▄▅▆▇█"
_HEADER = ("sequence", "kind", "source", "flags", "instrument", "trace", "venue_ns", "local_ns")
_MICROS = frozenset({"price", "size", "best_bid", "best_ask"})


def trace(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run's directory, or its tape")],
    count: Annotated[int, typer.Option("--worst", min=0, help="How many, slowest first.")] = WORST,
    order: Annotated[str, typer.Option(help="This order alone: its id, 16 hex digits.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the histogram of every stage, and the slowest orders with what made them happen.

    The frame's records are as they are on the tape: `halftick tape dump --from SEQUENCE` shows
    what is around them, `halftick replay` lives through them again. Exit code 1 where the order or
    the tape is not what it should be, 78 where there is no tape.
    """
    tape = tape_of(run)
    found = [of_order(tape, _order_id(order))] if order else worst(tape, count)
    stages = [] if order else histograms(orders_of(tape))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_to_json(tape, stages, found)) + b"\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    if stages:
        console.print(_histogram_table(stages), _cost_text(stages[-1]), "", sep="\n")
    with TapeReader(tape) as reader:
        names = instrument_names(reader)
    for each in found:
        console.print(_picture(each, names))


def _order_id(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise typer.BadParameter(f"an order id is hexadecimal: order={text!r}") from None


def _to_json(
    tape: Path, stages: Sequence[Histogram], found: Sequence[OrderTrace]
) -> dict[str, Any]:
    """Return everything as one object; an order asked for by name has no histograms beside it."""
    shown: dict[str, Any] = {"tape": str(tape)}
    if stages:
        shown["histograms_us"] = {stage.name: stage.to_json() for stage in stages}
        shown["instrumentation"] = {"stamp_ns": stamp_ns(), "stamps_an_order": STAMPS_AN_ORDER}
    return shown | {"orders": [each.to_json() for each in found]}


def _histogram_table(stages: Sequence[Histogram]) -> RenderableType:
    """Return a line a stage; the bars are of powers of two, the same for all of them."""
    octaves = [stage.octaves() for stage in stages]
    seen = [exponent for each in octaves for exponent in each]
    if not seen:
        return Text("no order on this tape was caused by a frame and sent")
    first, last = min(seen), max(seen)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("stage")
    for name in ("p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right")
    table.add_column(f"{time_text(2**first)} … {time_text(2 ** (last + 1))}", no_wrap=True)
    for stage, counts in zip(stages, octaves, strict=True):
        known = stage.percentiles
        table.add_row(
            STAGE_NAMES.get(stage.name, stage.name),
            *("–" if v is None else time_text(v) for v in (known.p50, known.p99, known.p999)),
            time_text(stage.max_ns),
            Text(_bars([counts.get(e, 0) for e in range(first, last + 1)]), "cyan"),
            style="bold" if stage.name == WHOLE else "",
        )
    return table


def _bars(counts: Sequence[int]) -> str:
    """Return a character a count; whatever is not empty is seen."""
    highest = max(counts)
    return "".join(_LEVELS[-(-count * (len(_LEVELS) - 1) // highest)] for count in counts)


def _cost_text(whole: Histogram) -> Text:
    """Return what the stamps themselves cost an order."""
    one_ns = stamp_ns()
    all_ns = one_ns * STAMPS_AN_ORDER
    p50 = whole.percentiles.p50
    share = f", {all_ns / p50:.2%} of p50" if p50 else ""
    return Text(
        f"{whole.percentiles.n:,} orders; their {STAMPS_AN_ORDER} stamps cost "
        f"{time_text(all_ns)} an order ({one_ns:.0f} ns each, measured here and now{share})",
        "dim",
    )


def _picture(found: OrderTrace, names: dict[int, str]) -> RenderableType:
    order = found.order
    total = "not sent" if found.total_ns is None else time_text(found.total_ns)
    title = Text.assemble(
        (total, "bold"),
        f"  order {order.order_id:016x}  {Side(order.side).name} {order.size / 1e6:,.2f}"
        f" at {order.price / 1e6:.4g}  {names.get(order.instrument, order.instrument)}",
    )
    return Group(title, _waterfall(found), _frame(found), Text())


def _waterfall(found: OrderTrace) -> Table:
    """Return the stages, each a bar where it lies in the whole."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for column in range(3):
        table.add_column(justify="right" if column == 1 else "left")
    whole = max(found.total_ns or 0, sum(span.spent_ns for span in found.spans), 1)
    for span in found.spans:
        begin = round(max(span.began_ns, 0) / whole * _BAR)
        length = round(span.spent_ns / whole * _BAR)
        bar = Text(" " * min(begin, _BAR) + ("━" * length or "╷"), "cyan")
        table.add_row(f"  {STAGE_NAMES[span.name]}", time_text(span.spent_ns), bar)
    return table


def _frame(found: OrderTrace) -> RenderableType:
    """Return the records that caused the order, decoded."""
    if not found.frame:
        return Text(f"  no frame on the tape caused it: trace {found.cause}", "dim")
    lines = [Text(f"  batch {found.batch}, frame of {len(found.frame)} records:", "dim")]
    for record in found.frame:
        told = describe(record.row, record.sequence)
        mark = "→" if record.sequence == found.cause else " "
        body = {name: value for name, value in told.items() if name not in _HEADER}
        lines.append(Text(f"  {mark} {told['sequence']} {told['kind']} {_values(body)}", "dim"))
    return Group(*lines)


def _values(body: dict[str, Any]) -> str:
    return " ".join(f"{name}={_value(name, value)}" for name, value in body.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, list):  # levels of a book
        levels = (
            f"{Side(x['side']).name} {x['size'] / 1e6:,g}@{x['price'] / 1e6:g}" for x in value
        )
        return f"[{', '.join(levels)}]"
    return f"{value / 1e6:,g}" if name in _MICROS else str(value)
