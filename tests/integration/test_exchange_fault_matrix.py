"""Rows of the fault matrix that the venue can cause, from a scenario file to what clients see.

The rows about single requests, modes and moments are in `test_exchange_faults.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, ServerDisconnectedError, WSMsgType
from deadlines import PATIENCE_S
from exchange_support import CONDITION, Served, served

from engine.exchange import scenario as scenario_module
from engine.exchange.fates import Fates
from engine.exchange.rules import VenueRules
from engine.exchange.scenario_file import load_scenario
from engine.wire.codes import MarketStatus, Side, Tif

DEADLINE_S = PATIENCE_S
ROW = re.compile(r"\b[A-Z]\d+\b")


@asynccontextmanager
async def faulty(folder: Path, text: str) -> AsyncIterator[Served]:
    """Serve a venue on display with the scenario of this text."""
    file = folder / "scenario.toml"
    file.write_text(text)
    scenario = load_scenario(file, Fates())
    rules = VenueRules(taker_delay_ms=0, fates=scenario.fates or Fates())
    async with served(rules, truth=folder / "truth", scenario=scenario) as venue:
        venue.hand.show()
        yield venue


async def events(socket: ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    """Return the next `count` frames of a stream."""
    return [await socket.receive_json(timeout=DEADLINE_S) for _ in range(count)]


async def quiet_user(venue: Served) -> ClientWebSocketResponse:
    """Return a user socket that is known to listen."""
    socket = await venue.user_socket()
    await socket.send_str("PING")
    assert (await socket.receive(DEADLINE_S)).data == "PONG"
    return socket


async def dumped(venue: Served) -> ClientWebSocketResponse:
    """Return a market socket after its first books."""
    socket = await venue.market_socket()
    assert len(await socket.receive_json(timeout=DEADLINE_S)) == 2
    return socket


def prices(frame: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the level changes of Up in a frame: price and size."""
    return [(e["price"], e["size"]) for e in frame["price_changes"]][:1]


async def test_a_throttled_venue_sends_a_page_and_when_to_come_back(tmp_path: Path):
    """A5: 429, HTML, Retry-After; then all is as before."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'throttled'\nfor_s = 30") as venue:
        venue.hand.wait(1)
        text, _ = venue.order(Side.BUY, "0.45", "10")
        headers = venue.l2.headers(1, "POST", "/order", text)
        url = venue.url + "/order"
        async with venue.session.post(url, data=text, headers=headers) as response:
            assert (response.status, response.content_type) == (429, "text/html")
            assert int(response.headers["Retry-After"]) > 0
        venue.hand.wait(31_000)
        assert (await venue.call("POST", "/order", text))[0] == 200


async def test_a_cancel_whose_reply_is_lost_has_happened(tmp_path: Path):
    """A10: the order is gone, the look-up says so, and a second cancel is refused."""
    text = "[[fault]]\nkind = 'lost_reply'\nroute = 'DELETE /order'\ntimes = 2"
    async with faulty(tmp_path, text) as venue:
        _, _, order_id = await venue.post(Side.BUY, "0.45", "10")
        body = b'{"orderID":"%b"}' % order_id.encode()
        with pytest.raises(ServerDisconnectedError):  # aiohttp itself asks twice
            await venue.call("DELETE", "/order", body)
        _, order = await venue.call("GET", f"/data/order/{order_id}")
        assert order["status"] == "CANCELED"
        _, answer = await venue.call("DELETE", "/order", body)
        assert answer["not_canceled"] == {order_id: "Order already canceled"}


async def test_a_balance_error_right_after_a_buy(tmp_path: Path):
    """A12: the fill is real; the next order is refused for want of balance, and later is not."""
    text = (
        "[[fault]]\nkind = 'refuse'\ntext = 'not enough balance / allowance'\nfrom_s = 1\ntimes = 1"
    )
    async with faulty(tmp_path, text) as venue:
        _, answer, _ = await venue.post(Side.BUY, "0.50", "10")
        assert answer["status"] == "matched"
        venue.hand.wait(1_001)
        status, answer, _ = await venue.post(Side.SELL, "0.60", "10")
        assert (status, answer["error"]) == (400, "not enough balance / allowance")
        assert (await venue.post(Side.SELL, "0.60", "10"))[0] == 200


@pytest.mark.parametrize("times", [1, 5])
async def test_credentials_are_refused_for_no_reason(tmp_path: Path, times: int):
    """A13: 401 so many times in a row, then the same key works."""
    fault = "kind = 'error_before'\nroute = 'GET /data/*'\nstatus = 401\ntext = 'invalid api key'"
    async with faulty(tmp_path, f"[[fault]]\n{fault}\ntimes = {times}") as venue:
        seen = [(await venue.call("GET", "/data/orders"))[0] for _ in range(times + 1)]
    assert seen == [401] * times + [200]


async def test_lost_heartbeats_cost_the_orders(tmp_path: Path):
    """A15: a client whose heartbeats are lost for twelve seconds finds his orders cancelled."""
    text = "[[fault]]\nkind = 'lost_request'\nroute = 'POST /v1/heartbeats'\nfrom_s = 1\nfor_s = 12"
    async with faulty(tmp_path, text) as venue:
        status, beat = await venue.call("POST", "/v1/heartbeats", b'{"heartbeat_id":""}')
        assert status == 200
        _, _, order_id = await venue.post(Side.BUY, "0.45", "10")
        body = b'{"heartbeat_id":"%b"}' % beat["heartbeat_id"].encode()
        for _ in range(3):
            venue.hand.wait(4_000)
            with pytest.raises(ServerDisconnectedError):
                await venue.call("POST", "/v1/heartbeats", body)
        venue.hand.wait(4_000)
        _, order = await venue.call("GET", f"/data/order/{order_id}")
        assert order["status"] == "CANCELED"


async def test_one_trade_told_twice_is_one_trade(tmp_path: Path):
    """B1: the stream repeats it, REST and the directory of trades have it once."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'repeat'\nstream = 'user'") as venue:
        socket = await quiet_user(venue)
        await venue.post(Side.BUY, "0.50", "10")
        first, second = await events(socket, 2)
        assert first == second
        assert first["event_type"] == "trade"
        _, page = await venue.call("GET", "/data/trades")
        assert [trade["id"] for trade in page["data"]] == [first["id"]]


