"""`halftick trace`: where an order's time went, and the frame that caused it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.backoffice.catalog import OUTCOMES, Catalog, load_slugs
from engine.backoffice.trace import WORST, OrderTrace, of_order, worst
from engine.backoffice.units import STAGE_NAMES, time_text
from engine.cli.runs import JsonOption
from engine.tape.reader import TapeReader
from engine.tape.text import describe
from engine.wire.codes import Kind, Side
from engine.wire.records import typed

_BAR = 40  # characters of the whole order
_HEADER = ("sequence", "kind", "source", "flags", "instrument", "trace", "venue_ns", "local_ns")


def trace(
    tape: Annotated[Path, typer.Argument(help="a tape file, such as runs/demo/tape.ht")],
    count: Annotated[int, typer.Option("--worst", min=1, help="How many, slowest first.")] = WORST,
    order: Annotated[str, typer.Option(help="This order instead: its id, 16 hex digits.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show the slowest orders from tick to trade, stage by stage, and what made them happen.

    The frame's records are as they are on the tape: `halftick tape dump --from SEQUENCE` shows
    what is around them, `halftick replay` lives through them again.
    """
    found = [of_order(tape, _order_id(order))] if order else worst(tape, count)
    if as_json:
        out = {"tape": str(tape), "orders": [each.to_json() for each in found]}
        sys.stdout.buffer.write(orjson.dumps(out) + b"\n")
        return
    names = _names(tape)
    console = Console(highlight=False, soft_wrap=True)
    if not found:
        console.print("no order on this tape was caused by a frame and sent")
    for each in found:
        console.print(_picture(each, names))


def _order_id(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise typer.BadParameter(f"an order id is hexadecimal: order={text!r}") from None


def _names(tape: Path) -> dict[int, str]:
    with TapeReader(tape) as reader:
        catalog = Catalog(load_slugs(tape.parent))
        for piece in reader.slices():
            rows = piece.rows[(piece.rows[:, 0] & 0xFFFF) == Kind.INSTRUMENT]
            for record in typed(rows, Kind.INSTRUMENT):
                catalog.list_instrument(record)
    return {
        index: f"{catalog.slug(index)} {OUTCOMES[listing.outcome & 1]}"
        for index, listing in catalog.by_index.items()
    }


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
    return " ".join(f"{name}={_value(value)}" for name, value in body.items())


def _value(value: Any) -> str:
    if isinstance(value, list):  # levels of a book
        levels = (f"{Side(x['side']).name} {x['price']}×{x['size']}" for x in value)
        return f"[{', '.join(levels)}]"
    return str(value)
