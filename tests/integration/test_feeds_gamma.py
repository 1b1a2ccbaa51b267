"""Discovery by series: pages, markets that leave the list, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from deadlines import PATIENCE_S

from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.log import ErrorLog, Log
from engine.wire.codes import Kind, MarketStatus
from engine.wire.records import typed
from feeds.gamma import GammaFeed
from feeds.group import COUNTERS
from feeds.instruments import Instruments
from feeds.port import Context

DEADLINE_S = PATIENCE_S


def _market(number: int, **over: Any) -> dict[str, Any]:
    tokens = [str((1 << 200) + (1 << 60) + 2 * number + k) for k in (0, 1)]
    market = {
        "slug": f"window-{number}",
        "conditionId": f"0x{number:064x}",
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": json.dumps(tokens),
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "acceptingOrders": True,
        "closed": False,
        "feesEnabled": False,
    }
    return {**market, **over}


class Directory:
    """A Gamma of one series, two events a page; it can be told to fail."""

    def __init__(self) -> None:
        self.markets: dict[str, dict[str, Any]] = {}
        self.fails = False
        self.asked_by_slug: list[str] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    def put(self, *markets: dict[str, Any]) -> None:
        """List markets, or replace them."""
        self.markets |= {market["slug"]: market for market in markets}

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.add_routes(
            [web.get("/events/keyset", self._events), web.get("/markets", self._by_slug)]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.Response:
        if self.fails:
            return web.Response(status=502, text="<html>bad gateway</html>")
        assert request.query["series_id"] == "10192"
        start = int(request.query.get("after_cursor", "0"))
        listed = [each for each in self.markets.values() if not each["closed"]]
        page = {"events": [{"markets": [each]} for each in listed[start : start + 2]]}
        if start + 2 < len(listed):
            page["next_cursor"] = str(start + 2)
        return web.json_response(page)

    async def _by_slug(self, request: web.Request) -> web.Response:
        slug, closed = request.query["slug"], request.query.get("closed") == "true"
        self.asked_by_slug.append(slug)
        market = self.markets.get(slug)
        return web.json_response([market] if market and market["closed"] == closed else [])


class Ring:
    """What was published."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def publish(self, rows: np.ndarray) -> None:
        """Keep records."""
        self.rows += list(rows.copy())

    def of(self, kind: Kind) -> list[Any]:
        """Return the records of a kind."""
        return [typed(row, kind)[0] for row in self.rows if int(row[0]) & 0xFFFF == kind]


class Running:
    """A Gamma feed at work in the test's loop."""

    def __init__(self, directory: Path, url: str, indices_max: int) -> None:
        clock = Clock.anchored()
        self.counters = create_counters(directory / "feeds.counters", COUNTERS)
        self._log = Log(directory / "feeds.jsonl", "feeds", clock)
        pace = {"gamma_poll_ms": 5, "reconnect_ms_min": 1, "reconnect_ms_max": 5}
        markets = {"slugs": [], "series_ids": [10192]}
        errors = ErrorLog(directory / "feeds.errors.json", clock)
        context = Context(
            clock, self.counters, self._log, errors, pace, {"gamma_url": url}, markets
        )
        self.ring, self.instruments = Ring(), Instruments()
        self._feed = GammaFeed(
            context, self.instruments, self.ring, directory, indices_max=indices_max
        )
        self._feed.start()

    def count(self, name: str) -> int:
        """Return a counter."""
        return self.counters.get(self.counters.index(name))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Work until a condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._feed.work()
                await asyncio.sleep(0.002)

    async def polled(self) -> None:
        """Work until everything has been asked about once more."""
        polls = self.count("gamma_polls")
        await self.until(lambda: self.count("gamma_polls") >= polls + 2)

    async def close(self) -> None:
        """Stop."""
        self._feed.close()
        for _ in range(5):
            await asyncio.sleep(0)
        self._log.close()
        self.counters.close()


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    """A listening Gamma."""
    each = Directory()
    await each.start()
    yield each
    await each.stop()


