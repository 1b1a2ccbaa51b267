"""The bench of ways between processes: it ends, whatever comes at once and whatever never comes."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest
from peers.ipc import Address, Stuck, latencies, ring_receiver, ring_sender, within

from engine.wire.records import RECORD_WORDS

RECORDS = 5


@pytest.fixture
def at(tmp_path: Path) -> Address:
    """Where two ends of a ring meet."""
    _, outbox = multiprocessing.Pipe(duplex=False)
    return Address(tmp_path, outbox, multiprocessing.Queue())


def test_records_that_come_at_once_are_each_measured(at: Address) -> None:
    """One poll that returns all the records of a paced round ends it, with a latency for each."""
    with ring_receiver(at) as take, ring_sender(at) as send:
        rows = np.zeros((RECORDS, RECORD_WORDS), np.int64)
        rows[:, 0] = time.monotonic_ns()
        send(rows)
        spent = latencies(take, RECORDS)
    assert len(spent) == RECORDS
    assert min(spent) > 0


def test_a_round_that_never_ends_is_told(at: Address) -> None:
    """A receiver whose record does not come is interrupted, and the way is named."""
    with (
        pytest.raises(Stuck, match=r"way=ring, within_s=0\.05"),
        ring_receiver(at) as take,
        within("ring", 0.05),
    ):
        latencies(take, 1)
