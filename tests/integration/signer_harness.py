"""The real signer process between two rings and a venue of a few lines.

The test plays the core: it writes commands to the `orders` ring and reads `exec`. The venue is an
aiohttp server in the test's loop whose answers each test chooses.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from deadlines import PATIENCE_S

from engine.bus.counters import CounterFile
from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.host.clock import Clock
from engine.host.config.signing import Signer
from engine.host.duty import HEARTBEAT_NS, STATE, State, create_counters
from engine.host.runfile import RunFile
from engine.wire.codes import Kind, Reason, Side, Tif
from engine.wire.records import new, typed, words
from signer.ecdsa import SigningKey

ROOT = Path(__file__).resolve().parents[2]
RUN_ID = 77
DEADLINE_S = PATIENCE_S
PRIVATE_KEY = "0x" + "42" * 32
API = {"key": "11111111-2222-3333-4444-555555555555", "secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}
API["passphrase"] = "pass" * 8
TOKEN_ID = 0xABCDEF << 200 | 0x1234 << 50

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def order_content(order_hash: str, **changes: Any) -> dict[str, Any]:
    """What the venue says of an accepted resting order."""
    content = {
        "success": True,
        "errorMsg": "",
        "orderID": order_hash,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
        "transactionsHashes": [],
        "tradeIDs": [],
    }
    return {**content, **changes}


def order_answer(order_hash: str, **changes: Any) -> web.Response:
    """The venue's answer to an accepted resting order."""
    return web.json_response(order_content(order_hash, **changes))


