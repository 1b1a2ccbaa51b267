"""The real feed process against a venue that drops, mutters, falls silent and forgets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from feeds_support import DOWN, UP, change, price_change, spaced
from feeds_venue import ACCOUNT, FeedProcess, Venue, run_file, start_feeds

from engine.wire.codes import Connection, Flag, Kind, MarketStatus, OrderStatus, Settlement

CONNECTED = (0, Connection.CONNECTED)
DISCONNECTED = (0, Connection.DISCONNECTED)


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue on loopback."""
    each = Venue()
    await each.start()
    yield each
    await each.stop()


def _dumps(feed: FeedProcess) -> int:
    """Return how many books have arrived whole."""
    whole = Flag.RESET | Flag.LAST | Flag.TOUCH
    return sum(int(each["flags"]) == whole for each in feed.records(Kind.LEVELS))


async def test_a_market_is_discovered_followed_and_ended(tmp_path: Path, venue: Venue):
    """Instruments, status, dump, changes, tick, resolution: each arrives, in this order, once."""
    feed = FeedProcess(run_file(tmp_path, venue.urls))
    await feed.start()
    await feed.until(lambda: _dumps(feed) == 2)
    up, down = feed.records(Kind.INSTRUMENT)
    assert int.from_bytes(up["token_id"].tobytes(), "big") == int(UP)
    assert (up["complement"], down["complement"]) == (2, 1)
    assert [int(s["status"]) for s in feed.records(Kind.STATUS)] == [MarketStatus.OPEN] * 2
    listed = json.loads((feed.runtime.runtime_dir / "instruments.json").read_text())
    assert [(i["index"], i["outcome"], i["token_id"]) for i in listed["instruments"]] == [
        (1, "Up", UP),
        (2, "Down", DOWN),
    ]
    assert feed.states() == [(0, Connection.CONNECTING), CONNECTED]

    entries = change(UP, "0.5", "4.25", "BUY"), change(DOWN, "0.5", "4.25", "SELL")
    await venue.tell_market(spaced(price_change(*entries)))
    await feed.until(lambda: len(feed.records(Kind.LEVELS)) == 4)
    last = feed.records(Kind.LEVELS)[-2]
    assert (last["levels"]["price"][0], last["levels"]["size"][0]) == (500_000, 4_250_000)
    assert (last["best_bid"], last["best_ask"]) == (490_000, 510_000)
    assert last["local_ns"] > last["venue_ns"] > 0

    venue.market |= {
        "closed": True,
        "automaticallyResolved": True,
        "outcomePrices": '["0", "1"]',
    }
    await feed.until(lambda: len(feed.records(Kind.STATUS)) == 4)
    assert [int(s["payout"]) for s in feed.records(Kind.STATUS)[2:]] == [0, 1_000_000]
    await feed.until(lambda: any(r.get("operation") == "unsubscribe" for r in venue.received))
    assert await feed.stop() == (0, "")
    assert feed.counters()["malformed"] == 0


async def test_a_dropped_market_socket_is_told_and_mended(tmp_path: Path, venue: Venue):
    """DISCONNECTED comes before, and fresh dumps after, the new connection."""
    feed = FeedProcess(run_file(tmp_path, venue.urls))
    await feed.start()
    await feed.until(lambda: _dumps(feed) == 2)
    await venue.drop(venue.market_sockets)
    await feed.until(lambda: _dumps(feed) == 4)
    assert feed.states() == [
        (0, Connection.CONNECTING),
        CONNECTED,
        DISCONNECTED,
        (0, Connection.CONNECTING),
        CONNECTED,
    ]
    kinds = [int(row[0]) & 0xFFFF for row in feed.heard]
    assert kinds[-2:] == [Kind.LEVELS] * 2
    assert await feed.stop() == (0, "")
    counters = feed.counters()
    assert (counters["connects"], counters["disconnects"]) == (2, 1)


