"""`python bench/peers/ipc.py`: 128-byte records from one process to another, by every usual way.

```
 sender (core 0)                                    receiver (last core)
 word 0 = monotonic clock ── ring, socket, pipe ──> clock - word 0
```
*Paced*: a record now and then, one-way latency; a receiver waits as its way allows. *Streamed*: as
many as go through; the ring takes 64 a call, as a feed does. Nobody may lose a record.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Self

import numpy as np
import zmq
from peers.field import play, tell

from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.host import pin
from engine.wire.records import RECORD_BYTES, RECORD_WORDS

RUN_ID = 1
BATCH, CAPACITY = 64, 4096
PACED, GAP_NS = 400, 200_000
ROUND_S_MAX, END_S_MAX = 60.0, 5.0
STREAMED = {"ring": 64_000, "zeromq": 8_000, "pipe": 8_000, "queue": 4_000, "iceoryx2": 4_000}
LABELS = {
    "ring": "**halftick ring**",
    "zeromq": "pyzmq, ipc PUSH/PULL",
    "pipe": "multiprocessing.Pipe",
    "queue": "multiprocessing.Queue",
    "iceoryx2": "iceoryx2",
}


class Stuck(Exception):
    """A round that does not end; the message says which way."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where both ends meet. Inherited by the sending process."""

    folder: Path
    pipe: Connection
    queue: Queue[bytes]


class Message(ctypes.Structure):
    """A record, as iceoryx2 carries it."""

    _fields_ = (("words", ctypes.c_int64 * RECORD_WORDS),)


Send = Callable[[np.ndarray], None]  # int64[n, 16]
Take = Callable[[], np.ndarray]  # waits; int64[n], word 0 of each record


@contextlib.contextmanager
def ring_sender(at: Address) -> Iterator[Send]:
    """All rows in one call; a full ring is tried again."""
    writer = QueueWriter(at.folder / "ring", RUN_ID)

    def send(rows: np.ndarray) -> None:
        while not writer.offer(rows):
            os.sched_yield()

    yield send
    writer.close()


@contextlib.contextmanager
def ring_receiver(at: Address) -> Iterator[Take]:
    """Polls, and yields while there is nothing."""
    create_ring(at.folder / "ring", Discipline.QUEUE, CAPACITY, RUN_ID)
    reader = QueueReader(at.folder / "ring", RUN_ID)
    out = np.empty((256, RECORD_WORDS), np.int64)

    def take() -> np.ndarray:
        while not (count := reader.poll(out)):
            os.sched_yield()
        return out[:count, 0]

    yield take
    reader.close()


@contextlib.contextmanager
def zeromq_sender(at: Address) -> Iterator[Send]:
    """One message a record."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(f"ipc://{at.folder}/zmq")
        yield lambda rows: _each(rows, socket.send)


@contextlib.contextmanager
def zeromq_receiver(at: Address) -> Iterator[Take]:
    """Sleeps in the kernel until there is one."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(f"ipc://{at.folder}/zmq")
        yield lambda: np.frombuffer(socket.recv(), np.int64)[:1]


@contextlib.contextmanager
def pipe_sender(at: Address) -> Iterator[Send]:
    """One message a record."""
    yield lambda rows: _each(rows, at.pipe.send_bytes)


def queue_sender(at: Address) -> contextlib.AbstractContextManager[Send]:
    """One object a record, pickled by the queue's own thread."""
    return contextlib.nullcontext(lambda rows: _each(rows, at.queue.put))


@contextlib.contextmanager
def iceoryx2_sender(at: Address) -> Iterator[Send]:
    """One loaned sample a record; blocks when the receiver is behind."""
    import iceoryx2

    builder = _iceoryx2_service(at).publisher_builder()
    strategy = iceoryx2.BackpressureStrategy.RetryUntilDelivered
    publisher = builder.backpressure_strategy(strategy).create()

    def send(rows: np.ndarray) -> None:
        for row in rows:
            sample = publisher.loan_uninit()
            sample.write_payload(Message.from_buffer_copy(row)).send()

    yield send


@contextlib.contextmanager
def iceoryx2_receiver(at: Address) -> Iterator[Take]:
    """Polls, and yields while there is nothing."""
    subscriber = _iceoryx2_service(at).subscriber_builder().create()

    def take() -> np.ndarray:
        while (sample := subscriber.receive()) is None:
            os.sched_yield()
        stamp = sample.payload().contents.words[0]
        sample.delete()
        return np.array([stamp])

    yield take


def _iceoryx2_service(at: Address) -> Any:
    import iceoryx2

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    builder = node.service_builder(iceoryx2.ServiceName.new(at.folder.name))
    service = builder.publish_subscribe(Message)
    return service.enable_safe_overflow(False).subscriber_max_buffer_size(1024).open_or_create()


def _each(rows: np.ndarray, send: Callable[[bytes], object]) -> None:
    for row in rows:
        send(row.tobytes())


