"""What a call costs in bytecodes is the call's own, whatever else the process has to do."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from peers.lines import counted


@pytest.fixture
def eager_collector() -> Iterator[list[str]]:
    """Collect after every fifth new object; yield the phases a listener hears of."""
    phases: list[str] = []
    thresholds = gc.get_threshold()

    def listen(phase: str, _info: dict[str, int]) -> None:
        phases.append(phase)

    gc.callbacks.append(listen)
    gc.set_threshold(5)
    yield phases
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(listen)


def kept() -> list[list[int]]:
    """Return enough new objects for a collection or two."""
    return [[number] for number in range(20)]


def test_a_collection_is_not_the_calls(eager_collector: list[str]) -> None:
    """Neither its listeners' bytecodes nor their calls; the collector goes on afterwards."""
    kept()
    assert eager_collector, "the collector does not come"
    gc.disable()
    alone = counted(kept)
    gc.enable()
    eager_collector.clear()
    assert counted(kept) == alone
    assert gc.isenabled(), "the collector was not given back"


def test_a_stopped_collector_stays_stopped() -> None:
    """Whoever has stopped it wants it so: counting does not start it."""
    gc.disable()
    try:
        counted(kept)
        assert not gc.isenabled()
    finally:
        gc.enable()