class Venue:
    """A venue whose answers are set by the test; it notes every request it gets."""

    def __init__(self) -> None:
        self.orders: list[bytes] = []
        self.cancels: list[dict[str, str]] = []
        self.cancel_alls = 0
        self.look_ups: list[str] = []
        self.batches: list[bytes] = []
        self.heartbeats: list[str] = []
        self.on_order: Handler = self.accept
        self.on_cancel: Handler = self.cancel
        self.on_cancel_all: Handler = self.cancel_everything
        self.on_look_up: Handler = self.not_found
        self.on_batch: Handler = self.accept_all
        self.on_heartbeat: Handler = self.hear
        self.hash_of: Callable[[bytes], str] = lambda _body: ""
        self.server: web.Server | None = None

    def hang_up(self) -> None:
        """Close every connection there is."""
        assert self.server is not None
        for connection in self.server.connections:
            connection.force_close()

    def app(self) -> web.Application:
        """The routes the signer uses."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/time", self._time),
                web.post("/order", self._order),
                web.post("/orders", self._batch),
                web.post("/v1/heartbeats", self._heartbeat),
                web.delete("/order", self._cancel),
                web.delete("/cancel-all", self._cancel_all),
                web.get("/data/order/{id}", self._look_up),
            ]
        )
        return app

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Let every order rest."""
        return order_answer(self.hash_of(await request.read()))

    async def accept_all(self, request: web.Request) -> web.StreamResponse:
        """Let every order of a batch rest."""
        legs = json.loads(await request.read())
        bodies = [json.dumps(leg).encode() for leg in legs]
        return web.json_response([order_content(self.hash_of(body)) for body in bodies])

    async def hear(self, _request: web.Request) -> web.StreamResponse:
        """Accept a heartbeat."""
        return web.json_response({"heartbeat_id": f"id-{len(self.heartbeats)}"})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel whatever is asked."""
        content = json.loads(await request.read())
        return web.json_response({"canceled": [content["orderID"]], "not_canceled": {}})

    async def cancel_everything(self, _request: web.Request) -> web.StreamResponse:
        """Cancel every order that was posted."""
        canceled = [self.hash_of(body) for body in self.orders]
        return web.json_response({"canceled": canceled, "not_canceled": {}})

    async def not_found(self, _request: web.Request) -> web.StreamResponse:
        """Know no order."""
        return web.json_response({"error": "Order not found"}, status=404)

    async def _time(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(int(time.time()))

    async def _order(self, request: web.Request) -> web.StreamResponse:
        self.orders.append(await request.read())
        return await self.on_order(request)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        self.batches.append(await request.read())
        return await self.on_batch(request)

    async def _heartbeat(self, request: web.Request) -> web.StreamResponse:
        self.heartbeats.append(json.loads(await request.read())["heartbeat_id"])
        return await self.on_heartbeat(request)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        self.cancels.append(json.loads(await request.read()))
        return await self.on_cancel(request)

    async def _cancel_all(self, request: web.Request) -> web.StreamResponse:
        self.cancel_alls += 1
        return await self.on_cancel_all(request)

    async def _look_up(self, request: web.Request) -> web.StreamResponse:
        self.look_ups.append(request.match_info["id"])
        return await self.on_look_up(request)


class Desk:
    """The test's side of a running signer: the core's two rings, its counters, and the process."""

    def __init__(self, runtime: RunFile) -> None:
        self.runtime = runtime
        self.clock = runtime.clock()
        self.open_rings()
        self.core = create_counters(runtime.counters("core"))
        self.process: subprocess.Popen[str] | None = None
        self.reports: list[np.ndarray] = []
        self._rows = np.zeros((64, 16), np.int64)

    def open_rings(self) -> None:
        """Make the rings of the runtime's run, and open our ends of them."""
        runtime, run_id = self.runtime, self.runtime.run_id
        for name in ("orders", "exec"):
            runtime.ring(name).unlink(missing_ok=True)
            create_ring(runtime.ring(name), Discipline.QUEUE, 1 << 10, run_id)
        self.orders = QueueWriter(runtime.ring("orders"), run_id)
        self.exec = QueueReader(runtime.ring("exec"), run_id)

    @property
    def order_log(self) -> Path:
        """The order log's file."""
        return self.runtime.state("orders.log")

    def launch(self) -> None:
        """Start the signer process."""
        source, target = os.pipe()
        key = SigningKey.from_hex(PRIVATE_KEY)
        account = {
            "private_key": PRIVATE_KEY,
            "address": key.address,
            "signature_type": 0,
            "funder": key.address,
            "api": API,
        }
        os.write(target, json.dumps(account).encode())
        os.close(target)
        command = [sys.executable, "-m", "signer", str(self.runtime.runtime_dir)]
        self.process = subprocess.Popen(
            [*command, "--secrets-fd", str(source)],
            pass_fds=[source],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(source)

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Poll a condition until it is true; fail after the deadline, naming it."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self.core.set(HEARTBEAT_NS, self.clock.now_ns() if self.beats else 1)
            self._drain()
            if value := condition():
                return value
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"signer ended while waiting: {what}: {self._stderr()}")
            await asyncio.sleep(0.001)
        raise AssertionError(f"not seen in {DEADLINE_S} s: {what}; saw {self.kinds()}")

    beats = True

    async def ready(self) -> None:
        """Wait until the signer has a connection to the venue."""
        await self.until(lambda: self.report(Kind.RAIL_STATUS), "RAIL_STATUS")

    def report(self, kind: Kind, order_id: int | None = None) -> np.void | None:
        """Return the newest report of a kind, for one order if given."""
        for row in reversed(self.reports):
            if row[0] & 0xFFFF == kind:
                record = typed(row, kind)[0]
                if order_id is None or record["order_id"] == order_id:
                    return record
        return None

    def kinds(self) -> list[str]:
        """The kinds of all reports about orders of this life so far, in order."""
        names = [Kind(int(row[0]) & 0xFFFF).name for row in self.reports]
        return [name for name in names if name not in ("RAIL_STATUS", "RECOVERED")]

    def announce(self, instrument: int = 1, *, tick: int = 10_000) -> None:
        """Forward an INSTRUMENT."""
        record = new(Kind.INSTRUMENT)
        record["instrument"] = instrument
        record["token_id"] = np.void((TOKEN_ID + instrument).to_bytes(32, "big"))
        record["generation"] = 2
        record["tick"] = tick
        record["fee_curve"] = 2
        assert self.orders.offer(words(record))

    def order(
        self,
        order_id: int,
        *,
        instrument: int = 1,
        price: int = 480_000,
        size: int = 10_000_000,
        side: int = Side.BUY,
        tif: int = Tif.GTC,
        post_only: int = 0,
        strategy: int = 0,
    ) -> None:
        """Send a NEW_ORDER."""
        terms = {"instrument": instrument, "price": price, "size": size, "side": side}
        terms["strategy"] = strategy
        assert self.orders.offer(self.row(order_id, **terms, tif=tif, post_only=post_only))

    def burst(self, *order_ids: int) -> None:
        """Send several NEW_ORDERs at once: the signer gets them in one poll."""
        assert self.orders.offer(np.concatenate([self.row(order_id) for order_id in order_ids]))

    def row(
        self,
        order_id: int,
        *,
        instrument: int = 1,
        price: int = 480_000,
        size: int = 10_000_000,
        side: int = Side.BUY,
        tif: int = Tif.GTC,
        post_only: int = 0,
        strategy: int = 0,
    ) -> np.ndarray:
        """Return a NEW_ORDER, int64[1, 16]."""
        record = new(Kind.NEW_ORDER)
        fields = {
            "instrument": instrument,
            "trace": 1_000 + order_id,
            "order_id": order_id,
            "price": price,
            "size": size,
            "salt": 7_000_000 + order_id,
            "timestamp_ms": 1_784_402_198_867,
            "decided_ns": self.clock.now_ns(),
            "tick": 10_000,
            "side": side,
            "tif": tif,
            "post_only": post_only,
            "strategy": strategy,
        }
        for name, value in fields.items():
            record[name] = value
        return words(record)

    def arm(self, *, is_engaged: bool = True, **terms: int) -> None:
        """Send an ARM of ten shares at 0.48, or what `terms` say."""
        record = new(Kind.ARM)
        usual = {"instrument": 1, "price": 480_000, "size": 10_000_000, "tick": 10_000}
        usual |= {"strategy": 1, "tif": Tif.FOK, "budget": 4_800_000, "engaged": is_engaged}
        for name, value in {**usual, **terms}.items():
            record[name] = value
        assert self.orders.offer(words(record))

    def cancel(self, order_id: int, reason: int = Reason.CANCELED) -> None:
        """Send a CANCEL."""
        record = new(Kind.CANCEL)
        record["order_id"], record["reason"] = order_id, reason
        assert self.orders.offer(words(record))

    def cancel_all(self) -> None:
        """Send a CANCEL_ALL."""
        assert self.orders.offer(words(new(Kind.CANCEL_ALL)))

    def count(self, name: str) -> int:
        """Return one of the signer's counters."""
        counters = CounterFile.attach(self.runtime.counters("signer"))
        try:
            return counters.snapshot()[name]
        finally:
            counters.close()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        process, self.process = self.process, None
        while process.poll() is None:
            self._drain()
            await asyncio.sleep(0.001)
        assert process.stderr is not None
        self.stderr = process.stderr.read()
        process.stderr.close()
        return process.returncode

    def _stderr(self) -> str:
        assert self.process is not None
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def _drain(self) -> None:
        while count := self.exec.poll(self._rows):
            self.reports += list(self._rows[:count].copy())