SENDERS: dict[str, Callable[[Address], contextlib.AbstractContextManager[Send]]] = {
    "ring": ring_sender,
    "zeromq": zeromq_sender,
    "pipe": pipe_sender,
    "queue": queue_sender,
    "iceoryx2": iceoryx2_sender,
}


def serve(commands: Connection, at: Address, names: tuple[str, ...]) -> None:
    """The sending process: obey `(way, records, gap_ns)` until None."""
    pin.pin_to(pin.cores()[0])
    with contextlib.ExitStack() as stack:
        senders = {name: stack.enter_context(SENDERS[name](at)) for name in names}
        commands.send("ready")
        while (command := commands.recv()) is not None:
            name, count, gap_ns = command
            batch = BATCH if name == "ring" and not gap_ns else 1
            rows = np.zeros((batch, RECORD_WORDS), np.int64)
            for _ in range(0, count, batch):
                if gap_ns:
                    time.sleep(gap_ns / 1e9)
                rows[:, 0] = time.monotonic_ns()
                senders[name](rows)


class Ways:
    """The receiving side of all ways, and the process at the other end."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._stack = contextlib.ExitStack()
        self._takes: dict[str, Take] = {}

    def __enter__(self) -> Self:
        assert ctypes.sizeof(Message) == RECORD_BYTES
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        folder = tempfile.TemporaryDirectory(prefix="halftick-ipc-", dir=memory)
        spawn = multiprocessing.get_context("spawn")
        inbox, outbox = spawn.Pipe(duplex=False)
        queue: Queue[bytes] = spawn.Queue()
        at = Address(Path(self._stack.enter_context(folder)), outbox, queue)
        receivers = {
            "ring": ring_receiver,
            "zeromq": zeromq_receiver,
            "iceoryx2": iceoryx2_receiver,
        }
        for name in self._names:
            if name in receivers:
                self._takes[name] = self._stack.enter_context(receivers[name](at))
        self._takes["pipe"] = lambda: np.frombuffer(inbox.recv_bytes(), np.int64)[:1]
        self._takes["queue"] = lambda: np.frombuffer(queue.get(), np.int64)[:1]
        self._commands, theirs = spawn.Pipe()
        sender = spawn.Process(target=serve, args=(theirs, at, self._names), daemon=True)
        sender.start()
        self._stack.callback(_end, sender)
        self._stack.callback(self._commands.send, None)
        if not self._commands.poll(ROUND_S_MAX):
            self._stack.close()
            raise Stuck(f"the sender did not start: within_s={ROUND_S_MAX}")
        self._commands.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def paced(self, name: str) -> list[int]:
        """Return the one-way latency of single records, nanoseconds; Stuck if they do not come."""
        with within(name):
            self._commands.send((name, PACED, GAP_NS))
            return latencies(self._takes[name], PACED)

    def streamed(self, name: str) -> float:
        """Return nanoseconds a record when as many as possible are sent; Stuck as above."""
        left = STREAMED[name]
        with within(name):
            began_ns = time.monotonic_ns()
            self._commands.send((name, left, 0))
            take = self._takes[name]
            while left > 0:
                left -= len(take())
            return (time.monotonic_ns() - began_ns) / STREAMED[name]


def latencies(take: Take, count: int) -> list[int]:
    """Return the one-way latency of `count` records, nanoseconds, however many come at once."""
    spent: list[int] = []
    while len(spent) < count:
        stamps = take()
        now_ns = time.monotonic_ns()
        spent += [now_ns - stamp for stamp in stamps.tolist()]
    return spent


@contextlib.contextmanager
def within(name: str, limit_s: float = ROUND_S_MAX) -> Iterator[None]:
    """Raise Stuck in the main thread where a round has not ended in time, wherever it waits."""

    def stop(_number: int, _frame: object) -> None:
        raise Stuck(f"no end of a round: way={name}, within_s={limit_s}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end(sender: multiprocessing.process.BaseProcess) -> None:
    """Wait for the sender; a round whose records are not taken any more is cut off."""
    sender.join(END_S_MAX)
    if sender.is_alive():
        sender.kill()
        sender.join()


def main() -> None:
    """Measure every way there is on this machine."""
    has_iceoryx2 = importlib.util.find_spec("iceoryx2") is not None
    names = tuple(name for name in SENDERS if name != "iceoryx2" or has_iceoryx2)
    with Ways(names) as ways:
        pin.pin_to(pin.cores()[-1])
        field = {LABELS[n]: lambda n=n: ways.paced(n) for n in names}
        streams = play({LABELS[n]: lambda n=n: [round(ways.streamed(n))] for n in names})
        paced = play(field, rounds=5)
    rates = {name: 1e9 / float(np.median(each)) for name, each in streams.items()}
    tell("ipc 128 B", paced, records_per_second=rates)


if __name__ == "__main__":
    main()
