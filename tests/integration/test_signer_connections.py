"""The connection pool: TLS that verifies, waiting, and the end of waiting."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from deadlines import PATIENCE_S

from signer.http import Answer, Endpoint, Outcome, Pool

DEADLINE_S = PATIENCE_S
MS = 1_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def until(condition: Callable[[], Any], pool: Pool) -> None:
    """Turn the pool's crank until a condition is true."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "not seen in time"
        pool.work(time.monotonic_ns())
        await asyncio.sleep(0.001)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk, port: int = 0, tls: ssl.SSLContext | None = None) -> Any:
    """A server on loopback; yields its port, and ends when every conversation has."""
    talks: list[asyncio.Task[None]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        with suppress(asyncio.IncompleteReadError, OSError):
            await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(converse, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*talks)


class Answerer:
    """Answers each request, and counts them."""

    def __init__(self) -> None:
        self.seen = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        while await reader.readuntil(b"\r\n\r\n"):
            self.seen += 1
            writer.write(OK)


def pool_of(endpoint: Endpoint, size: int = 1, wait_ms: int = 10_000) -> Pool:
    """A pool with generous times."""
    return Pool(endpoint, size, time.monotonic_ns, timeout_ns=10_000 * MS, wait_ns_max=wait_ms * MS)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, key and certificate in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "localhost.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", path, "-out", tmp_path / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "cert").read_bytes())
    return path


async def test_requests_share_a_warm_connection_in_order() -> None:
    """Many requests, one connection: each is answered, none opens another."""
    venue = Answerer()
    async with listening(venue.talk) as port:
        pool = pool_of(Endpoint.of(f"http://127.0.0.1:{port}"))
        pool.start()
        answers: list[Answer] = []
        for _ in range(20):
            pool.send(REQUEST, answers.append)
        await until(lambda: len(answers) == 20, pool)
        assert {answer.outcome for answer in answers} == {Outcome.ANSWERED}
        assert (venue.seen, pool.connects, pool.in_flight) == (20, 1, 0)
        pool.close()


async def test_tls_is_verified(certificate: Path) -> None:
    """A certificate nobody vouches for gets no byte of ours; a trusted one gets the request."""
    venue = Answerer()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with listening(venue.talk, tls=tls) as port:
        url = f"https://localhost:{port}"
        stranger = pool_of(Endpoint.of(url), wait_ms=300)
        stranger.start()
        answers: list[Answer] = []
        stranger.send(REQUEST, answers.append)
        await until(lambda: answers, stranger)
        assert answers[0].outcome == Outcome.NOT_SENT
        assert (venue.seen, stranger.connects) == (0, 0)
        stranger.close()

        friend = pool_of(Endpoint.of(url, ssl.create_default_context(cafile=str(certificate))))
        friend.start()
        friend.send(REQUEST, answers.append)
        await until(lambda: len(answers) == 2, friend)
        assert (answers[1].outcome, answers[1].body) == (Outcome.ANSWERED, b"ok")
        friend.close()


async def test_a_pool_comes_back_after_the_venue_does() -> None:
    """While nobody listens requests end as NOT_SENT; then connections are made again."""
    async with listening(Answerer().talk) as port:
        pool = pool_of(Endpoint.of(f"http://127.0.0.1:{port}"), wait_ms=50)
    pool.start()
    answers: list[Answer] = []
    pool.send(REQUEST, answers.append)
    await until(lambda: answers, pool)
    assert (answers[0].outcome, answers[0].sent_ns) == (Outcome.NOT_SENT, 0)
    async with listening(Answerer().talk, port):
        await until(lambda: pool.connected, pool)
        pool.send(REQUEST, answers.append)
        await until(lambda: len(answers) == 2, pool)
        assert answers[1].outcome == Outcome.ANSWERED
        pool.close()


async def test_closing_ends_every_request() -> None:
    """What is on the way is CONNECTION_LOST, what waits is NOT_SENT, both at once."""

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        pool = pool_of(Endpoint.of(f"http://127.0.0.1:{port}"))
        pool.start()
        await until(lambda: pool.connected, pool)
        answers: list[Answer] = []
        pool.send(REQUEST, answers.append)
        pool.send(REQUEST, answers.append)
        pool.close()
        assert [a.outcome for a in answers] == [Outcome.CONNECTION_LOST, Outcome.NOT_SENT]
        pool.send(REQUEST, answers.append)
        assert answers[2].outcome == Outcome.NOT_SENT
