"""The other process of the ring tests: `python peer.py ROLE RING RUN_ID [COUNT]`.

Roles: `offer` and `publish` write COUNT checkable records (0 = until killed) and go on where the
ring stands; `follow` reads a broadcast ring until killed; `echo` sends COUNT records of a queue
back through `back.ring`, asleep whenever there is none; `attach-writer` and `attach-reader` attach
to a queue and leave in order. A refusal is printed and exits 3.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    QueueReader,
    QueueWriter,
    RingError,
    inspect_ring,
)
from engine.bus.shm import BusError
from engine.bus.wait import Sleeper
from engine.wire.records import RECORD_WORDS

REFUSED = 3
SLEEP_US_MAX = 3_600_000_000  # who is missed hangs, and the test sees it
BATCH_MAX = 61  # prime, so that batches and ring wrap out of step


def records(first: int, count: int) -> np.ndarray:
    """Return the records number `first` and up, int64[count, 16]: word 0 is the number, the others
    depend on it and on their place, so that no two records share a word."""
    numbers = np.arange(first, first + count, dtype=np.int64)[:, None]
    rows = numbers * 0x1E3779B97F4A7C15 + np.arange(RECORD_WORDS) * 0x517CC1B727220A95
    rows[:, 0] = numbers[:, 0]
    return rows


def offer(path: Path, run_id: int, count: int) -> None:
    """Offer records until `count` are in, yielding the core while the queue is full."""
    writer = QueueWriter(path, run_id)
    position = inspect_ring(path).head
    batch = 1
    while not count or position < count:
        rows = records(position, min(batch, count - position) if count else batch)
        while not writer.offer(rows):
            os.sched_yield()
        position += len(rows)
        batch = batch % BATCH_MAX + 1
    writer.close()


def publish(path: Path, run_id: int, count: int) -> None:
    """Publish records until `count` are out, waiting for nobody."""
    writer = BroadcastWriter(path, run_id)
    position = inspect_ring(path).head
    batch = 1
    while not count or position < count:
        rows = records(position, min(batch, count - position) if count else batch)
        writer.publish(rows)
        position += len(rows)
        batch = batch % BATCH_MAX + 1
    writer.close()


def echo(path: Path, run_id: int, count: int) -> None:
    """Send back `count` records, one at a time."""
    reader, writer = QueueReader(path, run_id), QueueWriter(path.with_name("back.ring"), run_id)
    sleeper = Sleeper([reader])
    row = np.empty((1, RECORD_WORDS), np.int64)
    while count:
        if reader.poll(row):
            writer.offer(row)
            count -= 1
        else:
            sleeper.sleep(SLEEP_US_MAX)
    sleeper.close()
    writer.close()
    reader.close()


def follow(path: Path, run_id: int) -> None:
    """Read whatever comes, saying so at the first record."""
    reader = BroadcastReader(path, run_id, from_start=True)
    out = np.empty((64, RECORD_WORDS), np.int64)
    while not reader.poll(out):
        os.sched_yield()
    print("reading", flush=True)
    while True:
        reader.poll(out)
        os.sched_yield()


def main(role: str, path: Path, run_id: int, count: int = 0) -> int:
    """Play one role; return the exit code."""
    try:
        if role == "offer":
            offer(path, run_id, count)
        elif role == "publish":
            publish(path, run_id, count)
        elif role == "follow":
            follow(path, run_id)
        elif role == "echo":
            echo(path, run_id, count)
        elif role == "attach-writer":
            QueueWriter(path, run_id).close()
        elif role == "attach-reader":
            QueueReader(path, run_id).close()
        else:
            raise RingError(f"no such role: role={role}")
    except BusError as error:
        print(error)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])))
