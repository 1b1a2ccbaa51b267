"""The venue of the bench: sends ticks on a fixed schedule, stamps the orders that answer them.

`python -m engine.bench.venue` prints `{"rest", "ws"}` and serves until its parent ends. It knows
clients by a prefix of every path (`/engine/order`, `/floor/ws/market`), and
`POST /round?client=C&ticks=N&rate=R` plays one round to one of them:

```
 intended ── sent ─────────── frame on the market socket ────────────> feed
                                                                         ...
 arrived <── last byte of the request read ── POST /order ────────── signer
```
The schedule is open: a tick's time does not wait for the answer to the one before. While a round is
played the loop never sleeps, only yields, so that an order is stamped when it is there and not when
a sleeping core has woken up. Every order is answered as the venue does when nothing can be matched
(fill-or-kill, killed): that end is definitive, and no position makes later ticks dearer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from engine.bench import market
from engine.host import pin, proc

HOST = "127.0.0.1"
GRACE_NS = 500_000_000  # how long orders of a finished round may still come
LEAD_NS = 20_000_000  # from the request for a round to its first tick

_MICROS = 1_000_000
_LENGTH = b"content-length:"
_SIZE = b'"takerAmount":"'
_KILLED = (
    b'{"error":"order couldn\'t be fully filled. FOK orders are fully filled or killed.",'
    b'"success":false,"orderID":""}'
)
_NOTHING = b'{"data":[],"next_cursor":"LTE="}'
_BALANCE = b'{"balance":"1000000000000000","allowances":{"exchange":"1000000000000000"}}'
_NO_SHARES = b'{"balance":"0","allowances":{"exchange":"1000000000000000"}}'
_CANCELED = b'{"canceled":[],"not_canceled":{}}'


class Round(NamedTuple):
    """One round, monotonic nanoseconds, a value a tick; arrived_ns: 0 = no order came."""

    first_tick: int
    intended_ns: list[int]
    sent_ns: list[int]
    arrived_ns: list[int]


class Client:
    """One subscriber of the market socket and the orders it sends."""

    def __init__(self) -> None:
        self.market: WSTransport | None = None
        self.ticks = 0  # sent so far
        self.arrived_ns = np.zeros(market.TICKS, np.int64)  # by tick, modulo TICKS

    def on_order(self, request: bytes, arrived_ns: int) -> None:
        """Hot path. Note when the order of a tick was here."""
        first = request.find(_SIZE) + len(_SIZE)
        size = int(request[first : request.find(b'"', first)])
        self.arrived_ns[market.tick_of(size) % market.TICKS] = arrived_ns

    async def play(self, ticks: int, rate: int) -> Round:
        """Send ticks at a fixed rate a second; return the round once the last is answered."""
        transport, first = self.market, self.ticks
        if transport is None or not 0 < ticks <= market.ROUND_TICKS_MAX:
            raise ValueError(f"round cannot be played: ticks={ticks}, subscribed={transport}")
        frames = [market.frame(first + i) for i in range(ticks)]
        cells = np.arange(first, first + ticks) % market.TICKS
        self.arrived_ns[cells] = 0
        begin_ns = time.monotonic_ns() + LEAD_NS
        intended_ns = [begin_ns + i * 1_000_000_000 // rate for i in range(ticks)]
        sent_ns: list[int] = []
        for frame, due_ns in zip(frames, intended_ns, strict=True):
            while time.monotonic_ns() < due_ns:
                await _yield()
            sent_ns.append(time.monotonic_ns())
            transport.send(WSMsgType.TEXT, frame)
            self.ticks += 1
        late_ns = time.monotonic_ns() + GRACE_NS
        while time.monotonic_ns() < late_ns and not self.arrived_ns[cells[-1]]:
            await _yield()
        return Round(first, intended_ns, sent_ns, self.arrived_ns[cells].tolist())


async def _yield() -> None:
    """Let other processes run, then the loop serve its sockets; never sleep."""
    os.sched_yield()
    await asyncio.sleep(0)


class Subscriber(WSListener):
    """A client's market or user socket."""

    def __init__(self, client: Client, *, is_market: bool) -> None:
        super().__init__()
        self._client = client
        self._is_market = is_market

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer pings, and a subscription with the books."""
        text = frame.get_payload_as_bytes()
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        elif text == b"PING":
            transport.send(WSMsgType.TEXT, b"PONG")
        elif self._is_market:
            self._client.market = transport
            transport.send(WSMsgType.TEXT, market.dump())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget a subscriber that has gone."""
        if self._client.market is transport:
            self._client.market = None


