"""Warm HTTP/1.1 connections that carry prebuilt requests, one at a time each.

No retry is hidden here, and no outcome is guessed. The one thing that matters about a failure is
whether a byte may have left: `NOT_SENT` is definitive, every other failure means the venue may have
acted (`TIMEOUT`, `CONNECTION_LOST`, `UNREADABLE`).
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from signer.http_parser import NO_HEADERS, HttpError, Response, ResponseParser

RECONNECT_S_MIN = 0.05
RECONNECT_S_MAX = 5.0
CONNECT_TIMEOUT_S = 5.0
FRUITLESS_LIFE_NS = 1_000_000_000
WAITING_REQUESTS_MAX = 256


class Outcome(IntEnum):
    """What became of a request."""

    ANSWERED = 0
    NOT_SENT = 1
    TIMEOUT = 2
    CONNECTION_LOST = 3
    UNREADABLE = 4


class Answer(NamedTuple):
    """The end of a request. status, body and headers are of ANSWERED; sent_ns is 0 for NOT_SENT.

    headers: those of `NOTED_HEADERS` the venue sent, names and values in lower case.
    """

    outcome: int
    status: int
    body: bytes
    sent_ns: int
    answered_ns: int
    headers: Mapping[bytes, bytes] = NO_HEADERS


_ANSWERED = Outcome.ANSWERED
AnswerHandler = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. prefix: what precedes every route; never part of an L2 signature."""

    host: str
    port: int
    prefix: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext | None = None) -> Endpoint:
        """Return the endpoint of an http or https URL; https verifies the certificate."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a venue is an http or https URL: url={url}")
        if parts.scheme == "https":
            tls = tls or ssl.create_default_context()
            return cls(parts.hostname, parts.port or 443, parts.path.rstrip("/"), tls)
        return cls(parts.hostname, parts.port or 80, parts.path.rstrip("/"), None)

    @property
    def authority(self) -> str:
        """The Host header."""
        is_default = self.port == (443 if self.tls else 80)
        return self.host if is_default else f"{self.host}:{self.port}"


class _Waiting(NamedTuple):
    """A request that found no free connection."""

    text: bytes
    handler: AnswerHandler
    deadline_ns: int
    give_up_ns: int  # when it is too late to send it at all


class Connection(asyncio.Protocol):
    """One connection and the request on it, if any."""

    __slots__ = (
        "_deadline_ns",
        "_handler",
        "_made_ns",
        "_parser",
        "_pool",
        "_sent_ns",
        "_transport",
        "answers",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._handler: AnswerHandler | None = None  # of the request on it
        self._deadline_ns = 0
        self._parser = ResponseParser()
        self._sent_ns = 0
        self._made_ns = pool.now_ns()
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up and idle."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, same methods
        self._pool.on_ready(self)

    def send(self, text: bytes, handler: AnswerHandler, deadline_ns: int, now_ns: int) -> None:
        """Hand a request's bytes to the transport. Hot path."""
        assert self._transport is not None
        assert self._handler is None
        self._handler = handler
        self._deadline_ns = deadline_ns
        self._sent_ns = now_ns
        self._transport.write(text)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; bytes nobody asked for end the connection."""
        if self._handler is None:
            self.abandon()
            return
        try:
            response = self._parser.feed(data)
        except HttpError:
            self._finish(Outcome.UNREADABLE, None)
            self.abandon()
            return
        if response is not None:
            self._answer(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; the end may be what completes an answer without a length."""
        self._transport = None
        self._pool.on_gone(self)
        response = self._parser.finish() if self.is_busy and exc is None else None
        if response is not None:
            self._finish(_ANSWERED, response)
        else:
            self._finish(Outcome.CONNECTION_LOST, None)

    def expire(self, now_ns: int) -> bool:
        """Give up on a request whose time is over. Its answer could come yet: never reuse this."""
        if self._handler is None or now_ns < self._deadline_ns:
            return False
        self._finish(Outcome.TIMEOUT, None)
        self.abandon()
        return True

    def abandon(self) -> None:
        """Close the connection at once; a request still on it ends as CONNECTION_LOST."""
        self._abort()
        self._finish(Outcome.CONNECTION_LOST, None)

    @property
    def was_fruitless(self) -> bool:
        """Whether it ended at once without an answer: the other side does not want us."""
        return not self.answers and self._pool.now_ns() - self._made_ns < FRUITLESS_LIFE_NS

    @property
    def is_busy(self) -> bool:
        """Whether a request is on the way."""
        return self._handler is not None

    @property
    def is_open(self) -> bool:
        """Whether the connection may carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    def _answer(self, response: Response) -> None:
        self.answers += 1
        if not response.keep_alive:
            self._abort()
        self._finish(_ANSWERED, response)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, outcome: Outcome, response: Response | None) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            return
        status, body, headers = 0, b"", NO_HEADERS
        if response is not None:
            status, body, headers = response.status, response.body, response.headers
        if outcome is _ANSWERED and self.is_open:
            self._parser = ResponseParser()  # made here, where no order waits for it
            self._pool.on_ready(self)
        answer = Answer(outcome, status, body, self._sent_ns, self._pool.now_ns(), headers)
        self._pool.observe(answer)
        handler(answer)


class Pool:
    """A few warm connections for one purpose, so that orders never wait behind cancels."""

    def __init__(
        self,
        endpoint: Endpoint,
        size: int,
        now_ns: Callable[[], int],
        *,
        timeout_ns: int,
        wait_ns_max: int,
        observe: AnswerHandler = lambda _answer: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """timeout_ns: from send to answer. wait_ns_max: for a free connection, then NOT_SENT.

        observe: sees every answer before its handler does.  on_failure: hears of every attempt to
        connect that failed.
        """
        self.now_ns = now_ns
        self.observe = observe
        self.connects = 0
        self.errors = 0
        self._endpoint = endpoint
        self._size = size
        self._timeout_ns = timeout_ns
        self._wait_ns_max = wait_ns_max
        self._on_failure = on_failure
        self._open: list[Connection] = []
        self._idle: list[Connection] = []
        self._waiting: deque[_Waiting] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()  # how many are up, or how many there should be
        self._failures = 0  # in a row

    def start(self) -> None:
        """Begin to connect, and to reconnect whenever a connection is lost."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._keep_connected()))

    def send(self, text: bytes, handler: AnswerHandler) -> None:
        """Send a whole request; `handler` is called exactly once. Hot path.

        It is called before this returns only if too much waits already: NOT_SENT.
        """
        now_ns = self.now_ns()
        deadline_ns = now_ns + self._timeout_ns
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                connection.send(text, handler, deadline_ns, now_ns)
                return
        if len(self._waiting) >= WAITING_REQUESTS_MAX or not self._size:
            handler(Answer(Outcome.NOT_SENT, 0, b"", 0, now_ns))
            return
        self._waiting.append(_Waiting(text, handler, deadline_ns, now_ns + self._wait_ns_max))

    def work(self, now_ns: int) -> int:
        """Expire what took too long; return how many requests ended."""
        ended = 0
        for connection in tuple(self._open):
            ended += connection.expire(now_ns)
        while self._waiting and now_ns >= self._waiting[0].give_up_ns:
            request = self._waiting.popleft()
            request.handler(Answer(Outcome.NOT_SENT, 0, b"", 0, now_ns))
            ended += 1
        return ended

    def on_ready(self, connection: Connection) -> None:
        """A connection is free: the longest waiting request goes first."""
        if connection not in self._open:
            self.connects += 1
            self._open.append(connection)
        if self._waiting:
            request = self._waiting.popleft()
            connection.send(request.text, request.handler, request.deadline_ns, self.now_ns())
        elif self._size:
            self._idle.append(connection)

    def on_gone(self, connection: Connection) -> None:
        """A connection ended: another one is made in its place."""
        if connection in self._open:
            self._open.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._failures = self._failures + 1 if connection.was_fruitless else 0
        self._changed.set()

    def keep(self, size: int) -> None:
        """Make connections up to this number from now on; with 0 whatever is sent is NOT_SENT.

        Those that are up stay up, and requests on the way go on.
        """
        self._size = size
        self._idle = [connection for connection in self._open if size and not connection.is_busy]
        self._failures = 0
        self._changed.set()

    @property
    def connected(self) -> int:
        """How many connections are up and may be used."""
        return len(self._open) if self._size else 0

    @property
    def in_flight(self) -> int:
        """How many requests have no end yet, those that wait for a connection included."""
        return len(self._waiting) + sum(connection.is_busy for connection in self._open)

    def close(self) -> None:
        """Close everything; requests on the way end as CONNECTION_LOST."""
        self.keep(0)
        for task in self._tasks:
            task.cancel()
        for connection in tuple(self._open):
            connection.abandon()
        while self._waiting:
            request = self._waiting.popleft()
            request.handler(Answer(Outcome.NOT_SENT, 0, b"", 0, self.now_ns()))

    async def _keep_connected(self) -> None:
        while True:
            self._changed.clear()
            if len(self._open) >= self._size:
                await self._changed.wait()
                continue
            if self._failures:
                self.errors += 1
                # Jitter: many clients of a venue that restarts must not come back together.
                delay_s = min(RECONNECT_S_MIN * 2 ** min(self._failures, 16), RECONNECT_S_MAX)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
            if not await self._connect():
                self._failures += 1
                self._on_failure()

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(
                    lambda: Connection(self), endpoint.host, endpoint.port, ssl=endpoint.tls
                )
        except (OSError, TimeoutError):
            return False
        return True