def settings(port: int, **signer: Any) -> dict[str, Any]:
    """The settings a signer reads, with some of its own changed."""
    defaults = {
        "request_timeout_ms": 400,
        "core_silence_ms_max": 60_000,
        "order_age_ms_max": 60_000,
        "order_notional_usd_max": "50",
        "orders_per_second_max": 1_000,
    }
    return {
        "run": {"profile": "shared", "mode": "paper"},
        "host": {"park_us": 100},
        "venue": {"rest_url": f"http://127.0.0.1:{port}", "chain_id": 137},
        "signer": Signer().model_dump(mode="json") | defaults | signer,
        "strategy": {"idle": {"enabled": False}, "first": {}, "second": {"enabled": True}},
    }


@asynccontextmanager
async def trading(directory: Path, venue: Venue, **signer: Any) -> AsyncIterator[Desk]:
    """A venue on a loopback port and a signer that is connected to it."""
    runner = web.AppRunner(venue.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    venue.server = runner.server
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    runtime_dir = directory / "runtime"
    runtime_dir.mkdir(mode=0o700)
    runtime = RunFile(
        RUN_ID,
        Clock.anchored().offset_ns,
        settings(port, **signer),
        str(directory / "state"),
        runtime_dir=runtime_dir,
    )
    runtime.save()
    desk = Desk(runtime)
    desk.core.set(STATE, State.READY)
    desk.launch()
    try:
        await desk.ready()
        desk.announce()
        yield desk
    finally:
        if desk.process is not None:
            await desk.stop(signal.SIGKILL)
        desk.orders.close()
        desk.exec.close()
        desk.core.close()
        await runner.cleanup()
