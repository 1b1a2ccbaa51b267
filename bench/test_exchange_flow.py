"""Order flow through the local exchange: how many operations a second it takes, and how late.

In process this is a backtest's speed and how fast a simulated day passes; over HTTP it is how many
clients one exchange can serve. A regression makes tests and paper runs slower and, beyond what a
strategy sends, makes the paper venue later than the real one. The goals are 20,000 operations a
second in process and 1,500 over HTTP.

```
in process    one round = one operation: 45 % resting orders, 35 % cancels, 20 % takers
over HTTP     8 connections ══ one signed request each ══> exchange, a process of its own
              one round = 8 orders posted, or the same 8 cancelled; every request is timed alone
```
`operations_per_s` is what a clock on the wall says, with all else that the machine does meanwhile;
`operations_per_cpu_s` counts the exchange's own processor time only. The client needs a thirtieth
of the time: it is not what is measured.
"""

from __future__ import annotations

import gc
import math
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson
import pytest
from central_support import Floor
from percentiles import note_percentiles
from pytest_benchmark.fixture import BenchmarkFixture

from engine.exchange.exchange import COLLECT_AFTER
from engine.wire.codes import Side, Tif
from signer.amounts import limit_amounts
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.order_v2 import Order, body, order_hash

OPERATIONS = 4_000
SETTLE_EVERY = 200
CONNECTIONS = 8
BATCHES = 100
CENT = 10_000


class Flow:
    """A mixed flow on one market. `step` does the next operation."""

    def __init__(self, seed: int) -> None:
        self.floor = Floor(traders=4)
        for trader in range(4):
            self.floor.give_sets(trader, 400)
        self._chance = random.Random(seed)
        self._alive: list[tuple[int, str]] = []
        self.done = 0

    def plan(self) -> Callable[[], object]:
        """Return the next operation, with everything about it decided."""
        chance, floor = self._chance, self.floor
        self.done += 1
        if self.done % SETTLE_EVERY == 0:
            floor.schedule.advance(floor.schedule.now_ms + 10_000)
        what = chance.random()
        if what < 0.35 and len(self._alive) > 40:
            trader, name = self._alive.pop(chance.randrange(len(self._alive)))
            return partial(floor.venue.cancel, floor.traders[trader], [name])
        trader, outcome = chance.randrange(2), chance.randint(0, 1)
        if what < 0.8:
            side = chance.choice([Side.BUY, Side.SELL])
            cents = chance.randint(38, 48) if side == Side.BUY else chance.randint(52, 62)
            return partial(self._rest, trader, side, cents, outcome)
        return partial(floor.send, 2 + trader, Side.BUY, 55, 5, Tif.FAK, outcome=outcome)

    def _rest(self, trader: int, side: Side, cents: int, outcome: int) -> None:
        name = self.floor.send(trader, side, cents, 5, outcome=outcome, post_only=True)
        self._alive.append((trader, name))


