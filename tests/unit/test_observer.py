"""A run is watched from outside, and what was seen lies beside its tape."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from replay.tape_builder import START_NS, record

from engine.backoffice.depths import batch_sizes, depths, waiting_max
from engine.backoffice.observer import OBSERVED_FILE, ObserverDuty
from engine.backoffice.orders import OrderFacts
from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.host.duty import COLLECTIONS, PID, ROUNDS, create_counters
from engine.host.runfile import RunFile
from engine.wire.codes import Flag, Kind
from engine.wire.records import RECORD_WORDS


@pytest.fixture
def run(tmp_path: Path) -> RunFile:
    """A run with a queue of sixteen records and nobody in it."""
    made = RunFile(3, 0, {"run": {"profile": "shared"}}, str(tmp_path), runtime_dir=tmp_path)
    create_ring(made.ring("orders"), Discipline.QUEUE, 16, 3)
    return made


def test_the_deepest_of_a_queue_and_the_last_of_a_process_stay(run: RunFile) -> None:
    """A queue that was drained again was deep once; counters are as they were at the end."""
    counters = create_counters(run.counters("core"))
    counters.set(PID, os.getpid())
    writer, reader = QueueWriter(run.ring("orders"), 3), QueueReader(run.ring("orders"), 3)
    observer = ObserverDuty(run)
    observer.start()
    writer.offer(np.zeros((5, RECORD_WORDS), np.int64))
    assert observer.work() == 0
    reader.poll(np.zeros((8, RECORD_WORDS), np.int64))
    counters.set(ROUNDS, 17)
    counters.set(COLLECTIONS, 2)
    observer.close()
    seen = json.loads(run.state(OBSERVED_FILE).read_text())
    assert (seen["run_id"], seen["profile"], seen["samples"]) == (3, "shared", 2)
    assert seen["queues"]["orders"] == {"capacity": 16, "published": 5, "depth_max": 5}
    assert (seen["processes"]["core"]["rounds"], seen["processes"]["core"]["collections"]) == (
        17,
        2,
    )
    assert seen["processes"]["core"]["user_s"] > 0
    for each in (writer, reader, counters):
        each.close()


def test_a_process_that_ended_keeps_what_it_computed(run: RunFile) -> None:
    """Its id means nothing any more, or somebody else; what was seen before stands."""
    counters = create_counters(run.counters("core"))
    counters.set(PID, os.getpid())
    observer = ObserverDuty(run)
    observer.look()
    before = observer.to_json()["processes"]["core"]["user_s"]
    counters.set(PID, 2**30)  # above every id the kernel gives
    observer.look()
    assert observer.to_json()["processes"]["core"]["user_s"] == before > 0
    counters.close()


def test_a_batch_is_as_large_as_its_mark_says() -> None:
    """What the core found in one poll is counted from the tape, other records are not."""
    marks = [record(Kind.TIMER, flags=Flag.BATCH, records=n, local_ns=START_NS) for n in (3, 1)]
    others = [record(Kind.FILL), record(Kind.TIMER, flags=Flag.PUBLISHED, commands=9)]
    sizes = batch_sizes(np.concatenate([marks[0], *others, marks[1]]))
    assert sizes.tolist() == [3, 1]
    found = depths(sizes, ())
    assert (found.batches, found.batch_p50, found.batch_p99, found.batch_max) == (2, 1, 3, 3)


@pytest.mark.parametrize(
    ("waits", "deepest"),
    [
        ([], 0),
        ([(10, 20)], 1),
        ([(10, 20), (20, 30)], 1),
        ([(10, 40), (20, 50), (30, 35)], 3),
        ([(10, 0), (0, 5)], 0),
    ],
    ids=["none", "one", "one after the other", "at once", "never polled or published"],
)
def test_orders_wait_from_published_to_polled(waits: list[tuple[int, int]], deepest: int) -> None:
    """As many as are on their way at once; one polled as the next is published did not wait."""
    orders = [
        OrderFacts(n, 0, 0, 0, 0, 0, 0, 0, 0, published_ns=published, polled_ns=polled)
        for n, (published, polled) in enumerate(waits)
    ]
    assert waiting_max(orders) == deepest