async def test_states_of_a_trade_arrive_out_of_order(tmp_path: Path):
    """B3: MINED comes before MATCHED."""
    text = "[[fault]]\nkind = 'shuffle'\nstream = 'user'\nfrom_s = 1\ntimes = 1"
    async with faulty(tmp_path, text) as venue:
        socket = await quiet_user(venue)
        await venue.post(Side.BUY, "0.50", "10")
        await events(socket, 2)  # the trade, the order
        venue.hand.wait(2_000)
        venue.hand.wait(5_000)
        seen = [event["status"] for event in await events(socket, 2)]
    assert seen == ["CONFIRMED", "MINED"]


async def test_a_ghost_fill_is_told_as_failed(tmp_path: Path):
    """B4: MATCHED, then FAILED, and cash and shares are as before."""
    async with faulty(tmp_path, "[settlement]\nfail_ppm = 1_000_000") as venue:
        account = venue.hand.account
        before = dict(account.balances)
        _, answer, _ = await venue.post(Side.BUY, "0.50", "10")
        assert answer["status"] == "matched"
        venue.hand.wait(10_000)
        _, page = await venue.call("GET", f"/data/trades?id={answer['tradeIDs'][0]}")
        assert [trade["status"] for trade in page["data"]] == ["FAILED"]
        assert {asset: n for asset, n in account.balances.items() if n} == before


async def test_a_trade_that_never_settles(tmp_path: Path):
    """B5: MATCHED for ever, and what it brought cannot be sold."""
    async with faulty(tmp_path, "[settlement]\nstuck_ppm = 1_000_000") as venue:
        _, answer, _ = await venue.post(Side.BUY, "0.50", "10")
        venue.hand.wait(600_000)
        _, page = await venue.call("GET", f"/data/trades?id={answer['tradeIDs'][0]}")
        assert [trade["status"] for trade in page["data"]] == ["MATCHED"]
        status, refusal, _ = await venue.post(Side.SELL, "0.60", "10")
        assert status == 400
        assert "not enough balance" in refusal["error"]


