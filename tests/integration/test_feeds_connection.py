"""The connection itself against a WebSocket server that does what servers should not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import PATIENCE_S
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.log import ErrorLog, Log
from engine.wire.codes import Connection as State
from feeds.connection import FRAME_BYTES_MAX, Connection, Pace
from feeds.group import COUNTERS
from feeds.port import Context

DEADLINE_S = PATIENCE_S
PACE = Pace(1, 5, silence_ms_max=60_000, ping_ms=20, connect_timeout_ms=500)


class Listening:
    """A session that keeps what it hears."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.states: list[State] = []
        self.fails = False
        self.bursts: list[int] = []  # how many frames there had been whenever it had caught up

    def opening(self) -> list[bytes]:
        """Say hello."""
        return [b"hello"]

    def frame(self, payload: bytes | memoryview, local_ns: int) -> bool:
        """Keep a message; it may be a view that dies with the call."""
        if self.fails:
            raise RuntimeError("our own mistake")
        assert local_ns > 0
        self.frames.append(bytes(payload))
        return True

    def caught_up(self) -> None:
        """Keep how far it had come."""
        self.bursts.append(len(self.frames))

    def status(self, connection: State) -> None:
        """Keep a state."""
        self.states.append(connection)

    def expects_data(self) -> bool:
        """Nothing is expected here."""
        return False


Act = Callable[[WSTransport], None]


class Server:
    """A WebSocket server on loopback; `on_hello` is what it does to whoever says hello."""

    def __init__(self) -> None:
        self.on_hello: Act = lambda _: None
        self.heard: list[bytes] = []
        self.open: set[WSTransport] = set()
        self.url = ""
        self._server: Any = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await ws_create_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"ws://{host}:{port}/"

    async def stop(self) -> None:
        """Stop listening, hang up on everyone, and see them gone."""
        self._server.close()
        for transport in list(self.open):
            transport.disconnect(graceful=False)
        await _until(lambda: not self.open)

    def _accept(self, _: Any) -> WSListener:
        server = self

        class Hello(WSListener):
            def on_ws_connected(self, transport: WSTransport) -> None:
                server.open.add(transport)

            def on_ws_disconnected(self, transport: WSTransport) -> None:
                server.open.discard(transport)

            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                if frame.msg_type is WSMsgType.TEXT:
                    text = frame.get_payload_as_bytes()
                    server.heard.append(text)
                    if text == b"hello":
                        server.on_hello(transport)

        return Hello()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A listening server."""
    each = Server()
    await each.start()
    yield each
    await each.stop()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """What a connection needs to count and to log."""
    clock = Clock.anchored()
    counters = create_counters(tmp_path / "feeds.counters", COUNTERS)
    log = Log(tmp_path / "feeds.jsonl", "feeds", clock)
    errors = ErrorLog(tmp_path / "feeds.errors.json", clock)
    yield Context(clock, counters, log, errors, {}, {}, {})
    log.close()
    counters.close()


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


async def _close(connection: Connection) -> None:
    connection.close()
    await _until(lambda: "test" not in {task.get_name() for task in asyncio.all_tasks()})


def _count(context: Context, name: str) -> int:
    return context.counters.get(context.counters.index(name))


async def test_a_message_in_pieces_is_one_message(context: Context, server: Server):
    """Fragments are put together; PONG is an answer and never reaches the session."""

    def in_pieces(transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b'{"a":', fin=False)
        transport.send(WSMsgType.CONTINUATION, b"1", fin=False)
        transport.send(WSMsgType.CONTINUATION, b"}", fin=True)
        transport.send(WSMsgType.TEXT, b"PONG")
        transport.send(WSMsgType.TEXT, b"[]")

    server.on_hello, session = in_pieces, Listening()
    connection = Connection("test", server.url, PACE, session, context)
    connection.start()
    await _until(lambda: len(session.frames) == 2)
    assert session.frames == [b'{"a":1}', b"[]"]
    await _until(lambda: b"PING" in server.heard)
    await _close(connection)


async def test_a_frame_beyond_the_limit_ends_the_connection(context: Context, server: Server):
    """Nobody makes us hold more than the limit: the socket is given up and dialled anew."""

    def too_much(transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"x" * (FRAME_BYTES_MAX + 1))

    server.on_hello, session = too_much, Listening()
    connection = Connection("test", server.url, PACE, session, context)
    connection.start()
    await _until(lambda: session.states.count(State.DISCONNECTED) >= 2)
    assert session.frames == []
    await _close(connection)


async def test_pieces_beyond_the_limit_end_the_connection(context: Context, server: Server):
    """Small fragments cannot add up to more than the limit either."""

    def endless(transport: WSTransport) -> None:
        part = b"x" * (FRAME_BYTES_MAX // 4)
        transport.send(WSMsgType.TEXT, part, fin=False)
        for _ in range(4):
            transport.send(WSMsgType.CONTINUATION, part, fin=False)

    server.on_hello, session = endless, Listening()
    connection = Connection("test", server.url, PACE, session, context)
    connection.start()
    await _until(lambda: State.DISCONNECTED in session.states)
    assert session.frames == []
    await _close(connection)


async def test_accepting_and_closing_does_not_reset_the_backoff(context: Context, server: Server):
    """A server that hangs up on everyone is dialled at the backoff's pace: only data resets it."""
    server.on_hello, session = lambda transport: transport.disconnect(graceful=False), Listening()
    attempts: list[int] = []

    class Watched(Pace):
        def backoff_ms(self, attempt: int, luck: float) -> float:
            attempts.append(attempt)
            return 1.0

    pace = Watched(1, 5, silence_ms_max=60_000, ping_ms=20)
    connection = Connection("test", server.url, pace, session, context)
    connection.start()
    await _until(lambda: len(attempts) >= 4)
    assert attempts[:4] == [1, 2, 3, 4]
    assert connection.connects >= 4
    await _close(connection)