@pytest.fixture
def collector() -> Iterator[None]:
    """Let the garbage collector do as it does where the exchange is served."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
@pytest.mark.benchmark(group="exchange: one operation of a mixed order flow, in process")
def test_operations_in_process(benchmark: BenchmarkFixture) -> None:
    """Rules, money, matching and both displayed books, without sockets or signatures."""
    flow = Flow(1)

    def setup() -> tuple[tuple[Callable[[], object]], dict[str, Any]]:
        return (flow.plan(),), {}

    benchmark.pedantic(lambda step: step(), setup=setup, rounds=OPERATIONS, warmup_rounds=200)
    assert benchmark.disabled or len(flow.floor.venue.trades) > OPERATIONS // 10
    note_percentiles(benchmark, units=1)
    _note_rate(benchmark, units=1)
    if not benchmark.disabled:
        cpu_s = 0.0
        for _ in range(OPERATIONS):
            step = flow.plan()
            begun_s = time.process_time()
            step()
            cpu_s += time.process_time() - begun_s
        _note_cpu_rate(benchmark, OPERATIONS, cpu_s)


@contextmanager
def exchange() -> Iterator[dict[str, Any]]:
    """Run a closed exchange; give its ready line."""
    options = ["--mode", "closed", "--rate-limits", "off", "--eoa-only", "--taker-delay-ms", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.exchange", "--ready-json", "--seed", "bench", *options],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


class Client:
    """Signed requests, made beforehand, over warm connections."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._ready = ready
        account = ready["accounts"][0]
        self._key = SigningKey.from_hex(account["private_key"])
        api = account["api"]
        credentials = ApiCredentials(api["key"], api["secret"], api["passphrase"])
        self._l2 = L2Signer(credentials, self._key.address)
        self._api_key = api["key"]
        host, port = ready["rest"].removeprefix("http://").split(":")
        self._address = (host, int(port))
        self._sockets = [socket.create_connection(self._address) for _ in range(CONNECTIONS)]
        self.latencies_s: list[float] = []
        for connection in self._sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def batches(self, count: int) -> list[list[bytes]]:
        """Return batches of requests: orders, then their cancels, and so on."""
        out: list[list[bytes]] = []
        for number in range(count):
            orders = [self._order(number * CONNECTIONS + n) for n in range(CONNECTIONS)]
            out.append([self._request("POST", text) for text, _ in orders])
            cancels = [b'{"orderID":"%b"}' % name.encode() for _, name in orders]
            out.append([self._request("DELETE", text) for text in cancels])
        return out

    def exchange(self, batch: list[bytes]) -> int:
        """Send one request on each connection, hear all answers; return how many were 200."""
        begun = []
        for connection, request in zip(self._sockets, batch, strict=True):
            begun.append(time.perf_counter())
            connection.sendall(request)
        good = 0
        for connection, start in zip(self._sockets, begun, strict=True):
            good += connection.recv(65_536).startswith(b"HTTP/1.1 200")
            self.latencies_s.append(time.perf_counter() - start)
        return good

    def close(self) -> None:
        """Close the connections."""
        for connection in self._sockets:
            connection.close()

    def _order(self, salt: int) -> tuple[bytes, str]:
        market = self._ready["markets"][0]
        token, price = int(market["tokens"][0]), (30 + salt % 15) * CENT
        maker, taker = limit_amounts(Side.BUY, price, 5_000_000, CENT)
        address = self._key.address
        order = Order(salt + 1, address, address, token, maker, taker, int(Side.BUY), 0, 1)
        digest = order_hash(order, exchange_domain(2, 137, False).separator())
        text = body(order, self._key.sign(digest), self._api_key, Tif.GTC, post_only=True)
        return text, "0x" + digest.hex()

    def _request(self, method: str, text: bytes) -> bytes:
        headers = self._l2.headers(int(time.time()), method, "/order", text)
        lines = [f"{method} /order HTTP/1.1", f"Host: {self._address[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Content-Type: application/json", f"Content-Length: {len(text)}", "", ""]
        return "\r\n".join(lines).encode() + text


@pytest.mark.benchmark(group="exchange: 8 signed requests over HTTP")
def test_operations_over_http(benchmark: BenchmarkFixture) -> None:
    """Authentication, the order's own signature, the desk and the answer, one process each side."""
    with exchange() as ready:
        client = Client(ready)
        batches = client.batches(BATCHES if not benchmark.disabled else 1)
        supply = cycle(batches)

        def setup() -> tuple[tuple[list[bytes]], dict[str, Any]]:
            return (next(supply),), {}

        rounds = len(batches)
        begun_s = _cpu_s(ready["pid"])
        good = benchmark.pedantic(client.exchange, setup=setup, rounds=rounds)
        cpu_s = _cpu_s(ready["pid"]) - begun_s
        client.close()
    assert good == CONNECTIONS
    _note_rate(benchmark, units=CONNECTIONS)
    if not benchmark.disabled:
        _note_cpu_rate(benchmark, rounds * CONNECTIONS, cpu_s)
        latencies = sorted(client.latencies_s)
        for name, quantile in (("p50_us", 0.50), ("p99_us", 0.99)):
            rank = max(1, math.ceil(quantile * len(latencies)))
            benchmark.extra_info[name] = round(latencies[rank - 1] * 1e6, 1)


def _cpu_s(pid: int) -> float:
    """Return the seconds of processor time a process of one thread has had."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _note_cpu_rate(benchmark: BenchmarkFixture, operations: int, cpu_s: float) -> None:
    """Note operations a second of the exchange's own processor time."""
    benchmark.extra_info["operations_per_cpu_s"] = round(operations / cpu_s)


def _note_rate(benchmark: BenchmarkFixture, *, units: int) -> None:
    """Put operations a second, all rounds together, into the benchmark's extra info."""
    if benchmark.disabled or benchmark.stats is None:
        return
    data = benchmark.stats.stats.data
    benchmark.extra_info["operations_per_s"] = round(len(data) * units / sum(data))
