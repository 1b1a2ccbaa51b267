"""The windows of a day, found as a client finds them: by the number of their series alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, web

from engine.exchange.accounts import Accounts
from engine.exchange.central_book import CentralBook
from engine.exchange.drivers import FIRST_MS
from engine.exchange.oracle import Oracle
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Schedule
from engine.exchange.server.app import Hosting, build_app
from engine.exchange.server.streams import Streams
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.exchange.windows import SETTLE_MS, Windows

pytestmark = pytest.mark.slow

DAY_MS = 86_400_000
SERIES = {5: "10684", 15: "10192"}


class Day:
    """A served day of windows, whose clock the test moves."""

    def __init__(self, windows: Windows, session: ClientSession, url: str) -> None:
        self.windows = windows
        self.schedule = windows.venue.schedule
        self._session = session
        self._url = url

    async def get(self, path: str, **query: str) -> Any:
        """Return the directory's decoded answer."""
        async with self._session.get(self._url + path, params=query) as response:
            assert response.status == 200, await response.text()
            return orjson.loads(await response.read())

    async def series(self, series: str, **query: str) -> list[dict[str, Any]]:
        """Return the open events of a series, all pages."""
        events: list[dict[str, Any]] = []
        while True:
            page = await self.get("/events/keyset", series_id=series, closed="false", **query)
            events += page["events"]
            if "next_cursor" not in page:
                return events
            query["after_cursor"] = page["next_cursor"]


@asynccontextmanager
async def served_day(minutes: int) -> AsyncIterator[Day]:
    """Serve a day of windows without trades, which the reference prices decide."""
    schedule, accounts, hosting = Schedule(), Accounts("day"), Hosting()
    streams = Streams(schedule, accounts, lambda token: venue.find(token))
    venue = Venue(VenueRules(), schedule, accounts, TruthLedger(), streams, "day", CentralBook)
    windows = Windows(venue, hosting.prices, "day", FIRST_MS, minutes, DAY_MS // minutes // 60_000)
    schedule.advance(FIRST_MS - windows.length_ms)
    oracle = Oracle(schedule, hosting.prices, "day", windows.last_ms)
    windows.begin()
    oracle.begin()
    runner = web.AppRunner(build_app(venue, streams, hosting, dict, lambda: None), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as session:
            port = runner.addresses[0][1]
            yield Day(windows, session, f"http://127.0.0.1:{port}/gamma")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("minutes", [5, 15])
async def test_a_day_is_followed_by_its_series_alone(minutes: int):
    """Looked for twice a window, each is listed before it starts and told with its result after."""
    async with served_day(minutes) as day:
        windows, seen = day.windows, dict[str, int]()
        while not windows.is_done:
            now_ms = day.schedule.now_ms
            for event in await day.series(SERIES[minutes]):
                seen.setdefault(event["markets"][0]["slug"], now_ms)
            day.schedule.advance(now_ms + windows.length_ms // 2)
        length_s = windows.length_ms // 1_000
        starts_s = range(FIRST_MS // 1_000, (FIRST_MS + DAY_MS) // 1_000, length_s)
        assert list(seen) == [f"btc-updown-{minutes}m-{start_s}" for start_s in starts_s]
        for slug, seen_ms in seen.items():
            start_ms = int(slug.rpartition("-")[2]) * 1_000
            assert seen_ms < start_ms
        assert await day.series(SERIES[minutes]) == []
        for slug in seen:
            (market,) = await day.get("/markets", slug=slug, closed="true")
            assert market["outcomePrices"] in ('["1", "0"]', '["0", "1"]')
            assert market["umaResolutionStatus"] == "resolved"


async def test_a_series_is_the_venues_and_no_other():
    """The series of a window is named by number and slug; another number finds nothing."""
    async with served_day(15) as day:
        (event,) = await day.series("10192")
        assert event["seriesSlug"] == "btc-up-or-down-15m"
        assert [(each["id"], each["slug"]) for each in event["series"]] == [
            ("10192", "btc-up-or-down-15m")
        ]
        assert await day.series("10684") == []
        assert await day.series("0") == []


async def test_windows_are_found_by_when_they_end():
    """What has ended before, or ends after, a time of the query is left out."""
    async with served_day(15) as day:
        day.schedule.advance(FIRST_MS + 60_000)
        first, second = await day.series("10192")
        end = first["endDate"]
        assert await day.series("10192", end_date_min=end) == [first, second]
        assert await day.series("10192", end_date_max=end) == [first]
        later = datetime.fromtimestamp((FIRST_MS + day.windows.length_ms) / 1_000 + 1, UTC)
        assert await day.series("10192", end_date_min=later.isoformat()) == [second]
        day.schedule.advance(FIRST_MS + day.windows.length_ms + SETTLE_MS)
        assert first["id"] not in [event["id"] for event in await day.series("10192")]
