"""The queue models against their golden vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.exchange.queue_model import QueueKind, QueueModel, QueuePlace


def _cases() -> list[Any]:
    path = Path(__file__).resolve().parents[3] / "shared/vectors/quant_paper.json"
    if not path.is_file():
        return [pytest.param(None, id="absent")]
    cases = json.loads(path.read_text())["cases"]
    return [pytest.param(c, id=c["id"]) for c in cases if c["fn"] == "queue_model"]


@pytest.mark.parametrize("case", _cases())
def test_queue_models_agree_with_vectors(case: dict[str, Any] | None, shared_dir: Path) -> None:
    """The front and the fill after every event are those of the golden vectors."""
    if case is None:
        pytest.skip(f"golden data is absent: {shared_dir}")
    given = case["in"]
    model = QueueModel(QueueKind(given["model"]), given["n"])
    place = QueuePlace(model, given["initial_qty"], given["lot"])
    left, trace = float(given["order_qty"]), []
    for name, *sizes in given["events"]:
        if name == "T":
            place.trade(*sizes)
        else:
            place.resize(*sizes)
        filled = place.claim(left)
        left -= filled
        trace.append([place.front, filled])
        if not left:
            break
    assert trace == [pytest.approx(row, abs=1e-8) for row in case["out"]["trace_front_exec"]]
    assert left == pytest.approx(case["out"]["left"], abs=1e-8)