async def test_a_series_is_followed_page_by_page_and_to_the_end(
    tmp_path: Path, directory: Directory
):
    """All pages are read once; a market that leaves the list is asked for until it is resolved."""
    directory.put(*(_market(k) for k in range(1, 6)))
    feed = Running(tmp_path, directory.url, indices_max=100)
    await feed.until(lambda: len(feed.ring.of(Kind.INSTRUMENT)) == 10)
    await feed.polled()
    assert len(feed.ring.of(Kind.INSTRUMENT)) == 10
    assert directory.asked_by_slug == []
    directory.put(_market(2, closed=True))
    await feed.until(lambda: feed.instruments.get(3).status == MarketStatus.CLOSED)
    directory.put(
        _market(2, closed=True, automaticallyResolved=True, outcomePrices='["1", "0"]'), _market(9)
    )
    await feed.until(lambda: feed.instruments.get(3).is_resolved)
    assert set(directory.asked_by_slug) == {"window-2"}
    await feed.until(lambda: len(feed.instruments) == 12)
    statuses = [
        (int(s["instrument"]), int(s["status"]), int(s["payout"]))
        for s in feed.ring.of(Kind.STATUS)
        if s["instrument"] in (3, 4)
    ]
    assert statuses == [
        (3, MarketStatus.OPEN, -1),
        (4, MarketStatus.OPEN, -1),
        (3, MarketStatus.CLOSED, -1),
        (4, MarketStatus.CLOSED, -1),
        (3, MarketStatus.RESOLVED, 1_000_000),
        (4, MarketStatus.RESOLVED, 0),
    ]
    asked = len(directory.asked_by_slug)
    await feed.polled()
    assert len(directory.asked_by_slug) <= asked + 1
    await feed.close()


async def test_refused_markets_are_counted_once_and_spare_the_others(
    tmp_path: Path, directory: Directory
):
    """A contradicting id, a token used twice and a lack of room each refuse one market only."""
    directory.put(
        _market(1),
        _market(2, version="v2", positionIds=json.loads(_market(2)["clobTokenIds"])),
        _market(3, clobTokenIds=_market(1)["clobTokenIds"]),
        _market(4),
        _market(5),
    )
    feed = Running(tmp_path, directory.url, indices_max=4)
    await feed.until(lambda: feed.count("markets_refused") == 3)
    await feed.polled()
    assert feed.count("markets_refused") == 3
    assert {each.market.slug for each in feed.instruments} == {"window-1", "window-4"}
    await feed.close()


async def test_a_failing_directory_keeps_the_last_good_one(tmp_path: Path, directory: Directory):
    """Bad gateways are counted and retried; what is known stays, and nothing is told twice."""
    directory.put(_market(1))
    feed = Running(tmp_path, directory.url, indices_max=100)
    await feed.until(lambda: len(feed.instruments) == 2)
    directory.fails = True
    await feed.until(lambda: feed.count("gamma_errors") >= 3)
    assert feed.count("venue_reachable") == 0
    directory.fails = False
    await feed.until(lambda: feed.count("venue_reachable") == 1)
    assert len(feed.ring.of(Kind.INSTRUMENT)) == 2
    assert len(feed.ring.of(Kind.STATUS)) == 2
    await feed.close()


async def test_a_market_is_open_from_its_announcement_if_it_accepts_orders(
    tmp_path: Path, directory: Directory
):
    """The core trades nothing before it hears OPEN: right behind INSTRUMENT, or when it is so."""
    directory.put(_market(1), _market(2, acceptingOrders=False), _market(3))
    feed = Running(tmp_path, directory.url, indices_max=100)
    await feed.until(lambda: len(feed.instruments) == 6)
    await feed.polled()
    told = [(int(row[0]) & 0xFFFF, int(row[0]) >> 32) for row in feed.ring.rows]
    instrument, status = Kind.INSTRUMENT, Kind.STATUS
    assert told == [
        *((instrument, 1), (instrument, 2), (status, 1), (status, 2)),
        *((instrument, 3), (instrument, 4)),
        *((instrument, 5), (instrument, 6), (status, 5), (status, 6)),
    ]
    assert {int(s["status"]) for s in feed.ring.of(Kind.STATUS)} == {MarketStatus.OPEN}
    directory.put(_market(2))
    await feed.until(lambda: len(feed.ring.of(Kind.STATUS)) == 6)
    assert {int(s["instrument"]) for s in feed.ring.of(Kind.STATUS)[4:]} == {3, 4}
    await feed.close()
