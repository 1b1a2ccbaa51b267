"""Rings apart: nobody else can find them. Dry runs go through them as records do, unseen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
)
from engine.wire.records import RECORD_WORDS

CAPACITY = 64  # records
RUN_ID = 0  # of no run


@contextmanager
def ring_apart(folder: Path, discipline: Discipline) -> Iterator[Path]:
    """Make a ring whose file is gone afterwards: who attached in between has it to himself.

    folder: in memory, as the runtime directory is.  Errors: `BusError` where there is no room.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".apart-") as name:
        path = Path(name, "apart.ring")
        create_ring(path, discipline, CAPACITY, RUN_ID)
        yield path


class RingsApart:
    """Both ends of a broadcast ring and of a queue, for who reads the one and writes the other."""

    def __init__(self, folder: Path) -> None:
        """folder: as `ring_apart` takes it."""
        with ring_apart(folder, Discipline.BROADCAST) as path:
            self._market = BroadcastWriter(path, RUN_ID), BroadcastReader(path, RUN_ID)
        with ring_apart(folder, Discipline.QUEUE) as path:
            self._orders = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
        self._rows = np.zeros((CAPACITY, RECORD_WORDS), np.int64)

    def run(self, rows: np.ndarray) -> int:
        """Hot path. Pass records, int64[1 to 64, 16], through both; return how many came out."""
        writer, reader = self._market
        writer.publish(rows)
        count = reader.poll(self._rows)
        to_signer, orders = self._orders
        to_signer.offer(rows)
        return count + orders.poll(self._rows)

    def close(self) -> None:
        """Let go of them; then nothing of them is left."""
        for end in (*self._market, *self._orders):
            end.close()