@pytest.mark.parametrize(
    ("side", "size", "tif"), [(Side.BUY, "10", Tif.GTC), (Side.SELL, "5", Tif.FAK)]
)
async def test_dust_is_missing_from_a_filled_order(tmp_path: Path, side: Side, size: str, tif: Tif):
    """B6: the order is MATCHED with a hundredth of a share less, and cash is right to the micro."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'dust'\ndust = '0.01'\nfrom_s = 1") as venue:
        account, (up, _) = venue.hand.account, venue.hand.listing.market.tokens
        await venue.post(Side.BUY, "0.50", "20")
        venue.hand.wait(1_001)
        owned = account.balance(up)
        price = "0.50" if side == Side.BUY else "0.48"
        _, answer, order_id = await venue.post(side, price, size, tif)
        got = int(size) * 1_000_000 - 10_000
        assert answer["status"] == "matched"
        shares = answer["takingAmount"] if side == Side.BUY else answer["makingAmount"]
        assert float(shares) * 1_000_000 == got
        assert abs(account.balance(up) - owned) == got
        _, order = await venue.call("GET", f"/data/order/{order_id}")
        assert (order["status"], float(order["size_matched"])) == ("MATCHED", got / 1_000_000)
        assert not venue.hand.venue.desk.open


async def test_dust_of_a_budget_stays_under_its_hundredth(tmp_path: Path):
    """B6: a FOK buy is filled whole, for all but the dust of what its budget would buy."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'dust'") as venue:
        _, answer, _ = await venue.post(Side.BUY, "0.50", "10", Tif.FOK)
    assert answer["status"] == "matched"
    assert 0 < 20 - float(answer["takingAmount"]) <= 0.011


async def test_lost_user_events_are_still_to_be_read(tmp_path: Path):
    """B7: of many fills some events are lost, and REST lists every trade."""
    text = "seed = 3\n[[fault]]\nkind = 'lose'\nstream = 'user'\nchance = 0.3"
    async with faulty(tmp_path, text) as venue:
        socket = await quiet_user(venue)
        for _ in range(6):
            await venue.post(Side.BUY, "0.50", "5")
        await socket.send_str("PING")
        told = set()
        while (message := await socket.receive(DEADLINE_S)).data != "PONG":
            event = message.json()
            told |= {event["id"]} if event["event_type"] == "trade" else set()
        _, page = await venue.call("GET", "/data/trades")
        real = {trade["id"] for trade in page["data"]}
        assert len(real) == 6
        assert told < real


async def test_sizes_with_a_seventh_decimal(tmp_path: Path):
    """B9: finer than the venue's own unit."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'odd_precision'\nstream = 'user'") as venue:
        socket = await quiet_user(venue)
        await venue.post(Side.BUY, "0.50", "10")
        (trade,) = await events(socket, 1)
        assert trade["size"] == "10.0000004"


async def test_one_token_is_mute(tmp_path: Path):
    """C2: Down's changes come, Up's do not."""
    text = "[[fault]]\nkind = 'mute'\noutcome = 'up'\nfrom_s = 1"
    async with faulty(tmp_path, text) as venue:
        socket = await dumped(venue)
        venue.hand.show(asks=(("0.52", "10"),), after_ms=1_001)
        (frame,) = await events(socket, 1)
        down = str(venue.hand.listing.market.tokens[1])
        assert {entry["asset_id"] for entry in frame["price_changes"]} == {down}


@pytest.mark.parametrize(("kind", "order"), [("shuffle", "BA"), ("repeat", "AAB"), ("lose", "B")])
async def test_changes_shuffled_repeated_or_lost(tmp_path: Path, kind: str, order: str):
    """C3, C4: two changes of the book, as the fault makes them."""
    text = f"[[fault]]\nkind = '{kind}'\nfrom_s = 1\ntimes = 1"
    async with faulty(tmp_path, text) as venue:
        socket = await dumped(venue)
        venue.hand.show(bids=(("0.48", "101"), ("0.47", "50")), after_ms=1_001)
        venue.hand.show(bids=(("0.48", "102"), ("0.47", "50")))
        seen = [prices(frame) for frame in await events(socket, len(order))]
    names = {"101": "A", "102": "B"}
    assert "".join(names[size] for ((_, size),) in seen) == order


async def test_a_book_crosses_and_is_mended(tmp_path: Path):
    """C5: a bid above the best ask, gone with the next frame."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'crossed'\nfrom_s = 1\ntimes = 1") as venue:
        socket = await dumped(venue)
        venue.hand.show(bids=(("0.48", "101"), ("0.47", "50")), after_ms=1_001)
        venue.hand.show(bids=(("0.48", "102"), ("0.47", "50")))
        seen = [prices(frame)[0] for frame in await events(socket, 4)]
    assert seen == [("0.51", "7"), ("0.48", "101"), ("0.51", "0"), ("0.48", "102")]


