"""C and Rust read and write our rings: every kind of record, field by field, by its name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conformance import KINDS, LANGUAGES, records
from signals import stop

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
    inspect_ring,
)
from engine.bus.ring_header import SLOTS_WORD
from engine.wire.records import RECORD_WORDS

RUN_ID = 1_700_000_001
REFUSED = 3
DEADLINE_S = 60.0
COUNT = 20_000

Peer = Callable[..., subprocess.Popen[str]]


@pytest.fixture(params=LANGUAGES)
def foreign(request: pytest.FixtureRequest, compiled, peer: Peer) -> Peer:
    """Start the peer of a language in one of the roles told in peer.c."""
    return partial(peer, program=compiled(request.param, "peer"))


def check(reader: QueueReader | BroadcastReader, count: int) -> int:
    """Read up to record `count`, comparing every byte; return how many were lost on the way."""
    out = np.empty((61, RECORD_WORDS), np.int64)
    wanted = records(0, count)
    position = lost = 0
    deadline = time.monotonic() + DEADLINE_S
    while position < count:
        taken = reader.poll(out)
        if isinstance(reader, BroadcastReader):
            position, lost = position + reader.lost - lost, reader.lost
        assert (out[:taken] == wanted[position : position + taken]).all()
        position += taken
        if not taken:
            assert time.monotonic() < deadline, f"nothing came: position={position}"
            os.sched_yield()
    return lost


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a peer; return the last line it printed."""
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output
    return (output.splitlines() or [""])[-1]


def test_there_are_records_of_every_kind():
    """The records exchanged here cover every kind that has a layout, and differ in every field."""
    rows = records(0, len(KINDS))
    assert sorted(rows[:, 0] & 0xFFFF) == KINDS
    assert (records(len(KINDS), len(KINDS)) != rows)[:, 1:4].all()


def test_we_read_the_queue_they_write(runtime_dir: Path, foreign: Peer):
    """Every kind arrives byte for byte, none lost, through a queue that wraps and fills."""
    path = runtime_dir / "exec.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    writer = foreign("offer", path, RUN_ID, COUNT)
    assert check(reader, COUNT) == 0
    finish(writer)
    assert inspect_ring(path).writer_pid == 0
    reader.close()


def test_they_read_the_queue_we_write(runtime_dir: Path, foreign: Peer):
    """They find every field of every kind by its name, none lost."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    reader = foreign("take", path, RUN_ID, COUNT)
    rows = records(0, COUNT)
    deadline = time.monotonic() + DEADLINE_S
    for first in range(0, COUNT, 7):
        while not writer.offer(rows[first : first + 7]):
            assert reader.poll() is None, reader.communicate()
            assert time.monotonic() < deadline, "the queue stays full"
            os.sched_yield()
    assert finish(reader) == "0"
    assert inspect_ring(path).reader_pid == 0
    writer.close()


@pytest.mark.parametrize("capacity", [16, 1 << 15])
def test_we_follow_the_broadcast_they_write(runtime_dir: Path, foreign: Peer, capacity: int):
    """What is received is exact and what is lost is counted, whether they lap us or not."""
    path = runtime_dir / "md.market.ring"
    create_ring(path, Discipline.BROADCAST, capacity, RUN_ID)
    reader = BroadcastReader(path, RUN_ID)
    writer = foreign("publish", path, RUN_ID, COUNT)
    lost = check(reader, COUNT)
    finish(writer)
    assert lost == 0 if capacity > COUNT else lost <= COUNT
    reader.close()


@pytest.mark.parametrize("capacity", [16, 1 << 15])
def test_they_follow_the_broadcast_we_write(runtime_dir: Path, foreign: Peer, capacity: int):
    """They see a record whole or count it lost; with room for all they lose none."""
    path = runtime_dir / "tape.ring"
    create_ring(path, Discipline.BROADCAST, capacity, RUN_ID)
    writer = BroadcastWriter(path, RUN_ID)
    reader = foreign("follow", path, RUN_ID, COUNT)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "attached\n"
    rows = records(0, COUNT)
    for first in range(0, COUNT, 7):
        writer.publish(rows[first : first + 7])
    lost = int(finish(reader))
    assert lost == 0 if capacity > COUNT else lost < COUNT
    writer.close()


def test_a_reader_lapped_while_it_slept_knows_it(runtime_dir: Path, foreign: Peer):
    """A peer that was stopped and overtaken reports all but the younger half of the ring lost."""
    path = runtime_dir / "tape.ring"
    create_ring(path, Discipline.BROADCAST, 16, RUN_ID)
    writer = BroadcastWriter(path, RUN_ID)
    reader = foreign("follow", path, RUN_ID, 100)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "attached\n"
    stop(reader.pid)
    writer.publish(records(0, 100))
    os.kill(reader.pid, signal.SIGCONT)
    assert finish(reader) == "92"
    writer.close()


def test_they_go_on_where_a_queue_stands(runtime_dir: Path, foreign: Peer):
    """A peer takes over the writer's place, and the reader's, from ours in mid-ring."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    assert writer.offer(records(0, 41))
    writer.close()
    finish(foreign("offer", path, RUN_ID, 50))
    ours = QueueReader(path, RUN_ID)
    out = np.empty((30, RECORD_WORDS), np.int64)
    assert ours.poll(out) == 30
    assert (out == records(0, 30)).all()
    ours.close()
    assert finish(foreign("take", path, RUN_ID, 50)) == "0"


