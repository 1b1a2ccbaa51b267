"""One WebSocket client's way out: bounded, so that a slow reader costs himself and nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import WSMsgType, web

OUTBOX_BYTES_MAX = 8 << 20
CLOSE_S_MAX = 2.0
SLOW_CONSUMER = 1013

Passes = Callable[[bytes], Iterable[bytes]]
NewPasses = Callable[[web.Request], Passes]


class Outbox:
    """Frames waiting for one client. `put` never blocks; `run` sends until `close`."""

    __slots__ = ("_bytes", "_frames", "_passes", "_task", "_wake", "_ws", "is_lapped")

    def __init__(self, ws: web.WebSocketResponse, passes: Passes | None = None) -> None:
        """passes: what is sent for each frame, for streams that are faulty on purpose."""
        self._ws = ws
        self._passes = passes
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self.is_lapped = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def put(self, frame: bytes) -> None:
        """Queue a text frame; a client who lets too much pile up is closed with 1013."""
        for passed in (frame,) if self._passes is None else self._passes(frame):
            self._put(passed)

    def _put(self, frame: bytes) -> None:
        if self.is_lapped:
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        if self._bytes > OUTBOX_BYTES_MAX:
            self.is_lapped = True
            self._frames.clear()
            self._task.cancel()
            self._task = asyncio.get_running_loop().create_task(self._refuse())
        self._wake.set()

    async def close(self) -> None:
        """Stop sending."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._frames:
                    frame = self._frames.popleft()
                    self._bytes -= len(frame)
                    await self._ws.send_frame(frame, WSMsgType.TEXT)

    async def _refuse(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                message = b"slow consumer: send buffer full"
                await self._ws.close(code=SLOW_CONSUMER, message=message)
