"""The sending process of `test_ring.py`: streams 128-byte messages over a named transport."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np
import zmq

from engine.bus.ring import QueueWriter
from engine.wire.records import RECORD_BYTES, RECORD_WORDS

RUN_ID = 1
BATCH = 64
PACE_S = 0.001


def serve(commands: Connection, ring: Path, address: str, queue: Queue[bytes]) -> None:
    """Obey `(transport, messages)` until `None`."""
    writer = QueueWriter(ring, RUN_ID)
    rows = np.ones((BATCH, RECORD_WORDS), np.int64)
    message = bytes(RECORD_BYTES)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(address)
        commands.send("ready")
        while (command := commands.recv()) is not None:
            transport, count = command
            if transport == "ring":
                for _ in range(count // BATCH):
                    while not writer.offer(rows):
                        os.sched_yield()
            elif transport == "zeromq":
                for _ in range(count):
                    socket.send(message)
            elif transport == "paced":
                for _ in range(count):
                    time.sleep(PACE_S)
                    rows[0, 0] = time.perf_counter_ns()
                    writer.offer(rows[:1])
            else:
                for _ in range(count):
                    queue.put(message)
    writer.close()