async def test_a_silent_socket_is_replaced_though_pongs_come(tmp_path: Path, venue: Venue):
    """Answered pings are no life: without data the feed says SILENT and dials again."""
    feed = FeedProcess(run_file(tmp_path, venue.urls, silence_ms_max=400, ping_ms=50))
    await feed.start()
    await feed.until(lambda: feed.states().count(CONNECTED) == 2)
    silent = feed.states().index((0, Connection.SILENT))
    assert feed.states()[silent + 1] == DISCONNECTED
    assert await feed.stop() == (0, "")
    assert feed.counters()["pings"] > 0
    assert feed.counters()["silences"] > 0


async def test_garbage_costs_the_named_book_and_nothing_else(tmp_path: Path, venue: Venue):
    """A bad frame publishes nothing, its token's book is disbelieved at once and dumped anew."""
    feed = FeedProcess(run_file(tmp_path, venue.urls))
    await feed.start()
    await feed.until(lambda: _dumps(feed) == 2)
    good, bad = change(UP, "0.5"), change(UP, "0.5", size="NaN")
    await venue.tell_market(spaced(price_change(good, bad)))
    await feed.until(lambda: _dumps(feed) == 3)
    assert (1, Connection.DISCONNECTED) in feed.states()
    assert (2, Connection.DISCONNECTED) not in feed.states()
    assert len(feed.records(Kind.LEVELS)) == 3
    assert venue.received[-1]["assets_ids"] == [UP]
    await venue.tell_market(b'{"event_type":"weather","temperature":21}')
    await venue.tell_market(b"\x00 not even JSON")
    await feed.until(lambda: _dumps(feed) == 5)
    assert (2, Connection.DISCONNECTED) in feed.states()
    counters = feed.counters()
    assert (counters["malformed"], counters["unknown_events"]) == (2, 1)
    assert await feed.stop() == (0, "")
    errors = json.loads((tmp_path / "state/log/feeds.market.venue.errors.json").read_text())
    assert any("NaN" in each["message"] for each in errors)
    assert len(venue.market_sockets) == 1


def _order(status: str, matched: str, order_id: int = 1) -> dict[str, object]:
    return {
        "event_type": "order",
        "type": "UPDATE",
        "id": f"0x{order_id:064x}",
        "asset_id": UP,
        "side": "BUY",
        "price": "0.5",
        "original_size": "10",
        "size_matched": matched,
        "status": status,
        "owner": ACCOUNT.api.key,
        "timestamp": "1777366994943",
    }


def _trade(trade_id: int, status: str = "MATCHED") -> dict[str, object]:
    return {
        "event_type": "trade",
        "id": f"{trade_id:032x}",
        "taker_order_id": f"0x{1:064x}",
        "asset_id": UP,
        "side": "BUY",
        "size": "10",
        "price": "0.5",
        "status": status,
        "trader_side": "TAKER",
        "owner": ACCOUNT.api.key,
        "match_time": "1777366994",
        "timestamp": "1777366994943",
    }