async def test_a_snapshot_older_than_the_changes(tmp_path: Path):
    """C6: after a change comes a book from before it, with its older time."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'stale_book'\nfrom_s = 1\ntimes = 1") as venue:
        socket = await dumped(venue)
        venue.hand.show(bids=(("0.48", "101"), ("0.47", "50")), after_ms=1_001)
        change, book = await events(socket, 2)
    assert (change["event_type"], book["event_type"]) == ("price_change", "book")
    assert int(book["timestamp"]) < int(change["timestamp"])


async def test_a_tick_change_is_announced(tmp_path: Path):
    """C7: old and new grid, on the market stream."""
    text = "[[fault]]\nkind = 'tick'\nfrom_s = 1\ntick = '0.001'"
    async with faulty(tmp_path, text) as venue:
        socket = await dumped(venue)
        venue.hand.wait(1_001)
        (frame, _) = await events(socket, 2)
        assert frame["event_type"] == "tick_size_change"
        assert (frame["old_tick_size"], frame["new_tick_size"]) == ("0.01", "0.001")


async def heard(venue: Served, values: list[int]) -> list[float]:
    """Observe a price each second; return what a client of the price relay was told."""
    socket = await venue.session.ws_connect(venue.url + "/ws/rtds")
    await socket.receive(DEADLINE_S)
    entry = {"topic": "crypto_prices_chainlink", "type": "update", "filters": ""}
    await socket.send_json({"action": "subscribe", "subscriptions": [entry]})
    await socket.send_str("PING")
    await socket.receive(DEADLINE_S)
    for value in values:
        venue.hand.wait(1_000)
        venue.hosting.prices.observe("btcusd", venue.hand.schedule.now_ms, value * 1_000_000)
    await socket.send_str("PING")
    told: list[float] = []
    while (message := await socket.receive(DEADLINE_S)).data:
        told.append(message.json()["payload"]["value"])
    return told


async def test_the_oracle_skips_seconds(tmp_path: Path):
    """C10: two seconds have no price, on any socket."""
    text = "[[fault]]\nkind = 'price_gap'\nfrom_s = 2\ntimes = 2"
    async with faulty(tmp_path, text) as venue:
        assert await heard(venue, [101, 102, 103, 104, 105]) == [101, 104, 105]


async def test_the_oracle_jumps_for_one_tick(tmp_path: Path):
    """C11: one second is a fifth higher."""
    text = "[[fault]]\nkind = 'price_jump'\npercent = 20\nfrom_s = 2\ntimes = 1"
    async with faulty(tmp_path, text) as venue:
        assert await heard(venue, [100, 100, 100]) == [100, 120, 100]


@pytest.mark.parametrize("stream", ["prices", "rtds"])
async def test_a_price_socket_is_closed(tmp_path: Path, stream: str):
    """C12: reset with its next frame, and a new connection is served."""
    text = f"[[fault]]\nkind = 'hang_up'\nstream = '{stream}'\ntimes = 1"
    async with faulty(tmp_path, text) as venue:
        ask = {"op": "ping", "rid": "1"} if stream == "prices" else {"action": "x"}
        socket = await venue.session.ws_connect(f"{venue.url}/ws/{stream}")
        await socket.send_json(ask)
        while (message := await socket.receive(DEADLINE_S)).type is WSMsgType.TEXT:
            assert not message.data
        socket = await venue.session.ws_connect(f"{venue.url}/ws/{stream}")
        await socket.send_json(ask)
        assert (await socket.receive(DEADLINE_S)).type is WSMsgType.TEXT


@pytest.mark.parametrize("path", ["/gamma/markets", "/gamma/events/keyset"])
async def test_a_directory_that_fails_empties_or_changes(tmp_path: Path, path: str):
    """C13: 503, then a page without rows, then other keys, then as ever."""
    kinds = ["kind = 'error_before'\nstatus = 503", "kind = 'empty_page'", "kind = 'new_schema'"]
    faults = [f"[[fault]]\n{kind}\nroute = 'GET /gamma/*'\ntimes = 1" for kind in kinds]
    async with faulty(tmp_path, "\n".join(faults)) as venue:
        answers = [await venue.call("GET", path) for _ in range(4)]
    assert [status for status, _ in answers] == [503, 200, 200, 200]
    empty, other, good = (page for _, page in answers[1:])
    assert empty in ([], {"events": []})
    rows = good if isinstance(good, list) else good["events"]
    renamed = other if isinstance(other, list) else other["events2"]
    assert len(renamed) == len(rows) == 1
    assert renamed[0]["slug2"] == rows[0]["slug"]
    assert not renamed[0].keys() & rows[0].keys()


async def test_an_empty_page_ends_a_list(tmp_path: Path):
    """C13: open orders are there, and a page says there are none and no further page."""
    text = "[[fault]]\nkind = 'empty_page'\nroute = 'GET /data/orders'\ntimes = 1"
    async with faulty(tmp_path, text) as venue:
        await venue.post(Side.BUY, "0.45", "10")
        _, empty = await venue.call("GET", "/data/orders")
        _, full = await venue.call("GET", "/data/orders")
    assert (empty["data"], empty["next_cursor"]) == ([], "LTE=")
    assert len(full["data"]) == 1


async def test_the_venues_clock_is_off(tmp_path: Path):
    """G3: `GET /time` is two seconds ahead while it lasts."""
    text = "[[fault]]\nkind = 'clock_off'\nahead_ms = 2_000\nfor_s = 10"
    async with faulty(tmp_path, text) as venue:
        venue.hand.wait(1)
        _, told = await venue.call("GET", "/time")
        assert told == (venue.hand.schedule.now_ms + 2_000) // 1_000
        venue.hand.wait(10_000)
        assert (await venue.call("GET", "/time"))[1] == venue.hand.schedule.now_ms // 1_000


async def test_a_result_that_is_late(tmp_path: Path):
    """K9: the window is over, closed and without a winner, until the venue gets round to it."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'unresolved'\nfor_s = 2_000") as venue:
        listing = venue.hand.listing
        venue.hand.wait(901_000)
        assert listing.status == MarketStatus.CLOSED
        _, market = await venue.call("GET", f"/markets/{CONDITION}")
        assert not any(token["winner"] for token in market["tokens"])
        venue.hand.wait(1_200_000)
        assert listing.status == MarketStatus.RESOLVED


