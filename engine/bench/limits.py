"""What native code would need for each stage of an order, measured here and now.

Each is the part of a stage that no language makes cheaper: a kernel that is machine code already,
the curve of libsecp256k1, a system call. Measured cold, as code is between two ticks: before a call
other memory is read until the caches hold nothing else. That is a little colder than a spinning
loop leaves them; a hot loop would flatter native code by a factor of three to ten.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from coincurve import PrivateKey

from engine.backoffice.hdr import P50, percentile
from engine.bench import market
from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.core import kernel
from engine.core.world.books import Books
from engine.wire.records import RECORD_WORDS
from feeds.clob_scan import scan
from feeds.instruments import Instruments
from feeds.rehearsal import small_market

CALLS, WARM_UP_CALLS = 400, 20
OTHERS_WORDS = 1 << 20  # 8 MiB: more than a core has caches of its own
BODY_BYTES, REQUEST_BYTES = 800, 1_200  # an order in the log, and on the socket
_BASE_SEQUENCE, _RING_RECORDS = 1, 64


def native_limits_us() -> dict[str, float]:
    """Return the least each stage of `engine.backoffice.latency.STAGES` could take, by its name."""
    decode, apply = _kernels()
    ring = _ring()
    return {
        "received_to_polled": decode + ring,
        "polled_to_published": apply,
        "published_to_signer": ring,
        "signed": _curve(),
        "logged": _file_write(),
        "sent": _socket_send(),
    }


def _p50_us(call: Callable[[], object], after: Callable[[], object] = lambda: None) -> float:
    """Return the p50 of cold calls, microseconds. after: what each call leaves to do, untimed."""
    others = np.ones(OTHERS_WORDS, np.int64)
    spent_ns = np.empty(CALLS, np.int64)
    for i in range(-WARM_UP_CALLS, CALLS):
        others.sum()
        began_ns = time.perf_counter_ns()
        call()
        spent_ns[i] = time.perf_counter_ns() - began_ns
        after()
    return percentile(spent_ns, P50) / 1_000


def _kernels() -> tuple[float, float]:
    """One tick's frame to rows, and its rows into the books."""
    instruments = Instruments()
    condition_id = bytes.fromhex(market.CONDITION_ID[2:])
    instruments.add(small_market(market.SLUG, condition_id, (market.UP, market.DOWN)))
    table = instruments.table
    frames = [np.frombuffer(market.frame(tick), np.uint8) for tick in range(market.STATE_TICKS)]
    out = np.zeros((_RING_RECORDS, RECORD_WORDS), np.int64)
    books, dirty = Books(4), np.zeros(4, np.int64)
    arrays = books.sizes, books.bits, books.tops, dirty
    dump = np.frombuffer(market.dump(), np.uint8)
    rows = scan(dump, 1, table.slots, table.rows, out)
    kernel.apply_market_data(out, 0, rows, _BASE_SEQUENCE, *arrays)
    rows = scan(frames[0], 1, table.slots, table.rows, out)
    return (
        _p50_us(lambda: scan(frames[0], 1, table.slots, table.rows, out)),
        _p50_us(lambda: kernel.apply_market_data(out, 0, rows, _BASE_SEQUENCE, *arrays)),
    )


def _ring() -> float:
    """One record in and out again, both calls made from Python: half of it is the calls."""
    with tempfile.TemporaryDirectory(prefix="halftick-memo-") as folder:
        path = Path(folder, "limit.ring")
        create_ring(path, Discipline.QUEUE, _RING_RECORDS, 1)
        writer, reader = QueueWriter(path, 1), QueueReader(path, 1)
        row = np.zeros((1, RECORD_WORDS), np.int64)
        out = np.zeros_like(row)

        def hop() -> None:
            writer.offer(row)
            reader.poll(out)

        spent_us = _p50_us(hop)
        writer.close()
        reader.close()
    return spent_us


def _curve() -> float:
    key, digest = PrivateKey(b"\x42" * 32), b"\x17" * 32
    return _p50_us(lambda: key.sign_recoverable(digest, hasher=None))


def _file_write() -> float:
    body = bytes(BODY_BYTES)
    with tempfile.TemporaryFile() as file:
        descriptor = file.fileno()
        return _p50_us(lambda: os.write(descriptor, body))


def _socket_send() -> float:
    """A request handed to a loopback connection that somebody reads."""
    request = bytes(REQUEST_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        with ours, theirs:
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _p50_us(
                lambda: ours.send(request),
                lambda: theirs.recv(REQUEST_BYTES, socket.MSG_WAITALL),
            )