async def test_a_fill_missed_by_the_stream_is_read_back(tmp_path: Path, venue: Venue):
    """What happened while the user socket was away arrives by REST, and nothing arrives twice."""
    feed = FeedProcess(run_file(tmp_path, venue.urls))
    await feed.start()
    await feed.until(lambda: venue.user_sockets)
    await feed.until(lambda: feed.records(Kind.BALANCE, feed.told))
    await venue.tell_user(_order("LIVE", "0"))
    await venue.tell_user(_trade(1))
    await feed.until(lambda: len(feed.records(Kind.FILL, feed.told)) == 1)
    venue.trades = [_trade(1, "TRADE_STATUS_MINED"), _trade(2, "TRADE_STATUS_CONFIRMED")]
    venue.orders = [_order("LIVE", "5")]
    await venue.drop(venue.user_sockets)
    await feed.until(lambda: len(feed.records(Kind.FILL, feed.told)) == 3)
    await feed.until(lambda: len(feed.records(Kind.ORDER_STATE, feed.told)) == 2)
    await feed.until(lambda: len(venue.user_sockets) == 2)
    await venue.tell_user(_trade(2, "CONFIRMED"))
    await venue.tell_user(_order("CANCELED", ""))
    await feed.until(lambda: len(feed.records(Kind.ORDER_STATE, feed.told)) == 3)

    fills = feed.records(Kind.FILL, feed.told)
    assert [(int(f["trade_id"].tobytes()[-1]), int(f["settlement"])) for f in fills] == [
        (1, Settlement.MATCHED),
        (1, Settlement.MINED),
        (2, Settlement.CONFIRMED),
    ]
    assert [int(f["flags"]) for f in fills] == [0, Flag.SNAPSHOT, Flag.SNAPSHOT]
    orders = feed.records(Kind.ORDER_STATE, feed.told)
    assert [(int(o["status"]), int(o["matched"])) for o in orders] == [
        (OrderStatus.LIVE, 0),
        (OrderStatus.LIVE, 5_000_000),
        (OrderStatus.CANCELED, 5_000_000),
    ]
    collateral = feed.records(Kind.BALANCE, feed.told)[0]
    assert (collateral["instrument"], collateral["balance"]) == (0, 1_000_000_000)
    assert collateral["allowance"] == (1 << 63) - 1
    assert await feed.stop() == (0, "")
    assert feed.counters()["duplicates"] > 0


async def test_a_full_private_queue_loses_nothing(tmp_path: Path, venue: Venue):
    """Fills that find no room wait in the feed and arrive, in order, when the core reads again."""
    feed = FeedProcess(run_file(tmp_path, venue.urls), private_capacity=64)
    await feed.start()
    await feed.until(lambda: venue.user_sockets, private=False)
    await feed.until(lambda: "/balance-allowance" in venue.asked, private=False)
    for number in range(300):
        await venue.tell_user(_trade(number))
    await feed.until(lambda: feed.counters()["queue_full"] > 0, private=False)
    await feed.until(lambda: len(feed.records(Kind.FILL, feed.told)) == 300)
    fills = feed.records(Kind.FILL, feed.told)
    assert [int.from_bytes(f["trade_id"].tobytes(), "big") for f in fills] == [*range(300)]
    assert await feed.stop() == (0, "")


async def test_an_unreachable_venue_is_named_and_asked_again(tmp_path: Path):
    """Without a venue the process stays up, says which URL does not answer, and stops cleanly."""
    at = "127.0.0.1:1"
    urls = {
        "rest_url": f"http://{at}",
        "market_ws_url": f"ws://{at}/ws/market",
        "user_ws_url": f"ws://{at}/ws/user",
        "gamma_url": f"http://{at}/gamma",
    }
    feed = FeedProcess(run_file(tmp_path, urls))
    await feed.start()
    await feed.until(lambda: feed.counters().get("gamma_errors", 0) > 2)
    assert feed.counters()["venue_reachable"] == 0
    assert await feed.stop() == (0, "")
    log = (tmp_path / "state/log/feeds.market.jsonl").read_text()
    assert f"http://{at}/gamma/markets" in log
    assert feed.heard == []


async def _refusal(*arguments: str) -> tuple[int, str]:
    process = await start_feeds(*arguments)
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_a_group_that_makes_no_sense_is_refused(tmp_path: Path):
    """Unknown group, no secrets, no run, no arguments: one clear line and the right code."""
    runtime = run_file(tmp_path, {})
    code, errors = await _refusal("chain", str(runtime.runtime_dir))
    assert (code, errors) == (78, "feeds.chain: unknown feed group: group=chain, known=market\n")
    code, errors = await _refusal("market", str(runtime.runtime_dir))
    assert code == 78
    assert "clob_user needs secrets" in errors
    code, errors = await _refusal("market", str(tmp_path / "nowhere"))
    assert code == 78
    assert "nowhere" in errors
    code, errors = await _refusal()
    assert code == 2
    assert "Traceback" not in errors