def test_they_refuse_a_record_that_was_changed(runtime_dir: Path, foreign: Peer):
    """Peers compute our seals: what was changed after it was offered ends their reading there."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    assert writer.offer(records(0, 50))
    file = np.memmap(path, np.int64, "r+")
    file[SLOTS_WORD + 41 * RECORD_WORDS + 5] ^= 1 << 20
    reader = foreign("take", path, RUN_ID, 50)
    output, _ = reader.communicate(timeout=DEADLINE_S)
    assert (reader.returncode, output.split()[-1]) == (REFUSED, "damaged")
    assert inspect_ring(path).tail == 41
    writer.close()


def test_we_refuse_a_record_of_theirs_that_was_changed(runtime_dir: Path, foreign: Peer):
    """We compute their seals: what came before the change is taken, nothing after."""
    path = runtime_dir / "exec.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    finish(foreign("offer", path, RUN_ID, 50))
    file = np.memmap(path, np.int64, "r+")
    file[SLOTS_WORD + 41 * RECORD_WORDS + 5] ^= 1 << 20
    reader = QueueReader(path, RUN_ID)
    out = np.empty((64, RECORD_WORDS), np.int64)
    assert reader.poll(out) == 41
    assert (out[:41] == records(0, 41)).all()
    assert (reader.poll(out), reader.damaged) == (0, 42)
    reader.close()


@pytest.mark.parametrize(
    ("run_id", "role", "why"),
    [
        (RUN_ID + 1, "take", "another run"),
        (RUN_ID, "follow", "another discipline"),
        (RUN_ID, "take", "another layout"),
        (RUN_ID, "take", "truncated"),
        (RUN_ID, "take", "another one is attached"),
    ],
)
def test_they_refuse_what_we_refuse(
    runtime_dir: Path, foreign: Peer, run_id: int, role: str, why: str
):
    """Another run, discipline, layout or size, or a role that is taken, is refused by peers too."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    ours = QueueReader(path, RUN_ID) if "attached" in why else None
    header = np.memmap(path, np.int64, "r+")
    header[6] ^= why == "another layout"
    header.flush()
    if why == "truncated":
        os.truncate(path, 4096)
    refused = foreign(role, path, run_id, 1)
    output, _ = refused.communicate(timeout=DEADLINE_S)
    assert refused.returncode == REFUSED
    assert why in output
    if ours is not None:
        ours.close()
