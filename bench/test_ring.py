"""Rings: what one hop costs, and what the usual ways between processes would cost instead."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from ring_hop import build_c, c_hops, cycles_per_ns, jitted_hops, warm_up
from ring_peer import BATCH, RUN_ID, serve

from engine.bus.ring import (
    BroadcastReader,
    BroadcastWriter,
    Discipline,
    QueueReader,
    QueueWriter,
    create_ring,
)
from engine.bus.wait import Sleeper
from engine.host import proc
from engine.host.idle import sleep_us
from engine.wire.records import RECORD_WORDS

CAPACITY = 4096
HOP_GAP_NS = 50_000
QUIET_NS_MAX = 5_000  # a hop beyond this has waited for the scheduler
YIELDS = 64  # before "park" and "futex" go to sleep
PARK_US = 100  # host.park_us, as it is set by default
SLEEP_US = 1_000
OUT = np.empty((256, RECORD_WORDS), np.int64)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, as the runtime directory is, where the machine has such a place."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def queue(memory: Path) -> Iterator[tuple[QueueWriter, QueueReader]]:
    """Both ends of a queue, in this process."""
    path = memory / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    writer, reader = QueueWriter(path, RUN_ID), QueueReader(path, RUN_ID)
    yield writer, reader
    writer.close()
    reader.close()


@pytest.fixture
def broadcast(memory: Path) -> Iterator[tuple[BroadcastWriter, BroadcastReader]]:
    """Both ends of a broadcast ring, in this process."""
    path = memory / "md.ring"
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


def test_look(benchmark, queue):
    """Ask whether a ring has news: the core asks each of its rings every round, and polls those
    that have. Four of them stand between a frame and the core's step."""
    _, reader = queue
    assert benchmark(lambda: reader.has_news) is False


def test_empty_poll(benchmark, queue):
    """Poll a ring with nothing in it: what a look spares."""
    _, reader = queue
    assert benchmark(reader.poll, OUT) == 0


def test_hop_between_cores(benchmark, memory: Path, tmp_path: Path):
    """One record from core to core, paced, beside a C ring of the same layout in the same run.

    Every frame pays this on its way to the core and every order on its way to the signer; at more
    than twice the C ring's median the machine is no longer the limit, the code is. Both sides spin
    on cores of their own; rounds are taken in turn, and of each side its quietest counts, for where
    neighbours take a core away the scheduler is measured.
    """
    program = build_c(tmp_path)
    cores = sorted(os.sched_getaffinity(0))
    if program is None or len(cores) < 2:
        pytest.skip("needs gcc, x86 and two cores")
    warm_up()
    count, rounds = (50, 1) if benchmark.disabled else (4_000, 7)
    per_ns = cycles_per_ns()
    gap_cycles = int(HOP_GAP_NS * per_ns)
    both = cores[0], cores[1]
    paths = {name: memory / f"{name}.ring" for name in ("jitted", "c")}
    for path in paths.values():
        create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    hops: dict[str, list[np.ndarray]] = {name: [] for name in paths}

    def play_c() -> None:
        hops["c"].append(c_hops(program, paths["c"], count, gap_cycles, both))

    def play_jitted() -> None:
        hops["jitted"].append(jitted_hops(paths["jitted"], count, gap_cycles, both))

    benchmark.pedantic(play_jitted, setup=play_c, rounds=rounds)
    info = benchmark.extra_info
    for name, rounds_taken in hops.items():
        quietest = min(rounds_taken, key=np.median) / per_ns
        info[f"{name}_p50_ns"] = round(np.median(quietest))
        info[f"{name}_p99_ns"] = round(np.percentile(quietest, 99))
    is_quiet = max(info["jitted_p50_ns"], info["c_p50_ns"]) < QUIET_NS_MAX
    ratio = round(info["jitted_p50_ns"] / info["c_p50_ns"], 2)
    info["times_c_p50"] = ratio if is_quiet else "inconclusive: a core was never free"


def test_stream_between_processes(benchmark, memory: Path):
    """Messages of 128 bytes a second from another process, beside ZeroMQ and multiprocessing.Queue.

    A feed burst must drain faster than the venue can send; a drop towards the peers' numbers would
    show as market data that is old when it is looked at. Rounds of the three are interleaved; the
    ratios of their medians are in `extra_info`.
    """
    path = memory / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    scale = 1 if benchmark.disabled else 100
    counts = {"ring": 100 * BATCH * scale, "zeromq": 500 * scale, "queue": 200 * scale}
    address = f"ipc://{memory}/zmq"
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


WAITS = ("spin", "yield", "park", "futex")


def test_waiting_for_a_paced_record(benchmark, memory: Path):
    """From offer to poll when records come a millisecond apart, by how the reader waits.

    In the profiles that leave the cores to others every tick pays this: the difference between
    `park` and `futex` is how late the core hears of a tick after a quiet moment. One round holds
    all four in turn; `cpu` is how much of a core the reader burnt.
    """
    path = memory / "orders.ring"
    create_ring(path, Discipline.QUEUE, CAPACITY, RUN_ID)
    reader = QueueReader(path, RUN_ID)
    sleeper = Sleeper([reader])
    proc.sleep_exactly()
    spawn = multiprocessing.get_context("spawn")
    inbox = spawn.Queue()
    commands, theirs = spawn.Pipe()
    sender = spawn.Process(target=serve, args=(theirs, path, f"ipc://{memory}/zmq", inbox))
    sender.start()
    assert commands.recv() == "ready"
    count, rounds = (20, 1) if benchmark.disabled else (500, 5)
    pauses: dict[str, Callable[[], object]] = {
        "spin": lambda: None,
        "yield": os.sched_yield,
        "park": lambda: sleep_us(PARK_US),
        "futex": lambda: sleeper.sleep(SLEEP_US),
    }
    taken: dict[str, list[int]] = {name: [] for name in WAITS}
    burnt: dict[str, float] = dict.fromkeys(WAITS, 0.0)
    spent: dict[str, float] = dict.fromkeys(WAITS, 0.0)

    def receive(name: str) -> None:
        commands.send(("paced", count))
        left, idle, pause = count, 0, pauses[name]
        began, began_cpu = time.perf_counter(), time.process_time()
        while left:
            got = reader.poll(OUT)
            if got:
                now_ns = time.perf_counter_ns()
                taken[name] += [now_ns - stamp for stamp in OUT[:got, 0].tolist()]
                left, idle = left - got, 0
            elif name in ("park", "futex") and idle < YIELDS:
                idle += 1
                os.sched_yield()
            else:
                pause()
        spent[name] += time.perf_counter() - began
        burnt[name] += time.process_time() - began_cpu

    def play() -> None:
        for name in WAITS:
            receive(name)

    benchmark.pedantic(play, rounds=rounds)
    commands.send(None)
    sender.join()
    sleeper.close()
    reader.close()
    for name in WAITS:
        for percent in (50, 99):
            us = np.percentile(taken[name], percent) / 1_000
            benchmark.extra_info[f"{name}_p{percent}_us"] = round(us, 1)
        benchmark.extra_info[f"{name}_cpu"] = round(burnt[name] / spent[name], 2)
