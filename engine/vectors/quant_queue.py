"""Our place in a price level's queue: `queue_model` of the quantitative reference, section 8."""

from __future__ import annotations

from collections.abc import Iterable

from engine.exchange.queue_model import QueueKind, QueueModel, QueuePlace
from engine.vectors.case import Fact, Row


def queue_facts(given: Row, want: Row) -> Iterable[Fact]:
    """Yield the size before us and the fill after every event, and what is left at the end."""
    model = QueueModel(QueueKind(given["model"]), given["n"])
    place = QueuePlace(model, given["initial_qty"], given["lot"])
    left, trace = float(given["order_qty"]), []
    for name, *sizes in given["events"]:
        move = place.trade if name == "T" else place.resize
        move(*sizes)
        filled = place.claim(left)
        left -= filled
        trace.append((place.front, filled))
        if not left:
            break
    expected = want["trace_front_exec"]
    yield "trace_front_exec", len(expected), len(trace)
    for index, ((front, executed), (got_front, got)) in enumerate(
        zip(expected, trace, strict=False)
    ):
        yield f"trace_front_exec[{index}].front", front, float(got_front)
        yield f"trace_front_exec[{index}].exec", executed, float(got)
    yield "left", want["left"], float(left)
