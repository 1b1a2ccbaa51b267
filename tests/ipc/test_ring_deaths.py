"""A process dies, stands still, or has its ring cut: what the others see, and how they go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from conformance import records
from deadlines import wait_until
from signals import stop

from engine.bus import shm
from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
    inspect_ring,
)
from engine.bus.shm import BusError
from engine.wire.records import RECORD_WORDS

RUN_ID = 77
DEADLINE_S = 60.0


def poll(reader: QueueReader | BroadcastReader) -> np.ndarray:
    """Return what a reader has, int64[n, 16]."""
    out = np.empty((256, RECORD_WORDS), np.int64)
    return out[: reader.poll(out)]


def break_a_slot(peer, program: Path, role: str, path: Path):
    """Start a writer that halts in the middle of a slot; return it."""
    writer = peer(role, path, RUN_ID, 0, program=program)
    assert writer.stdout.readline() == "inside\n"
    return writer


@pytest.mark.parametrize("published", [3, 8, 10, 16, 21])
def test_killed_inside_a_slot_of_a_broadcast(runtime_dir: Path, peer, compiled, published: int):
    """Half a record is never seen: not while its writer hangs in it, nor after kill -9, nor by who
    comes late; the record it spoilt is counted as lost, and the next writer begins there."""
    path = runtime_dir / "md.market.ring"
    create_ring(path, Discipline.BROADCAST, 8, RUN_ID)
    ours = BroadcastWriter(path, RUN_ID)
    near, far = BroadcastReader(path, RUN_ID), BroadcastReader(path, RUN_ID)
    for number in range(published):
        ours.publish(records(number, 1))
        if number < published - 2:
            poll(near)  # keeps two behind: it is never lapped
    ours.close()
    dying = break_a_slot(peer, compiled("c", "peer"), "break-publish", path)
    assert (poll(near) == records(published - 2, 2)).all()
    assert len(poll(near)) == near.lost == 0
    dying.kill()
    assert dying.wait(DEADLINE_S) == -signal.SIGKILL
    assert inspect_ring(path).writer_pid == dying.pid
    assert inspect_ring(path).head == published
    # The far reader stands at record 0, which was overwritten if the ring has been all round.
    is_lapped = published >= 8
    kept = poll(far)
    assert far.lost == (published - 4 if is_lapped else 0)
    assert (kept == records(far.lost, published - far.lost)).all()
    late = BroadcastReader(path, RUN_ID, from_start=True)
    assert len(poll(late)) + late.lost == published

    successor = BroadcastWriter(path, RUN_ID)
    successor.publish(records(published, 2))
    for reader in (near, far, late):
        assert (poll(reader) == records(published, 2)).all()
        reader.close()
    successor.close()


def test_killed_inside_a_slot_of_a_queue(runtime_dir: Path, peer, compiled):
    """A record half offered was not offered; the next writer puts a whole one in its place."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 8, RUN_ID)
    reader, ours = QueueReader(path, RUN_ID), QueueWriter(path, RUN_ID)
    assert ours.offer(records(0, 5))
    ours.close()
    dying = break_a_slot(peer, compiled("c", "peer"), "break-offer", path)
    assert (poll(reader) == records(0, 5)).all()
    assert len(poll(reader)) == 0
    dying.kill()
    dying.wait(DEADLINE_S)
    assert len(poll(reader)) == 0
    successor = QueueWriter(path, RUN_ID)
    assert successor.offer(records(5, 8))
    assert (poll(reader) == records(5, 8)).all()
    successor.close()
    reader.close()


def test_a_stopped_consumer_of_a_queue_loses_nothing(runtime_dir: Path, peer, compiled):
    """While it stands still offers are refused, all or nothing; continued, it gets every record."""
    path = runtime_dir / "orders.ring"
    create_ring(path, Discipline.QUEUE, 64, RUN_ID)
    writer = QueueWriter(path, RUN_ID)
    consumer = peer("take", path, RUN_ID, 200, program=compiled("c", "peer"))
    assert consumer.stdout.readline() == "attached\n"
    stop(consumer.pid)
    offered = 0
    while writer.offer(records(offered, 7)):
        offered += 7
    assert offered == 63
    assert writer.offer(records(offered, 1))
    assert not writer.offer(records(64, 1))
    assert inspect_ring(path).lag == 64
    os.kill(consumer.pid, signal.SIGCONT)
    for number in range(64, 200):
        while not writer.offer(records(number, 1)):
            assert consumer.poll() is None, consumer.communicate()
            os.sched_yield()
    output, _ = consumer.communicate(timeout=DEADLINE_S)
    assert (consumer.returncode, output) == (0, "0\n")
    writer.close()


def test_a_stopped_consumer_of_a_broadcast_delays_nobody(runtime_dir: Path, peer, compiled):
    """The writer laps it and another reader reads on; continued, it knows what it missed."""
    path = runtime_dir / "md.market.ring"
    create_ring(path, Discipline.BROADCAST, 16, RUN_ID)
    writer, other = BroadcastWriter(path, RUN_ID), BroadcastReader(path, RUN_ID)
    stopped = peer("follow", path, RUN_ID, 100, program=compiled("c", "peer"))
    assert stopped.stdout.readline() == "attached\n"
    stop(stopped.pid)
    for number in range(100):
        writer.publish(records(number, 1))
        assert (poll(other) == records(number, 1)).all()
    assert other.lost == 0
    os.kill(stopped.pid, signal.SIGCONT)
    output, _ = stopped.communicate(timeout=DEADLINE_S)
    assert (stopped.returncode, output) == (0, "92\n")  # all but the younger half of the ring
    writer.close()
    other.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_reader_comes_and_goes_unnoticed(runtime_dir: Path, peer, end: signal.Signals):
    """A broadcast reader that attaches, reads and is killed changes no byte for the others."""
    path = runtime_dir / "tape.ring"
    create_ring(path, Discipline.BROADCAST, 64, RUN_ID)
    writer, reader = BroadcastWriter(path, RUN_ID), BroadcastReader(path, RUN_ID)
    writer.publish(records(0, 10))
    before = path.read_bytes()
    second = peer("follow", path, RUN_ID)
    assert second.stdout.readline() == "reading\n"
    second.send_signal(end)
    assert second.wait(DEADLINE_S) == -end
    assert path.read_bytes() == before
    writer.publish(records(10, 10))
    assert (poll(reader) == records(0, 20)).all()
    assert reader.lost == 0
    writer.close()
    reader.close()


@pytest.mark.parametrize("size", [0, 4096])
def test_a_cut_ring_ends_who_uses_it_and_is_refused_after(runtime_dir: Path, peer, size: int):
    """Who touches what is gone dies of SIGBUS; who holds the file can see it before touching it,
    and nobody attaches to it again."""
    path = runtime_dir / "md.market.ring"
    create_ring(path, Discipline.BROADCAST, 4096, RUN_ID)
    held = shm.attach(path, writable=False)
    writer = peer("publish", path, RUN_ID)
    wait_until(lambda: inspect_ring(path).head > 0, DEADLINE_S, "the writer writes")
    assert held.is_whole
    os.truncate(path, size)
    assert not held.is_whole
    assert writer.wait(DEADLINE_S) == -signal.SIGBUS
    for attach in (BroadcastReader, BroadcastWriter):
        with pytest.raises(BusError, match=r"truncated|not a ring"):
            attach(path, RUN_ID)
    held.close()
