"""Rings: what one hop costs, and what the usual ways between processes would cost instead."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from ring_peer import BATCH, RUN_ID, serve

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
)
from engine.wire.records import RECORD_WORDS

CAPACITY = 4096
OUT = np.empty((256, RECORD_WORDS), np.int64)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[tuple[QueueWriter, QueueReader]]:
    """Both ends of a queue, in this process."""
    path = tmp_path / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    writer, reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
    yield writer, reader
    writer.close()
    reader.close()


@pytest.fixture
def broadcast(tmp_path: Path) -> Iterator[tuple[BroadcastWriter, BroadcastReader]]:
    """Both ends of a broadcast ring, in this process."""
    path = tmp_path / "md.ring"
    create_ring(path, Discipline.BROADCAST, CAPACITY, RUN_ID)
    writer, reader = BroadcastWriter(path, RUN_ID), BroadcastReader(path, RUN_ID)
    yield writer, reader
    writer.close()
    reader.close()


@pytest.mark.parametrize("count", [1, 5, 64])
def test_queue_hop(benchmark, queue, count: int):
    """Offer and poll `count` records: every order pays this twice, to the signer and back."""
    writer, reader = queue
    rows = np.ones((count, RECORD_WORDS), np.int64)

    def hop() -> int:
        writer.offer(rows)
        return reader.poll(OUT)

    assert benchmark(hop) == count


@pytest.mark.parametrize("count", [1, 5, 64])
def test_broadcast_hop(benchmark, broadcast, count: int):
    """Publish and poll `count` records: every frame pays this before the core sees it."""
    writer, reader = broadcast
    rows = np.ones((count, RECORD_WORDS), np.int64)

    def hop() -> int:
        writer.publish(rows)
        return reader.poll(OUT)

    assert benchmark(hop) == count
    assert reader.lost == 0


def test_empty_poll(benchmark, queue):
    """Look at a ring with nothing in it: the core does this with each of its rings every round."""
    _, reader = queue
    assert benchmark(reader.poll, OUT) == 0


def test_stream_between_processes(benchmark, tmp_path: Path):
    """Messages of 128 bytes a second from another process, beside ZeroMQ and multiprocessing.Queue.

    A feed burst must drain faster than the venue can send; a drop towards the peers' numbers would
    show as market data that is old when it is looked at. Rounds of the three are interleaved; the
    ratios of their medians are in `extra_info`.
    """
    path = tmp_path / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    scale = 1 if benchmark.disabled else 100
    counts = {"ring": 100 * BATCH * scale, "zeromq": 500 * scale, "queue": 200 * scale}
    address = f"ipc://{tmp_path}/zmq"
    spawn = multiprocessing.get_context("spawn")
    inbox = spawn.Queue()
    commands, theirs = spawn.Pipe()
    sender = spawn.Process(target=serve, args=(theirs, path, address, inbox))

    def drain_ring(count: int) -> None:
        while count > 0:
            taken = reader.poll(OUT)
            count -= taken
            if not taken:
                os.sched_yield()

    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(address)
        sender.start()
        assert commands.recv() == "ready"

        def drain_zeromq(count: int) -> None:
            for _ in range(count):
                socket.recv()

        def drain_queue(count: int) -> None:
            for _ in range(count):
                inbox.get()

        rates: dict[str, list[float]] = {name: [] for name in counts}

        def measure(name: str, drain: Callable[[int], None]) -> None:
            began = time.perf_counter()
            commands.send((name, counts[name]))
            drain(counts[name])
            rates[name].append(counts[name] / (time.perf_counter() - began))

        def the_others() -> None:
            measure("zeromq", drain_zeromq)
            measure("queue", drain_queue)

        benchmark.pedantic(measure, args=("ring", drain_ring), setup=the_others, rounds=5)
        commands.send(None)
        sender.join()
    reader.close()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        benchmark.extra_info[f"{name}_messages_per_second"] = round(median)
    benchmark.extra_info["times_zeromq"] = round(medians["ring"] / medians["zeromq"], 1)
    benchmark.extra_info["times_queue"] = round(medians["ring"] / medians["queue"], 1)
    assert sender.exitcode == 0