class RestConnection(asyncio.Protocol):
    """One HTTP connection: whole requests out of bytes, stamped when the last byte was read."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hot path. Take bytes; answer every request they complete."""
        now_ns = time.monotonic_ns()
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            request = bytes(self._buffer[: end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._respond(self._answer(request, now_ns))

    def _respond(self, answer: tuple[int, bytes] | Awaitable[bytes]) -> None:
        if isinstance(answer, tuple):
            self._write(*answer)
        else:
            task = asyncio.ensure_future(self._write_later(answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write_later(self, answer: Awaitable[bytes]) -> None:
        try:
            self._write(200, await answer)
        except (ValueError, KeyError) as error:
            self._write(400, json.dumps({"error": str(error)}).encode())

    def _write(self, status: int, body: bytes) -> None:
        self._transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )


Answer = Callable[[bytes, int], tuple[int, bytes] | Awaitable[bytes]]


class Venue:
    """The routes of all clients."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    def client(self, name: str) -> Client:
        """Return a client by its prefix."""
        return self._clients.setdefault(name, Client())

    def subscriber(self, request: WSUpgradeRequest) -> Subscriber:
        """Return the listener of a new WebSocket."""
        _, name, *route = request.path.decode().split("/")
        return Subscriber(self.client(name), is_market=route == ["ws", "market"])

    def answer(self, request: bytes, now_ns: int) -> tuple[int, bytes] | Awaitable[bytes]:
        """Return (status, body) of the answer to one request, or what will become the body."""
        method, target, _ = request.split(b" ", 2)
        url = urlsplit(target.decode())
        _, name, *route = url.path.split("/")
        match method, route:
            case b"POST", ["order"]:
                self.client(name).on_order(request, now_ns)
                return 400, _KILLED
            case b"POST", []:
                query = dict(parse_qsl(url.query))
                return self._play(query["client"], int(query["ticks"]), int(query["rate"]))
            case b"GET", ["gamma", "markets"]:
                return 200, market.gamma_page()
            case b"GET", ["data", "orders" | "trades"]:
                return 200, _NOTHING
            case b"GET", ["balance-allowance"]:
                is_cash = dict(parse_qsl(url.query)).get("asset_type") == "COLLATERAL"
                return 200, _BALANCE if is_cash else _NO_SHARES
            case b"GET", ["time"]:
                return 200, b"%d" % int(time.time())
            case b"DELETE", _:
                return 200, _CANCELED
        return 404, b"{}"

    async def _play(self, client: str, ticks: int, rate: int) -> bytes:
        return json.dumps((await self.client(client).play(ticks, rate))._asdict()).encode()


async def serve() -> None:
    """Serve until cancelled; print where."""
    venue = Venue()
    sockets = await ws_create_server(venue.subscriber, HOST, 0)
    loop = asyncio.get_running_loop()
    rest = await loop.create_server(lambda: RestConnection(venue.answer), HOST, 0)
    rest_port, ws_port = (server.sockets[0].getsockname()[1] for server in (rest, sockets))
    ready = {"rest": f"http://{HOST}:{rest_port}", "ws": f"ws://{HOST}:{ws_port}"}
    print(json.dumps(ready), flush=True)
    pin.freeze_garbage(lambda _phase, _details: None)
    await asyncio.Event().wait()


def main() -> int:
    """Run the venue; return the exit code."""
    proc.die_with_parent(os.getppid())
    uvloop.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
