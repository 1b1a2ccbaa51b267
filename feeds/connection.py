"""One WebSocket to the venue that is kept alive: dial, listen, ping, watch, back off, dial again.

```
CONNECTING ── opened ──> CONNECTED ── closed ──> DISCONNECTED ── backoff ──> CONNECTING ...
                             └─ no data in time ──> SILENT ──┘
```
The data path is one synchronous callback: the frame is stamped first, then handed on where it lies
in the client's buffer. An open socket with answered pings proves nothing, so only data counts as
life; and only data resets the backoff, or a venue that accepts and closes would be hammered.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from engine.wire.codes import Connection as State
from feeds.port import Context, Session

FRAME_BYTES_MAX = 4 * 1024 * 1024
CONNECT_TIMEOUT_MS = 10_000
WATCH_MS_MAX = 1_000
PING, PONG = b"PING", b"PONG"
_PONG_BYTES = len(PONG)
_TEXT = WSMsgType.TEXT  # an enum finds its members by a slow road


@dataclass(frozen=True, slots=True)
class Pace:
    """How a connection waits, milliseconds. silence_ms_max: data, not pongs."""

    reconnect_ms_min: float
    reconnect_ms_max: float
    silence_ms_max: float
    ping_ms: float
    connect_timeout_ms: float = CONNECT_TIMEOUT_MS

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Pace:
        """Return the pace in `[feeds.GROUP]`."""
        return cls(
            *(
                float(settings[name])
                for name in ("reconnect_ms_min", "reconnect_ms_max", "silence_ms_max", "ping_ms")
            )
        )

    def backoff_ms(self, attempt: int, luck: float) -> float:
        """Return how long to wait before dialling again: full jitter over a doubling bound.

        attempt: failures since the last data, from 1.  luck: uniform in [0, 1).
        """
        doubled = self.reconnect_ms_min * 2.0 ** min(attempt, 32)
        bound = max(self.reconnect_ms_min, min(self.reconnect_ms_max, doubled))
        return self.reconnect_ms_min + luck * (bound - self.reconnect_ms_min)

    @property
    def watch_s(self) -> float:
        """How often a live connection is looked at."""
        return min(WATCH_MS_MAX, self.ping_ms / 4, self.silence_ms_max / 8) / 1000


class Connection:
    """Keeps one connection for a session. `connects` and `errors` count its life so far."""

    def __init__(
        self,
        name: str,
        url: str,
        pace: Pace,
        session: Session,
        context: Context,
        *,
        counters: str = "",
        ssl_context: ssl.SSLContext | None = None,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """counters: prefix of this connection's counters.  ssl_context: None = the system's."""
        self.name = name
        self.connects = 0
        self.errors = 0
        self._url = url
        self._pace = pace
        self._session = session
        self._context = context
        self._counters = counters
        self._ssl_context = ssl_context
        self._luck = luck
        self._task: asyncio.Task[None] | None = None
        self._transport: WSTransport | None = None
        self._attempt = 0
        self.data_ns = 0  # when this socket last brought data; 0 = it has not yet
        self.state = State.DISCONNECTED
        self.failure: BaseException | None = None

    @property
    def is_started(self) -> bool:
        """Whether start() was called."""
        return self._task is not None

    def start(self) -> None:
        """Begin to dial; the loop is running."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    def check(self) -> None:
        """Raise what went wrong in a callback or the task: never the venue's fault."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def send(self, frame: bytes) -> bool:
        """Send one text frame; False if there is no connection."""
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return False
        transport.send(WSMsgType.TEXT, frame)
        return True

    def drop(self, reason: str) -> None:
        """Give this socket up and dial a new one."""
        if self._transport is not None:
            self._context.log.event("dropping connection", connection=self.name, reason=reason)
            self._transport.disconnect(graceful=False)

    def close(self) -> None:
        """Say goodbye and dial no more."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.send_close()
            self._transport.disconnect()

    def _enter(self, state: State) -> None:
        self.state = state
        self._session.status(state)

    async def _run(self) -> None:
        while True:
            self._enter(State.CONNECTING)
            self.data_ns = 0  # before dialling: a frame may come before we hear of the connection
            transport = await self._dial()
            if transport is not None:
                self._transport = transport
                self.connects += 1
                self._count("connects")
                for frame in self._session.opening():
                    self.send(frame)
                self._enter(State.CONNECTED)
                await self._watch(transport)
                self._transport = None
                self._count("disconnects")
                if self.data_ns:
                    self._attempt = 0
            self._enter(State.DISCONNECTED)
            self._attempt += 1
            await asyncio.sleep(self._pace.backoff_ms(self._attempt, self._luck()) / 1000)

    async def _dial(self) -> WSTransport | None:
        try:
            async with asyncio.timeout(self._pace.connect_timeout_ms / 1000):
                transport, _ = await ws_connect(
                    lambda: FrameListener(self, self._session, self._context.clock.now_ns),
                    self._url,
                    ssl_context=self._ssl_context,
                    websocket_handshake_timeout=self._pace.connect_timeout_ms / 1000,
                    max_frame_size=FRAME_BYTES_MAX,
                    max_redirects=0,  # the first frame may hold credentials, meant for this host
                    logger_name=_quiet_logger(self.name),
                )
                return transport
        except (OSError, WSError, TimeoutError, ValueError) as error:
            self.errors += 1
            self._count("connect_errors")
            reason = str(error) or type(error).__name__
            self._context.log.event(
                "cannot connect", connection=self.name, url=self._url, reason=reason
            )
            return None

    async def _watch(self, transport: WSTransport) -> None:
        """Ping and look for silence until the transport is gone."""
        now_ns = self._context.clock.now_ns
        pinged_ns = expecting_ns = now_ns()
        silence_ns_max = int(self._pace.silence_ms_max * 1e6)
        gone = asyncio.ensure_future(transport.wait_disconnected())
        try:
            while True:
                done, _ = await asyncio.wait({gone}, timeout=self._pace.watch_s)
                if done:
                    return
                present_ns = now_ns()
                if present_ns - pinged_ns >= self._pace.ping_ms * 1e6:
                    pinged_ns = present_ns
                    self._count("pings")
                    self.send(PING)
                if not self._session.expects_data():
                    expecting_ns = present_ns
                elif present_ns - max(expecting_ns, self.data_ns) >= silence_ns_max:
                    self._count("silences")
                    self._enter(State.SILENT)
                    self.drop("no data")
        finally:
            gone.cancel()

    def _count(self, name: str) -> None:
        self._context.count(self._counters + name)


