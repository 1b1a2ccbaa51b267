"""A byte-level TCP proxy in front of the venue, in a thread: what cables do, done on purpose.

```
run ── listener ── Pipe (one a connection; its first line tells the stream) ── venue
```
`cut` closes connections, `reset` sends RST, `reset_after` lets so many bytes of an answer through
before it does, `hold` stops both directions and leaves the sockets open. `refuse` makes every new
connection end at once. Streams are "market", "user" and "rest".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable

CHUNK = 1 << 16
LINGER_0 = struct.pack("ii", 1, 0)


class Pipe:
    """One connection: the run's side and the venue's."""

    def __init__(self, run: asyncio.StreamWriter, venue: asyncio.StreamWriter) -> None:
        self.run = run
        self.venue = venue
        self.stream = "rest"
        self.left = -1  # bytes of answers that may still pass, -1 = any
        self.flows = asyncio.Event()
        self.flows.set()

    def close(self, *, reset: bool = False) -> None:
        """End both sides, with RST towards the run if asked."""
        if reset:
            with contextlib.suppress(OSError):
                self.run.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0
                )
            self.run.transport.abort()
        self.run.close()
        self.venue.close()


class Proxy:
    """Listens on a free port of loopback and passes on to the venue's."""

    def __init__(self, venue_port: int) -> None:
        self._venue_port = venue_port
        self._pipes: set[Pipe] = set()
        self._refuses = False
        self._is_over = asyncio.Event()
        ready = threading.Event()
        self.port = 0

        async def listen() -> None:
            self._loop = asyncio.get_running_loop()
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._is_over.wait()
            server.close()
            for pipe in list(self._pipes):
                pipe.close(reset=True)

        self._thread = threading.Thread(target=asyncio.run, args=(listen(),), daemon=True)
        self._thread.start()
        ready.wait()

    def cut(self, *streams: str) -> None:
        """Close every connection of these streams."""
        self._each(streams, lambda pipe: pipe.close())

    def reset(self, *streams: str) -> None:
        """Reset every connection of these streams."""
        self._each(streams, lambda pipe: pipe.close(reset=True))

    def reset_after(self, count: int, *streams: str) -> None:
        """Reset each connection of these streams once `count` more bytes came from the venue."""
        self._each(streams, lambda pipe: setattr(pipe, "left", count))

    def hold(self, *streams: str) -> None:
        """Stop what flows in these streams; their sockets stay open."""
        self._each(streams, lambda pipe: pipe.flows.clear())

    def heal(self) -> None:
        """Let everything pass again: held connections are closed, their bytes are gone."""
        self._refuses = False

        def heal() -> None:
            for pipe in list(self._pipes):
                if not pipe.flows.is_set():
                    pipe.close(reset=True)
                    pipe.flows.set()

        self._loop.call_soon_threadsafe(heal)

    def refuse(self) -> None:
        """Close everything and every new connection until `heal`."""
        self._refuses = True
        self.cut("market", "user", "rest")

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    def _each(self, streams: tuple[str, ...], act: Callable[[Pipe], object]) -> None:
        def apply() -> None:
            for pipe in list(self._pipes):
                if pipe.stream in streams:
                    act(pipe)

        self._loop.call_soon_threadsafe(apply)

    async def _serve(self, source: asyncio.StreamReader, run: asyncio.StreamWriter) -> None:
        if self._refuses:
            run.close()
            return
        try:
            answers, venue = await asyncio.open_connection("127.0.0.1", self._venue_port)
        except OSError:
            run.close()
            return
        pipe = Pipe(run, venue)
        self._pipes.add(pipe)
        try:
            await asyncio.gather(
                self._flow(pipe, source, venue, is_answer=False),
                self._flow(pipe, answers, run, is_answer=True),
            )
        except OSError:
            pass
        finally:
            self._pipes.discard(pipe)
            pipe.close()

    async def _flow(
        self,
        pipe: Pipe,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        *,
        is_answer: bool,
    ) -> None:
        while data := await source.read(CHUNK):
            if not is_answer and pipe.stream == "rest":
                line = data.split(b"\r\n", 1)[0]
                pipe.stream = next(
                    (s for s in ("market", "user") if f"/ws/{s}".encode() in line), "rest"
                )
            await pipe.flows.wait()
            if is_answer and 0 <= pipe.left < len(data):
                target.write(data[: pipe.left])
                await target.drain()
                pipe.close(reset=True)
                return
            if is_answer and pipe.left > 0:
                pipe.left -= len(data)
            target.write(data)
            await target.drain()
        target.close()
