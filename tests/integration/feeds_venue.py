"""A venue small enough to misbehave on command: both sockets, Gamma and the REST that reads.

It lives in the test's own loop; the feed process it talks to is a real one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from deadlines import PATIENCE_S
from feeds_support import DOWN, UP, book, compact

from engine.bus.counters import CounterFile
from engine.bus.ring import BroadcastReader, Discipline, QueueReader, create_ring
from engine.host.clock import Clock
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials, send_secrets
from engine.wire.codes import Kind
from engine.wire.records import typed

ACCOUNT = Account(
    address="0x" + "ab" * 20,
    funder="0x" + "ab" * 20,
    api=ApiCredentials("0f3a4b5c-0000-4000-8000-000000000001", "c2VjcmV0", "pass"),
)
DEADLINE_S = PATIENCE_S
RUN_ID = 7


class Venue:
    """The state a test sets and what the feed asked for."""

    def __init__(self) -> None:
        self.market_sockets: list[web.WebSocketResponse] = []
        self.user_sockets: list[web.WebSocketResponse] = []
        self.received: list[dict[str, Any]] = []
        self.trades: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.sends_dumps = True
        self.books: dict[str, dict[str, Any]] = {}  # by token, what REST says
        self.mute: set[str] = set()  # tokens no dump is sent of
        self.left: list[dict[str, Any]] = []  # markets only a question by token finds
        self.shares: dict[str, str] = {}  # balances by token
        self.dribbles: set[str] = set()  # paths answered a byte at a time, without an end
        self.away: tuple[int, str, str] | None = None  # status, what paths begin with, where to
        self.market = {
            "slug": "window",
            "conditionId": "0x" + "cd" * 32,
            "outcomes": '["Up", "Down"]',
            "clobTokenIds": json.dumps([UP, DOWN]),
            "orderPriceMinTickSize": 0.01,
            "orderMinSize": 5,
            "acceptingOrders": True,
            "closed": False,
            "feesEnabled": True,
            "feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True},
        }
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        app = web.Application(middlewares=[self._send_away])
        app.add_routes(
            [
                web.get("/ws/market", self._market),
                web.get("/ws/user", self._user),
                web.get("/gamma/markets", self._gamma),
                web.get("/data/orders", self._orders),
                web.get("/data/trades", self._trades),
                web.get("/balance-allowance", self._balance),
                web.get("/book", self._book),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything."""
        for socket in self.market_sockets + self.user_sockets:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def urls(self) -> dict[str, str]:
        """`[venue]` of a configuration."""
        at = f"127.0.0.1:{self.port}"
        return {
            "rest_url": f"http://{at}/",
            "market_ws_url": f"ws://{at}/ws/market",
            "user_ws_url": f"ws://{at}/ws/user",
            "gamma_url": f"http://{at}/gamma",
        }

    async def tell_market(self, frame: bytes) -> None:
        """Send a frame on the newest market socket."""
        await self.market_sockets[-1].send_str(frame.decode())

    async def tell_user(self, message: dict[str, Any]) -> None:
        """Send a message on the newest user socket."""
        await self.user_sockets[-1].send_str(json.dumps(message))

    async def drop(self, sockets: list[web.WebSocketResponse]) -> None:
        """Cut the newest of some sockets, without a goodbye."""
        transport = sockets[-1]._req.transport  # type: ignore[union-attr]
        transport.abort()

    @web.middleware
    async def _send_away(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Redirect some paths, and keep requests for others waiting for ever."""
        if request.path in self.dribbles:
            response = web.StreamResponse()
            await response.prepare(request)
            while request.path in self.dribbles:
                await response.write(b" ")
                await asyncio.sleep(0.05)
            return response
        if self.away is None or not request.path.startswith(self.away[1]):
            answer: web.StreamResponse = await handler(request)
            return answer
        status, _, target = self.away
        return web.Response(status=status, headers={"Location": target + request.path_qs})

    async def _market(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.market_sockets.append(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            if message.data == "PING":
                await socket.send_str("PONG")
                continue
            asked = json.loads(message.data)
            self.received.append(asked)
            wants = asked.get("operation") != "unsubscribe" and self.sends_dumps
            if wants and asked["assets_ids"]:
                levels = [("0.48", "10"), ("0.49", "5")], [("0.52", "7"), ("0.51", "3")]
                tokens = [token for token in asked["assets_ids"] if token not in self.mute]
                dump = [book(*levels, token=token) for token in tokens]
                await socket.send_str(compact(dump).decode())
        return socket

    async def _user(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = json.loads((await socket.receive()).data)
        assert hello["auth"]["apiKey"] == ACCOUNT.api.key
        self.user_sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def _gamma(self, request: web.Request) -> web.Response:
        closed = request.query.get("closed") == "true"
        if tokens := request.query.getall("clob_token_ids", []):
            return web.json_response(
                [
                    each
                    for each in self.left
                    if closed == each["closed"]
                    and any(token in json.loads(each["clobTokenIds"]) for token in tokens)
                ]
            )
        wanted = request.query.get("slug") in (self.market["slug"], *(x["slug"] for x in self.left))
        if wanted and request.query["slug"] != self.market["slug"]:
            named = [x for x in self.left if x["slug"] == request.query["slug"]]
            return web.json_response([each for each in named if closed <= each["closed"]])
        return web.json_response(
            [self.market] if wanted and closed <= self.market["closed"] else []
        )

    async def _orders(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        assert request.headers["POLY_ADDRESS"] == ACCOUNT.address
        return web.json_response({"data": self.orders, "next_cursor": "LTE="})

    async def _trades(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response({"data": self.trades, "next_cursor": "LTE="})

    async def _book(self, request: web.Request) -> web.Response:
        token = request.query["token_id"]
        self.asked.append(f"{request.path} {token}")
        if token not in self.books:
            return web.json_response({"error": "No orderbook exists"}, status=404)
        return web.json_response(self.books[token])

    async def _balance(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        balance = "1000000000"
        if (token := request.query.get("token_id")) is not None:
            balance = self.shares.get(token, "0")
        return web.json_response({"balance": balance, "allowances": {"0x1": str(2**256 - 1)}})


class FeedProcess:
    """A real feed process on a run of its own, and the other ends of its rings."""

    def __init__(self, runtime: RunFile, *, private_capacity: int = 1024) -> None:
        self.runtime = runtime
        create_ring(runtime.ring("md.market"), Discipline.BROADCAST, 4096, RUN_ID)
        create_ring(runtime.ring("private"), Discipline.QUEUE, private_capacity, RUN_ID)
        self.market = BroadcastReader(runtime.ring("md.market"), RUN_ID, from_start=True)
        self.private = QueueReader(runtime.ring("private"), RUN_ID)
        self.heard: list[np.ndarray] = []
        self.told: list[np.ndarray] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; it gets the account through a pipe."""
        descriptor = send_secrets(ACCOUNT)
        try:
            self._process = await start_feeds(
                "market",
                str(self.runtime.runtime_dir),
                "--secrets-fd",
                str(descriptor),
                pass_fds=[descriptor],
            )
        finally:
            os.close(descriptor)

    async def stop(self) -> tuple[int, str]:
        """Ask the process to stop; return its exit code and what it wrote on stderr."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(DEADLINE_S):
            _, errors = await self._process.communicate()
        self.market.close()
        self.private.close()
        return int(self._process.returncode or 0), errors.decode()

    def poll(self) -> None:
        """Take what is on the rings."""
        self.poll_market()
        self.take_private()

    def poll_market(self) -> None:
        """Take what is on the market ring."""
        out = np.zeros((256, 16), np.int64)
        while count := self.market.poll(out):
            self.heard += list(out[:count].copy())

    def take_private(self) -> None:
        """Take what is on the private queue."""
        out = np.zeros((256, 16), np.int64)
        while count := self.private.poll(out):
            self.told += list(out[:count].copy())

    def records(self, kind: Kind, rows: list[np.ndarray] | None = None) -> list[np.void]:
        """Return everything of a kind heard so far (or told, if given)."""
        rows = self.heard if rows is None else rows
        return [typed(row, kind)[0] for row in rows if int(row[0]) & 0xFFFF == kind]

    def states(self, rows: list[np.ndarray] | None = None) -> list[tuple[int, int]]:
        """Return (instrument, connection) of each FEED_STATUS so far."""
        found = self.records(Kind.FEED_STATUS, rows)
        return [(int(each["instrument"]), int(each["connection"])) for each in found]

    def read_back_ns(self) -> int:
        """Return when the last complete read-back began, as the feed has told it; 0: none."""
        told = self.records(Kind.FEED_STATUS, self.told)
        return int(told[-1]["read_back_ns"]) if told else 0

    def counters(self) -> dict[str, int]:
        """Return the process's counters; nothing before it has made them."""
        path = self.runtime.counters("feeds.market")
        if not path.exists():
            return {}
        counters = CounterFile.attach(path)
        try:
            return counters.snapshot()
        finally:
            counters.close()

    async def until(self, condition: Callable[[], Any], *, private: bool = True) -> Any:
        """Poll the rings until a condition holds; return what it returned."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if private:
                    self.poll()
                if result := condition():
                    return result
                await asyncio.sleep(0.005)


async def start_feeds(*arguments: str, pass_fds: list[int] | None = None) -> Any:
    """Start `python -m feeds` with some arguments."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "feeds",
        *arguments,
        pass_fds=pass_fds or [],
        cwd=Path(__file__).resolve().parents[2],
        stderr=asyncio.subprocess.PIPE,
    )


def run_file(directory: Path, urls: dict[str, str], **pace: int) -> RunFile:
    """Return a saved run whose one feed group has all three feeds."""
    runtime_dir, state_dir = directory / "runtime", directory / "state"
    runtime_dir.mkdir()
    state_dir.mkdir()
    group = {
        "feeds": ["gamma", "clob_market", "clob_user"],
        "reconnect_ms_min": 10,
        "reconnect_ms_max": 50,
        "silence_ms_max": 60_000,
        "ping_ms": 100,
        "gamma_poll_ms": 50,
    }
    settings = {
        "run": {"name": "test", "profile": "shared", "mode": "paper"},
        "venue": urls,
        "markets": {"slugs": ["window"], "series_ids": []},
        "feeds": {"market": {**group, **pace}},
        "host": {"instruments_max": 64, "park_us": 100},
    }
    runtime = RunFile(
        run_id=RUN_ID,
        clock_offset_ns=Clock.anchored().offset_ns,
        settings=settings,
        state_dir=str(state_dir),
        runtime_dir=runtime_dir,
    )
    runtime.save()
    return runtime
