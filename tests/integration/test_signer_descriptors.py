"""A signer without descriptors: what rests can be cancelled, and nothing is ordered."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from signer_harness import Desk, Venue, trading
from test_signer_connections import REQUEST, Answerer, listening, pool_of, until
from test_signer_process import hash_of

from engine.wire.codes import Kind, Reason
from signer.http import Answer, Endpoint, Outcome

CONNECTIONS = 5  # two for orders, two for cancels, one for look-ups


@pytest.fixture
def venue() -> Venue:
    """A venue that accepts orders and knows their ids."""
    venue = Venue()
    venue.hash_of = hash_of
    return venue


def connections(venue: Venue) -> int:
    """How many connections the venue has."""
    assert venue.server is not None
    return len(venue.server.connections)


def descriptors(desk: Desk) -> dict[int, str]:
    """What the signer has open, by number."""
    assert desk.process is not None
    found: dict[int, str] = {}
    for entry in Path(f"/proc/{desk.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found[int(entry.name)] = os.readlink(entry)
    return found


def reserved(desk: Desk) -> int:
    """How many descriptors the signer has open on nothing."""
    return list(descriptors(desk).values()).count(os.devnull)


def limit_descriptors(desk: Desk, count: int) -> None:
    """Let the signer open no descriptor with this number or a higher one; it keeps those it has."""
    assert desk.process is not None
    _, hard = resource.prlimit(desk.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(desk.process.pid, resource.RLIMIT_NOFILE, (count, hard))


def without_connections(desk: Desk) -> int:
    """Return the limit under which a lost connection cannot be made again."""
    opened = descriptors(desk)
    sockets = sorted(number for number, what in opened.items() if what.startswith("socket:"))
    first = sockets[-CONNECTIONS]  # the loop has sockets of its own, and had them before
    return next(number for number in range(first + 1) if number == first or number not in opened)


async def move(desk: Desk, venue: Venue, host: str) -> None:
    """Start the signer anew, with the venue under another name."""
    await desk.stop()
    await desk.until(lambda: not connections(venue), "the end of every connection")
    url = desk.runtime.settings["venue"]["rest_url"]
    desk.runtime.settings["venue"]["rest_url"] = url.replace("127.0.0.1", host)
    desk.runtime.save()
    desk.launch()
    desk.announce()


@asynccontextmanager
async def short_of_descriptors(
    directory: Path, venue: Venue, host: str = "127.0.0.1"
) -> AsyncIterator[Desk]:
    """A signer with order 1 resting, that lost its connections and has no descriptor for others."""
    async with trading(directory, venue) as desk:
        if host != "127.0.0.1":
            await move(desk, venue, host)
        await desk.until(lambda: connections(venue) == CONNECTIONS, "every connection")
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        limit_descriptors(desk, without_connections(desk))
        venue.hang_up()
        await desk.until(lambda: desk.count("descriptors_short"), "that descriptors are short")
        yield desk


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_without_descriptors_a_cancel_leaves_and_an_order_does_not(
    tmp_path: Path, venue: Venue, host: str
) -> None:
    """The order is definitively refused; the cancel can connect, and resolve a name for that."""
    async with short_of_descriptors(tmp_path, venue, host) as desk:
        desk.order(2)
        desk.cancel(1)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 2), "REJECT")
        assert Reason(int(reject["reason"])) is Reason.NO_CONNECTION
        await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert venue.cancels == [{"orderID": hash_of(venue.orders[0])}]
        desk.cancel_all()
        await desk.until(lambda: venue.cancel_alls, "the cancel of everything")
        assert len(venue.orders) == 1
        assert desk.report(Kind.UNKNOWN) is None


async def test_what_is_unknown_is_looked_up_without_descriptors(
    tmp_path: Path, venue: Venue
) -> None:
    """An order on the way when the connections died gets its evidence."""

    async def hang_up(_request: web.Request) -> web.StreamResponse:
        limit_descriptors(desk, without_connections(desk))
        venue.hang_up()
        return web.Response()

    async def alive(request: web.Request) -> web.StreamResponse:
        content = {"id": request.match_info["id"], "status": "LIVE", "size_matched": "0"}
        return web.json_response(content)

    venue.on_order, venue.on_look_up = hang_up, alive
    async with trading(tmp_path, venue) as desk:
        await desk.until(lambda: connections(venue) == CONNECTIONS, "every connection")
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.kinds() == ["SIGNED", "UNKNOWN", "ACK"]
        assert desk.count("descriptors_short") == 1


async def test_orders_go_on_when_there_are_descriptors_again(tmp_path: Path, venue: Venue) -> None:
    """The reserve is filled again, every connection is made, and the next order is accepted."""
    async with short_of_descriptors(tmp_path, venue) as desk:
        held = reserved(desk)
        limit_descriptors(desk, 1_000)
        await desk.until(lambda: not desk.count("descriptors_short"), "the end of the shortage")
        await desk.until(lambda: connections(venue) == CONNECTIONS, "every connection")
        assert reserved(desk) > held
        desk.order(2)
        await desk.until(lambda: desk.report(Kind.ACK, 2), "ACK")
        assert desk.report(Kind.UNKNOWN) is None
        assert desk.count("errors") == 0
        assert await desk.stop() == 0


async def test_a_pool_that_keeps_no_connections_refuses_and_goes_on_with_those_it_has() -> None:
    """What is sent meanwhile is NOT_SENT at once; what was on its way is answered."""
    answers: list[Answer] = []
    answerer = Answerer()
    async with listening(answerer.talk) as port:
        pool = pool_of(Endpoint.of(f"http://127.0.0.1:{port}"))
        pool.start()
        await until(lambda: pool.connected, pool)
        pool.send(REQUEST, answers.append)
        pool.keep(0)
        pool.send(REQUEST, answers.append)
        assert [answer.outcome for answer in answers] == [Outcome.NOT_SENT]
        await until(lambda: len(answers) == 2, pool)
        pool.send(REQUEST, answers.append)
        assert not pool.connected
        pool.keep(1)
        pool.send(REQUEST, answers.append)
        await until(lambda: len(answers) == 4, pool)
        outcomes = [Outcome(answer.outcome) for answer in answers]
        assert outcomes == [Outcome.NOT_SENT, Outcome.ANSWERED, Outcome.NOT_SENT, Outcome.ANSWERED]
        assert (pool.connects, answerer.seen) == (1, 2)
        pool.close()
