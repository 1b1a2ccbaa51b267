"""A ring is a list: whatever is written and polled in whatever order, within one process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
    inspect_ring,
)
from engine.wire.records import RECORD_WORDS

RUN_ID = 41
CAPACITIES = st.sampled_from([2, 4, 8, 16])
COUNTS = st.integers(0, 40)


def records(first: int, count: int) -> np.ndarray:
    """Return the records number `first` and up, each word of each record different."""
    start = first * RECORD_WORDS
    return np.arange(start, start + count * RECORD_WORDS).reshape(count, RECORD_WORDS)


class QueueIsAList(RuleBasedStateMachine):
    """A queue against a list, with either side leaving and coming back at any time."""

    @initialize(capacity=CAPACITIES)
    def make(self, capacity: int) -> None:
        """Make a ring in a folder of its own."""
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "q.ring"
        create_ring(self.path, Discipline.QUEUE, capacity, RUN_ID)
        self.writer = QueueWriter(self.path, RUN_ID)
        self.reader = QueueReader(self.path, RUN_ID)
        self.capacity, self.offered, self.taken = capacity, 0, 0

    @rule(count=COUNTS)
    def offer(self, count: int) -> None:
        """All rows go in when they fit, and none when they do not."""
        count = min(count, self.capacity)
        fits = self.offered - self.taken + count <= self.capacity
        assert self.writer.offer(records(self.offered, count)) is fits
        self.offered += count if fits else 0

    @rule(room=COUNTS)
    def poll(self, room: int) -> None:
        """The oldest records come out, as many as there are and there is room for."""
        assert self.reader.has_news is (self.offered > self.taken)
        out = np.full((room, RECORD_WORDS), -1)
        count = self.reader.poll(out)
        assert count == min(room, self.offered - self.taken)
        assert (out[:count] == records(self.taken, count)).all()
        assert (out[count:] == -1).all()
        self.taken += count

    @rule()
    def writer_returns(self) -> None:
        """A new writer goes on where the last one stopped."""
        self.writer.close()
        self.writer = QueueWriter(self.path, RUN_ID)

    @rule()
    def reader_returns(self) -> None:
        """A new reader goes on where the last one stopped."""
        self.reader.close()
        self.reader = QueueReader(self.path, RUN_ID)

    @invariant()
    def seen_from_outside(self) -> None:
        """An observer sees both positions."""
        if hasattr(self, "path"):
            info = inspect_ring(self.path)
            assert (info.head, info.tail) == (self.offered, self.taken)
            assert info.lag == self.offered - self.taken

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "path"):
            self.writer.close()
            self.reader.close()
            shutil.rmtree(self.folder)


class BroadcastIsAListThatForgets(RuleBasedStateMachine):
    """A broadcast ring against a list of which only the last `capacity` records are still there."""

    @initialize(capacity=CAPACITIES)
    def make(self, capacity: int) -> None:
        """Make a ring in a folder of its own, with two readers that know nothing of each other."""
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "b.ring"
        create_ring(self.path, Discipline.BROADCAST, capacity, RUN_ID)
        self.writer = BroadcastWriter(self.path, RUN_ID)
        self.readers = [BroadcastReader(self.path, RUN_ID) for _ in range(2)]
        self.positions, self.losses = [0, 0], [0, 0]
        self.capacity, self.published = capacity, 0

    @rule(count=COUNTS)
    def publish(self, count: int) -> None:
        """A writer publishes any number of records, also more than the ring holds."""
        self.writer.publish(records(self.published, count))
        self.published += count

    @rule(who=st.integers(0, 1), room=COUNTS)
    def poll(self, who: int, room: int) -> None:
        """A reader gets the records in order, or knows exactly how many it missed before them."""
        assert self.readers[who].has_news is (self.published > self.positions[who])
        if room and self.published - self.positions[who] > self.capacity:
            firm = self.published - self.capacity // 2
            self.losses[who] += firm - self.positions[who]
            self.positions[who] = firm
        out = np.full((room, RECORD_WORDS), -1)
        count = self.readers[who].poll(out)
        assert self.readers[who].lost == self.losses[who]
        assert count == min(room, self.published - self.positions[who])
        assert (out[:count] == records(self.positions[who], count)).all()
        assert (out[count:] == -1).all()
        self.positions[who] += count
        assert self.readers[who].lag == self.published - self.positions[who]

    @rule()
    def writer_returns(self) -> None:
        """A new writer goes on where the last one stopped."""
        self.writer.close()
        self.writer = BroadcastWriter(self.path, RUN_ID)

    @rule(who=st.integers(0, 1), from_start=st.booleans())
    def reader_returns(self, who: int, from_start: bool) -> None:
        """A new reader begins at the newest record, or at the first and counts what is gone."""
        self.readers[who].close()
        self.readers[who] = BroadcastReader(self.path, RUN_ID, from_start=from_start)
        self.positions[who] = 0 if from_start else self.published
        self.losses[who] = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "path"):
            self.writer.close()
            for reader in self.readers:
                reader.close()
            shutil.rmtree(self.folder)


class TestQueue(QueueIsAList.TestCase):  # type: ignore[misc]
    """Nothing is lost, doubled or reordered in a queue."""

    settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


class TestBroadcast(BroadcastIsAListThatForgets.TestCase):  # type: ignore[misc]
    """A broadcast reader sees the exact records or counts them as lost."""

    settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
