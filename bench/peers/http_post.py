"""`python bench/peers/http_post.py`: one order posted on a kept connection, beside HTTP clients.

```
 call ── write ────── whole request read: the answer's body is that moment ── answer ──> call ends
   `────────── out ──────────'                                                              |
   `────────────────────────────────── round trip ──────────────────────────────────────────'
```
No TLS. The server is a process of its own that parses no more than it must; waking it up is in all
rows alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import aiohttp
import httpx
import requests
import uvloop
from peers.field import play, tell
from signing import FULL, Desk

from engine.host import pin
from signer.http import Answer, Endpoint, Pool

HOST, CALLS = "127.0.0.1", 150
TIMEOUT_NS = 5_000_000_000


class Server(asyncio.Protocol):
    """Answers every whole request with the monotonic clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Take bytes; answer once head and body are there."""
        now_ns = time.monotonic_ns()
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if found and len(rest) >= length:
            self._buffer = b""
            body = b"%d" % now_ns
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            self._transport.write(answer)  # type: ignore[attr-defined]


def serve(ready: Connection) -> None:
    """The server process; ends with its parent."""
    pin.pin_to(pin.cores()[0])

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, HOST, 0)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, ready.poll, None)

    with contextlib.suppress(EOFError):
        uvloop.run(run())


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A running server; yields its URL."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://{HOST}:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


@dataclass(slots=True)
class Times:
    """Nanoseconds of each post of a round."""

    out: list[int] = field(default_factory=list)
    trip: list[int] = field(default_factory=list)

    def add(self, began_ns: int, arrived: bytes) -> None:
        """Take one answered post."""
        self.trip.append(time.monotonic_ns() - began_ns)
        self.out.append(int(arrived) - began_ns)


def order() -> tuple[bytes, dict[str, str], bytes]:
    """Return an order's whole request, and its headers and body for those who write their own."""
    request = Desk(FULL).request()
    head, _, body = request.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    framing = ("host", "content-length", "connection")
    return request, {k: v for k, _, v in lines if k.lower() not in framing}, body


class Posts:
    """Everyone who can post the order to a URL; each keeps its connection between rounds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._request, self._headers, self._body = order()
        self._loop = uvloop.new_event_loop()
        self._stack = contextlib.ExitStack()
        self._sync = self._stack.enter_context(httpx.Client())
        self._session = self._stack.enter_context(requests.Session())
        self._loop.run_until_complete(self._open())

    async def _open(self) -> None:
        self._pool = Pool(
            Endpoint.of(self._url),
            1,
            time.monotonic_ns,
            timeout_ns=TIMEOUT_NS,
            wait_ns_max=TIMEOUT_NS,
        )
        self._pool.start()
        self._aiohttp = aiohttp.ClientSession()

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()
        self._pool.close()
        self._loop.run_until_complete(self._aiohttp.close())
        self._loop.close()

    def ours(self) -> Times:
        """The signer's pool: bytes made in advance, one write."""

        async def post() -> bytes:
            done: asyncio.Future[Answer] = self._loop.create_future()
            self._pool.send(self._request, done.set_result)
            return (await done).body

        return self._async(post)

    def aiohttp(self) -> Times:
        """aiohttp on the same loop."""

        async def post() -> bytes:
            async with self._aiohttp.post(
                self._url, data=self._body, headers=self._headers
            ) as answer:
                return await answer.read()

        return self._async(post)

    def httpx(self) -> Times:
        """The official clients' library, HTTP/1.1."""
        return self._blocking(
            lambda: self._sync.post(self._url, content=self._body, headers=self._headers).content
        )

    def requests(self) -> Times:
        """requests with a session."""
        return self._blocking(
            lambda: self._session.post(self._url, data=self._body, headers=self._headers).content
        )

    @staticmethod
    def _blocking(post: Callable[[], bytes]) -> Times:
        times = Times()
        for _ in range(CALLS):
            began_ns = time.monotonic_ns()
            times.add(began_ns, post())
        return times

    def _async(self, post: Callable[[], Awaitable[bytes]]) -> Times:
        async def run() -> Times:
            times = Times()
            for _ in range(CALLS):
                began_ns = time.monotonic_ns()
                times.add(began_ns, await post())
            return times

        return self._loop.run_until_complete(run())


def main() -> None:
    """Measure all of them."""
    with server() as url:
        os.sched_setaffinity(0, {pin.cores()[-1]})
        with contextlib.closing(Posts(url)) as posts:
            everyone = {
                "**halftick signer**": posts.ours,
                "aiohttp": posts.aiohttp,
                "httpx": posts.httpx,
                "requests": posts.requests,
            }
            trips: dict[str, list[int]] = {name: [] for name in everyone}

            def one(name: str) -> list[int]:
                times = everyone[name]()
                trips[name] += times.trip
                return times.out

            out = play({name: lambda name=name: one(name) for name in everyone})
    median = {name: sorted(trip)[len(trip) // 2] / 1_000 for name, trip in trips.items()}
    tell("http post out", out, round_trip_p50_us=median)


if __name__ == "__main__":
    main()