async def test_data_resets_the_backoff(context: Context, server: Server):
    """A server that said something before it hung up is dialled again as after a first failure."""

    def say_something(transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"{}")
        transport.disconnect()

    server.on_hello, session = say_something, Listening()
    attempts: list[int] = []

    class Watched(Pace):
        def backoff_ms(self, attempt: int, luck: float) -> float:
            attempts.append(attempt)
            return 1.0

    pace = Watched(1, 5, silence_ms_max=60_000, ping_ms=20)
    connection = Connection("test", server.url, pace, session, context)
    connection.start()
    await _until(lambda: len(attempts) >= 4)
    assert attempts[:4] == [1, 1, 1, 1]
    await _close(connection)


async def test_a_port_that_never_answers_is_left_in_time(context: Context):
    """A peer that accepts and says nothing costs one connect timeout, an error and a retry."""
    peers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: peers.append(writer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    session = Listening()
    pace = Pace(1, 5, silence_ms_max=60_000, ping_ms=20, connect_timeout_ms=30)
    connection = Connection("test", f"ws://{host}:{port}/", pace, session, context)
    connection.start()
    await _until(lambda: _count(context, "connect_errors") >= 2)
    assert State.CONNECTED not in session.states
    await _close(connection)
    server.close()
    for peer in peers:
        peer.close()
    await asyncio.gather(*(peer.wait_closed() for peer in peers), return_exceptions=True)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "wss://127.0.0.1:1/", "http://x", "nonsense"])
async def test_an_impossible_url_is_an_error_counted_and_named(context: Context, url: str):
    """Refused ports and texts that are no WebSocket URL are retried, never raised."""
    session = Listening()
    connection = Connection("test", url, PACE, session, context)
    connection.start()
    await _until(lambda: connection.errors >= 2)
    connection.check()
    assert set(session.states) == {State.CONNECTING, State.DISCONNECTED}
    await _close(connection)


async def test_our_own_mistake_surfaces(context: Context, server: Server):
    """An exception in a session is no venue's fault: check() raises it for the duty loop."""
    server.on_hello, session = lambda transport: transport.send(WSMsgType.TEXT, b"{}"), Listening()
    session.fails = True
    connection = Connection("test", server.url, PACE, session, context)
    connection.start()
    await _until(lambda: connection.failure is not None)
    with pytest.raises(RuntimeError, match="our own mistake"):
        connection.check()
    await _close(connection)


async def test_messages_that_come_together_are_followed_once(context: Context, server: Server):
    """Whoever works on them does so once, with the last of them already known."""

    def burst(transport: WSTransport) -> None:
        for text in (b"[1]", b"[2]", b"[3]"):
            transport.send(WSMsgType.TEXT, text)

    server.on_hello, session = burst, Listening()
    connection = Connection("test", server.url, PACE, session, context)
    connection.start()
    await _until(lambda: session.bursts)
    assert session.frames == [b"[1]", b"[2]", b"[3]"]
    assert session.bursts[0] == 3
    await _close(connection)