async def test_two_hundred_live_orders_and_ten_unheard_of(tmp_path: Path):
    """R2: ten of 210 orders are live though nobody was told, and cancel-all finds them too."""
    text = "[[fault]]\nkind = 'lost_reply'\nroute = 'POST /order'\ntimes = 10"
    async with faulty(tmp_path, text) as venue:
        for number in range(210):
            posting = venue.post(Side.BUY, "0.10", "5")
            if number < 10:
                with pytest.raises(ServerDisconnectedError):
                    await posting
            else:
                assert (await posting)[0] == 200
        assert len(venue.hand.venue.desk.open) == 210
        _, answer = await venue.call("DELETE", "/cancel-all")
        assert len(answer["canceled"]) == 210
        assert not venue.hand.venue.desk.open


async def test_cancels_wait_for_a_venue_that_is_down(tmp_path: Path):
    """R3: cancels are refused while trading is disabled, the order stays, and later they go."""
    async with faulty(tmp_path, "[[fault]]\nkind = 'disabled'\nfrom_s = 1\nfor_s = 30") as venue:
        _, _, order_id = await venue.post(Side.BUY, "0.45", "10")
        venue.hand.wait(1_001)
        assert (await venue.call("DELETE", "/cancel-all"))[0] == 503
        assert list(venue.hand.venue.desk.open) == [order_id]
        venue.hand.wait(30_000)
        _, answer = await venue.call("DELETE", "/cancel-all")
        assert answer["canceled"] == [order_id]


def test_every_row_the_venue_can_cause_is_in_the_table_and_in_a_test(shared_dir: Path):
    """Rows of the matrix that name the simulator are kinds here, and every kind's row is tested."""
    matrix = (shared_dir / "fault-matrix.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:5]] for line in matrix.splitlines()]
    by_sim = {row for row, _, inject, *_ in (c for c in cells if len(c) == 4) if "sim" in inject}
    table = set(ROW.findall(scenario_module.__doc__ or ""))
    tests = set()
    for name in ("test_exchange_fault_matrix.py", "test_exchange_faults.py"):
        tests |= set(ROW.findall(Path(__file__).with_name(name).read_text()))
    assert by_sim <= table
    assert table <= tests