def _quiet_logger(name: str) -> logging.Logger:
    """Return a logger for the client that keeps off the terminal: we count what it would say."""
    logger = logging.getLogger(f"picows.{name}")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


class FrameListener(WSListener):
    """The client's callbacks: whole text messages go to the session, the rest is answered here."""

    def __init__(self, connection: Connection, session: Session, now_ns: Callable[[], int]) -> None:
        super().__init__()
        self._connection = connection
        self._take = session.frame
        self._caught_up = session.caught_up
        self._now_ns = now_ns
        self._parts: bytearray | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hot path."""
        local_ns = self._now_ns()
        try:
            if frame.msg_type is _TEXT and frame.fin and frame.payload_size <= FRAME_BYTES_MAX:
                self._message(frame.get_payload_as_memoryview(), local_ns)
            else:
                self._other(transport, frame, local_ns)
            if frame.last_in_buffer:
                self._caught_up()
        except BaseException as failure:
            self._connection.failure = failure
            raise

    def _message(self, payload: bytes | memoryview, local_ns: int) -> None:
        """Hot path. Hand a whole message on; an answered ping is none."""
        if (len(payload) != _PONG_BYTES or bytes(payload) != PONG) and self._take(
            payload, local_ns
        ):
            self._connection.data_ns = local_ns

    def _other(self, transport: WSTransport, frame: WSFrame, local_ns: int) -> None:
        """Answer what is no whole text message."""
        if frame.payload_size > FRAME_BYTES_MAX:
            # The client only announces such a frame's end politely, and goes on reading it.
            transport.disconnect(graceful=False)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._part(transport, frame, local_ns)

    def _part(self, transport: WSTransport, frame: WSFrame, local_ns: int) -> None:
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._parts = bytearray()
        if self._parts is None:
            transport.disconnect(graceful=False)
            return
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > FRAME_BYTES_MAX:
            transport.disconnect(graceful=False)
        elif frame.fin:
            message, self._parts = bytes(self._parts), None
            self._message(message, local_ns)
