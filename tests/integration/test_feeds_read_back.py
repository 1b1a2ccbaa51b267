"""A real private feed reads the account back: what counts as complete, and what it tells then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from feeds_support import DOWN, UP
from feeds_venue import ACCOUNT, FeedProcess, Venue, run_file

from engine.wire.codes import Connection, Flag, Kind, MarketStatus

pytestmark = pytest.mark.slow

LEFT = [str((1 << 200) + (1 << 60) + k) for k in (0, 1)]


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback."""
    each = Venue()
    await each.start()
    yield each
    await each.stop()


@pytest.fixture
def feed(tmp_path: Path, venue: Venue) -> FeedProcess:
    """A feed process that is not started yet."""
    return FeedProcess(run_file(tmp_path, venue.urls))


def _trade(number: int, token: str = UP, **over: Any) -> dict[str, Any]:
    trade = {
        "id": f"{number:032x}",
        "taker_order_id": f"0x{number:064x}",
        "asset_id": token,
        "side": "BUY",
        "size": "10",
        "price": "0.5",
        "status": "CONFIRMED",
        "trader_side": "TAKER",
        "owner": ACCOUNT.api.key,
        "match_time": "1777366994",
    }
    return {**trade, **over}


def _left(**over: Any) -> dict[str, Any]:
    """Return a market no setting names."""
    market = {
        "slug": "left",
        "conditionId": "0x" + "ee" * 32,
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": json.dumps(LEFT),
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "acceptingOrders": True,
        "closed": False,
        "feesEnabled": False,
    }
    return {**market, **over}


def _filled(feed: FeedProcess) -> list[int]:
    """Return the instrument of every fill told."""
    return [int(fill["instrument"]) for fill in feed.records(Kind.FILL, feed.told)]


def _balances(feed: FeedProcess) -> list[tuple[int, int]]:
    """Return instrument and amount of every balance told."""
    found = feed.records(Kind.BALANCE, feed.told)
    return [(int(each["instrument"]), int(each["balance"])) for each in found]


async def test_a_complete_read_back_is_told_behind_all_it_found(venue: Venue, feed: FeedProcess):
    """Fills, collateral and shares first, then the status that vouches for them; on and on."""
    venue.trades, venue.shares = [_trade(1)], {UP: "10000000", DOWN: "7"}
    await feed.start()
    await feed.until(feed.read_back_ns)
    kinds = [int(row[0]) & 0xFFFF for row in feed.told]
    vouched = next(
        k
        for k, row in enumerate(feed.told)
        if kinds[k] == Kind.FEED_STATUS and feed.records(Kind.FEED_STATUS, [row])[0]["read_back_ns"]
    )
    assert {Kind.FILL, Kind.BALANCE} <= {*kinds[:vouched]}
    first = feed.read_back_ns()
    assert _balances(feed)[:2] == [(0, 1_000_000_000), (1, 10_000_000)]
    for each in feed.records(Kind.BALANCE, feed.told):
        assert each["local_ns"] >= first
    await feed.until(lambda: feed.read_back_ns() > first)
    await feed.until(lambda: _balances(feed).count((1, 10_000_000)) >= 2)
    assert _balances(feed).count((0, 1_000_000_000)) >= 2
    await feed.until(lambda: (2, 7) in _balances(feed))  # held without a trade: its turn comes
    assert _filled(feed) == [1]
    assert await feed.stop() == (0, "")


async def test_the_feed_gives_signs_of_life_while_the_venue_dribbles(
    venue: Venue, feed: FeedProcess
):
    """An answer without an end is an incomplete read-back: told as old, and tried again."""
    venue.dribbles = {"/data/trades"}
    await feed.start()
    await feed.until(lambda: feed.counters().get("readback_errors", 0) > 0)
    states = feed.records(Kind.FEED_STATUS, feed.told)
    assert states[-1]["connection"] == Connection.CONNECTED
    assert len({int(each["local_ns"]) for each in states}) == len(states) > 4
    assert feed.read_back_ns() == 0
    venue.dribbles = set()
    await feed.until(feed.read_back_ns)
    assert await feed.stop() == (0, "")


async def test_an_unreadable_record_keeps_a_read_back_incomplete(
    venue: Venue, feed: FeedProcess, tmp_path: Path
):
    """The readable trade is told at once; the other is counted, named, and waited for."""
    venue.trades = [_trade(1), _trade(2, size="")]
    await feed.start()
    await feed.until(lambda: _filled(feed) == [1])
    await feed.until(lambda: feed.counters()["readbacks_incomplete"] > 0)
    assert feed.read_back_ns() == 0
    assert feed.counters()["user_unreadable"] > 0
    venue.trades[1]["size"] = "3"
    await feed.until(feed.read_back_ns)
    assert _filled(feed) == [1, 1]
    assert await feed.stop() == (0, "")
    errors = (tmp_path / "state/log/feeds.market.venue.errors.json").read_text()
    assert "record refused" in errors


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
async def test_a_market_that_earlier_runs_left_is_adopted(
    venue: Venue, feed: FeedProcess, is_closed: bool
):
    """Its instruments come first and say why, then its fills and shares, then all is complete."""
    venue.left = [_left(closed=is_closed, acceptingOrders=not is_closed)]
    venue.trades, venue.shares = [_trade(1, LEFT[1]), _trade(2)], {LEFT[1]: "10000000"}
    await feed.start()
    await feed.until(feed.read_back_ns)
    flags = [int(each["flags"]) for each in feed.records(Kind.INSTRUMENT)]
    assert flags == [0, 0, Flag.SNAPSHOT, Flag.SNAPSHOT]
    status = MarketStatus.CLOSED if is_closed else MarketStatus.OPEN
    assert [int(each["status"]) for each in feed.records(Kind.STATUS)[2:]] == [status] * 2
    assert sorted(_filled(feed)) == [1, 4]
    assert (4, 10_000_000) in _balances(feed)
    subscribed = {token for asked in venue.received for token in asked["assets_ids"]}
    assert (LEFT[1] in subscribed) is not is_closed
    assert await feed.stop() == (0, "")
    counters = feed.counters()
    assert (counters["tokens_unlisted"], counters["tokens_resolved"]) == (0, 0)


async def test_what_is_over_is_left_out_and_what_is_unknown_is_waited_for(
    venue: Venue, feed: FeedProcess, tmp_path: Path
):
    """A resolved market risks nothing; a token Gamma does not know keeps everything shut."""
    ended = {"closed": True, "automaticallyResolved": True, "outcomePrices": '["0", "1"]'}
    unknown = str((1 << 210) + (1 << 60))
    venue.left = [_left(**ended)]
    venue.trades = [_trade(1, LEFT[0]), _trade(2), _trade(3, unknown), _trade(4, LEFT[0], size="")]
    await feed.start()
    await feed.until(lambda: feed.counters().get("readbacks_incomplete", 0) > 1)
    assert (feed.counters()["tokens_unlisted"], feed.counters()["tokens_resolved"]) == (1, 1)
    assert feed.read_back_ns() == 0
    venue.trades = venue.trades[:2] + venue.trades[3:]
    await feed.until(feed.read_back_ns)
    assert _filled(feed) == [1]
    assert len(feed.records(Kind.INSTRUMENT)) == 2
    assert await feed.stop() == (0, "")
    assert unknown in (tmp_path / "state/log/feeds.market.venue.errors.json").read_text()
