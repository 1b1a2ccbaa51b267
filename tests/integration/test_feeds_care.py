"""A real feed's care for connections that look healthy: replacement, and quiet tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from feeds_support import DOWN, UP, book, change, price_change, spaced
from feeds_venue import DEADLINE_S, FeedProcess, Venue, run_file

from engine.core_duty import COUNTERS as CORE_COUNTERS
from engine.host.duty import create_counters
from engine.wire.codes import Connection, Flag, Kind

DIALLED = [(0, Connection.CONNECTING), (0, Connection.CONNECTED)]


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback."""
    each = Venue()
    await each.start()
    yield each
    await each.stop()


def _dumps(feed: FeedProcess, index: int) -> int:
    """Return how often a book has come whole."""
    return sum(
        each["instrument"] == index and bool(int(each["flags"]) & Flag.RESET)
        for each in feed.records(Kind.LEVELS)
    )


def _prices(feed: FeedProcess) -> list[int]:
    """Return the first price of every change that is no dump."""
    return [
        int(each["levels"]["price"][0])
        for each in feed.records(Kind.LEVELS)
        if not int(each["flags"]) & Flag.RESET
    ]


async def test_a_healthy_socket_is_replaced_and_no_book_forgotten(tmp_path: Path, venue: Venue):
    """The second socket's dumps come, then the first is closed; nobody is told of a disconnect."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, rotate_ms=300))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    await feed.until(lambda: feed.counters()["rotations"] >= 1)
    first = venue.market_sockets[0]
    await feed.until(lambda: first.closed)
    assert feed.states() == DIALLED
    assert _dumps(feed, 1) >= 2
    assert _dumps(feed, 2) >= 2
    assert await feed.stop() == (0, "")


async def test_each_book_follows_one_line_while_there_are_two(tmp_path: Path, venue: Venue):
    """Until a book's dump comes by the new socket the old one is heard about it, then only that."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, rotate_ms=1_500))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    venue.mute = {DOWN}
    await feed.until(lambda: _dumps(feed, 1) == 2)
    old, new = venue.market_sockets
    await old.send_str(spaced(price_change(change(UP, "0.11"), change(DOWN, "0.12"))).decode())
    await new.send_str(spaced(price_change(change(UP, "0.21"), change(DOWN, "0.22"))).decode())
    await feed.until(lambda: len(_prices(feed)) == 2)
    assert sorted(_prices(feed)) == [120_000, 210_000]
    await new.send_str(spaced(book([("0.3", "1")], [], DOWN)).decode())
    await feed.until(lambda: old.closed)
    await new.send_str(spaced(price_change(change(UP, "0.31"), change(DOWN, "0.32"))).decode())
    await feed.until(lambda: len(_prices(feed)) == 4)
    assert _prices(feed)[2:] == [310_000, 320_000]
    assert feed.states() == DIALLED
    assert await feed.stop() == (0, "")


async def test_a_successor_that_dies_gives_its_books_back(tmp_path: Path, venue: Venue):
    """What had moved to it is not believed until the old socket has dumped it anew."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, rotate_ms=1_500))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    venue.mute = {DOWN}
    await feed.until(lambda: _dumps(feed, 1) == 2)
    await venue.drop(venue.market_sockets)
    await feed.until(lambda: _dumps(feed, 1) == 3)
    assert feed.states() == [*DIALLED, (1, Connection.DISCONNECTED)]
    assert _dumps(feed, 2) == 1
    assert not venue.market_sockets[0].closed
    assert await feed.stop() == (0, "")


async def test_an_active_socket_that_dies_takes_its_successor_along(tmp_path: Path, venue: Venue):
    """Then it is an ordinary disconnect: every book forgotten, and dumped on a new socket."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, rotate_ms=1_500))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    venue.mute = {DOWN}
    await feed.until(lambda: _dumps(feed, 1) == 2)
    venue.mute = set()
    await venue.drop(venue.market_sockets[:1])
    await feed.until(lambda: _dumps(feed, 2) == 2)
    assert feed.states() == [*DIALLED, (0, Connection.DISCONNECTED), *DIALLED]
    await feed.until(lambda: venue.market_sockets[1].closed)
    assert await feed.stop() == (0, "")


async def _quiet_down(feed: FeedProcess, venue: Venue, counter: str) -> None:
    """Move only Up until the feed has counted something."""
    async with asyncio.timeout(DEADLINE_S):
        while not feed.counters()[counter]:
            await venue.tell_market(spaced(price_change(change(UP, "0.2"))))
            await asyncio.sleep(0.01)
            feed.poll()


async def test_a_quiet_token_whose_book_moved_is_dumped_anew(tmp_path: Path, venue: Venue):
    """Its sibling moves, REST knows better: the book is disbelieved and subscribed once more."""
    venue.books[DOWN] = book([("0.3", "1")], [("0.6", "1")], DOWN)
    feed = FeedProcess(run_file(tmp_path, venue.urls, quiet_ms=200))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    await _quiet_down(feed, venue, "book_check_misses")
    await feed.until(lambda: _dumps(feed, 2) == 2)
    assert (2, Connection.DISCONNECTED) in feed.states()
    assert (1, Connection.DISCONNECTED) not in feed.states()
    assert f"/book {UP}" not in venue.asked
    assert await feed.stop() == (0, "")


@pytest.mark.parametrize("known", [True, False], ids=["equal", "unknown"])
async def test_a_token_that_is_merely_quiet_is_left_alone(
    tmp_path: Path, venue: Venue, known: bool
):
    """REST says the same, or nothing: the book stays believed."""
    if known:
        venue.books[DOWN] = book([("0.48", "1"), ("0.49", "9")], [("0.51", "2")], DOWN)
    feed = FeedProcess(run_file(tmp_path, venue.urls, quiet_ms=200))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    await _quiet_down(feed, venue, "book_checks")
    assert feed.states() == DIALLED
    assert feed.counters()["book_check_misses"] == 0
    assert await feed.stop() == (0, "")


async def test_a_token_whose_first_dump_was_lost_gets_another(tmp_path: Path, venue: Venue):
    """Its subscription alone is made anew, on the same socket, until its book has come."""
    venue.mute = {DOWN}
    feed = FeedProcess(run_file(tmp_path, venue.urls, snapshot_ms=200))
    await feed.start()
    await feed.until(lambda: feed.counters().get("snapshots_missed", 0) > 1)
    venue.mute = set()
    await feed.until(lambda: _dumps(feed, 2) == 1)
    assert _dumps(feed, 1) == 1
    assert all(asked["assets_ids"] == [DOWN] for asked in venue.received[1:])
    assert feed.states() == DIALLED
    assert await feed.stop() == (0, "")


async def test_one_mute_token_costs_its_siblings_no_socket(tmp_path: Path, venue: Venue):
    """A core that wants everything again gets what there is; the mute token is asked for rarely."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, snapshot_ms=60_000))
    await feed.start()
    await feed.until(lambda: _dumps(feed, 1) == 1 and _dumps(feed, 2) == 1)
    venue.mute = {DOWN}
    counters = create_counters(feed.runtime.counters("core"), CORE_COUNTERS)
    counters.add(counters.index("snapshots_wanted"))
    await feed.until(lambda: _dumps(feed, 1) == 2)
    await feed.until(lambda: feed.counters()["resubscribes"] == 3)
    asked = len(venue.received)
    venue.mute = set()
    counters.add(counters.index("snapshots_wanted"))
    await feed.until(lambda: _dumps(feed, 2) == 2)
    assert len(venue.received) > asked
    assert len(venue.market_sockets) == 1
    counters.close()
    assert await feed.stop() == (0, "")
