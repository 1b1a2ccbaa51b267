"""The feeds say everything again when the core has missed something: a real feed, a real core."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from core_driver import params
from feeds_support import DOWN, UP, change, price_change, spaced
from feeds_venue import RUN_ID, FeedProcess, Venue, run_file

from engine.bus.ring import Discipline, create_ring
from engine.core_duty import COUNTERS, CoreDuty
from engine.host.duty import create_counters
from engine.wire.codes import Connection, Flag, Kind, MarketStatus

RING_RECORDS = 4096
OPENING = [Kind.INSTRUMENT] * 2 + [Kind.STATUS] * 2


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback."""
    each = Venue()
    await each.start()
    yield each
    await each.stop()


@pytest.fixture
async def feed(tmp_path: Path, venue: Venue) -> AsyncIterator[FeedProcess]:
    """A real feed process that has told everything once."""
    each = FeedProcess(run_file(tmp_path, venue.urls))
    await each.start()
    await each.until(lambda: _kinds(each).count(Kind.LEVELS) == 2, private=False)
    yield each
    assert await each.stop() == (0, "")


def _kinds(feed: FeedProcess) -> list[int]:
    feed.poll_market()
    return [int(row[0]) & 0xFFFF for row in feed.heard]


async def test_counters_that_were_cut_end_nobody(feed: FeedProcess):
    """The feed goes on without them; a core that starts again, with a whole file, is told all."""
    path = feed.runtime.counters("core")
    counters = create_counters(path, COUNTERS)
    counters.add(counters.index("snapshots_wanted"))
    await feed.until(lambda: _kinds(feed).count(Kind.LEVELS) == 4, private=False)
    os.truncate(path, 64)
    create_counters(path, COUNTERS)
    await feed.until(lambda: _kinds(feed).count(Kind.LEVELS) == 6, private=False)


async def test_a_growing_wish_is_answered_with_everything(feed: FeedProcess, venue: Venue):
    """Instruments as they are by now, status, connection and fresh dumps come again, in order."""
    counters = create_counters(feed.runtime.counters("core"), COUNTERS)
    first = len(_kinds(feed))
    await venue.tell_market(TICK_CHANGE)
    await feed.until(lambda: len(_kinds(feed)) == first + 1, private=False)
    counters.add(counters.index("snapshots_wanted"))
    await feed.until(lambda: _kinds(feed).count(Kind.LEVELS) == 4, private=False)
    # This venue's dumps always have the old tick, so the first one changes it back.
    dumps = [Kind.STATUS, Kind.LEVELS, Kind.LEVELS]
    assert _kinds(feed)[first + 1 :] == [*OPENING, Kind.FEED_STATUS, *dumps]
    assert [int(each["tick"]) for each in feed.records(Kind.INSTRUMENT)[2:]] == [1_000, 10_000]
    statuses = feed.records(Kind.STATUS)[3:5]
    assert [int(each["status"]) for each in statuses] == [MarketStatus.OPEN] * 2
    assert feed.states()[-1] == (0, Connection.CONNECTED)
    assert all(int(each["flags"]) & Flag.RESET for each in feed.records(Kind.LEVELS))
    assert feed.counters()["repeats"] == 1
    assert len(venue.market_sockets) == 1
    counters.close()


async def test_a_new_core_also_hears_that_fills_are_seen(feed: FeedProcess):
    """A core started again is told of the user stream too, though that queue loses nothing."""
    counters = create_counters(feed.runtime.counters("core"), COUNTERS)
    counters.add(counters.index("snapshots_wanted"))
    await feed.until(lambda: feed.counters()["repeats"] == 1)
    await feed.until(lambda: (0, Connection.CONNECTED) in feed.states(feed.told))
    told = len(feed.told)
    create_counters(feed.runtime.counters("core"), COUNTERS).close()
    await feed.until(lambda: feed.counters()["repeats"] == 2)
    await feed.until(lambda: (0, Connection.CONNECTED) in feed.states(feed.told[told:]))
    counters.close()
    assert len(feed.records(Kind.INSTRUMENT)) == 6


async def test_a_lapped_core_becomes_whole_again(feed: FeedProcess, venue: Venue):
    """A real core that never saw the instruments, and later misses half the ring, trades again."""
    runtime = feed.runtime
    for name in ("control", "exec", "orders"):
        create_ring(runtime.ring(name), Discipline.QUEUE, 1024, RUN_ID)
    create_ring(runtime.ring("tape"), Discipline.BROADCAST, RING_RECORDS, RUN_ID)
    await _flood(feed, venue)
    feed.private.close()
    counters = create_counters(runtime.counters("core"), COUNTERS)
    core = CoreDuty(runtime, params(), counters)
    core.start()
    books = core.engine.world.books

    def is_whole() -> bool:
        while core.work():
            pass
        market = core.engine.world.instruments.market_of(1)
        return (
            market is not None
            and market.is_open
            and all(books.touch(k)[:3] == (490_000, 510_000, True) for k in (1, 2))
            and books.levels(1, 0, 9) == [(490_000, 5_000_000), (480_000, 10_000_000)]
        )

    await feed.until(is_whole, private=False)
    await _flood(feed, venue)
    await feed.until(is_whole, private=False)
    wanted = counters.get(counters.index("snapshots_wanted"))
    assert wanted >= 2
    core.close()
    counters.close()


TICK_CHANGE = (
    b'{"event_type":"tick_size_change","asset_id":"%s","old_tick_size":"0.01",'
    b'"new_tick_size":"0.001","timestamp":"1777366994943"}' % UP.encode()
)


async def _flood(feed: FeedProcess, venue: Venue) -> None:
    """Have the feed publish more records than the ring holds."""
    entries = [
        change(token, f"0.{k}", "7", "BUY") for k in range(10, 40) for token in (UP, DOWN)
    ] * 10
    published = feed.counters()["records"]
    for _ in range(RING_RECORDS // (len(entries) // 5) + 2):
        await venue.tell_market(spaced(price_change(*entries)))
    await feed.until(lambda: feed.counters()["records"] > published + RING_RECORDS, private=False)
