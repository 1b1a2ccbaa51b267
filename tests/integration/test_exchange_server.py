"""The exchange over real sockets, its clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import ClientWebSocketResponse
from deadlines import PATIENCE_S
from exchange_support import CONDITION, START_MS, served

from engine.exchange.rules import VenueRules
from engine.exchange.server.frames import book_hash
from engine.wire.codes import Side, Tif
from signer.auth import l1_headers
from signer.ecdsa import SigningKey

NO_DELAY = VenueRules(taker_delay_ms=0)
STRANGER = SigningKey(b"\x07" * 32)


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0)


async def receive(socket: ClientWebSocketResponse) -> Any:
    """Return the next frame, decoded."""
    return orjson.loads(await socket.receive_str(timeout=PATIENCE_S))


async def test_dump_and_changes_rebuild_the_book():
    """The subscribe dump, then price changes with absolute sizes, give the displayed book."""
    async with served() as exchange:
        exchange.hand.show()
        socket = await exchange.market_socket()
        text = await socket.receive_str(timeout=PATIENCE_S)
        assert ": " not in text
        assert ", " not in text
        up, down = orjson.loads(text)
        listing = exchange.hand.listing
        assert up["event_type"] == "book"
        assert [level["price"] for level in up["bids"]] == ["0.47", "0.48"]
        assert [level["price"] for level in up["asks"]] == ["0.53", "0.51", "0.5"]
        assert (up["hash"], down["hash"]) == (book_hash(listing, 0), book_hash(listing, 1))
        exchange.hand.show(bids=(("0.49", "5"), ("0.47", "50")))
        frame = await receive(socket)
        assert frame["timestamp"] == str(exchange.hand.schedule.now_ms)
        changes = {
            (entry["asset_id"], entry["side"], entry["price"], entry["size"])
            for entry in frame["price_changes"]
        }
        assert changes == {
            (up["asset_id"], "BUY", "0.49", "5"),
            (up["asset_id"], "BUY", "0.48", "0"),
            (down["asset_id"], "SELL", "0.51", "5"),
            (down["asset_id"], "SELL", "0.52", "0"),
        }
        for entry in frame["price_changes"]:
            outcome = [up["asset_id"], down["asset_id"]].index(entry["asset_id"])
            assert entry["hash"] == book_hash(listing, outcome)
            assert (entry["best_bid"], entry["best_ask"]) == (
                ("0.49", "0.5"),
                ("0.5", "0.51"),
            )[outcome]


async def test_first_book_of_a_market_comes_whole():
    """Who subscribed before the first snapshot gets it as `book` events."""
    async with served() as exchange:
        socket = await exchange.market_socket()
        empty = await receive(socket)
        assert [(book["bids"], book["asks"]) for book in empty] == [([], []), ([], [])]
        exchange.hand.show()
        assert [(await receive(socket))["event_type"] for _ in range(2)] == ["book", "book"]


async def test_dynamic_subscription_and_ping():
    """Tokens can be added and dropped, PING is answered, unknown tokens are ignored."""
    async with served() as exchange:
        exchange.hand.show()
        up, down = map(str, exchange.hand.listing.market.tokens)
        socket = await exchange.session.ws_connect(exchange.url + "/ws/market")
        await socket.send_json({"type": "market", "assets_ids": ["123"]})
        assert await receive(socket) == []
        await socket.send_json({"operation": "subscribe", "assets_ids": [up]})
        assert [book["asset_id"] for book in await receive(socket)] == [up]
        await socket.send_json({"operation": "unsubscribe", "assets_ids": [up]})
        await socket.send_json(
            {"operation": "subscribe", "assets_ids": [down], "initial_dump": False}
        )
        await socket.send_str("PING")
        assert await socket.receive_str(timeout=PATIENCE_S) == "PONG"


async def test_finer_tick_is_announced_before_the_prices():
    """tick_size_change for both tokens precedes the frame with the first finer price."""
    async with served() as exchange:
        exchange.hand.show()
        socket = await exchange.market_socket()
        await receive(socket)
        exchange.hand.show(bids=(("0.972", "5"),), asks=(("0.98", "5"),))
        frames = [await receive(socket) for _ in range(3)]
        kinds = [frame["event_type"] for frame in frames]
        assert kinds == ["tick_size_change", "tick_size_change", "price_change"]
        assert (frames[0]["old_tick_size"], frames[0]["new_tick_size"]) == ("0.01", "0.001")


async def test_order_rests_fills_and_tells_its_owner():
    """A bid is LIVE, then filled as maker; both streams of facts agree with REST."""
    async with served() as exchange:
        exchange.hand.show()
        user = await exchange.user_socket()
        await user.send_str("PING")
        assert await user.receive_str(timeout=PATIENCE_S) == "PONG"
        status, answer, order_id = await exchange.post(Side.BUY, "0.49", "20", post_only=True)
        assert (status, answer["status"], answer["orderID"]) == (200, "live", order_id)
        placed = await receive(user)
        assert (placed["type"], placed["status"], placed["id"]) == ("PLACEMENT", "LIVE", order_id)
        exchange.hand.show(asks=(("0.46", "15"), ("0.50", "30")))
        trade, update = await receive(user), await receive(user)
        assert (trade["event_type"], trade["trader_side"]) == ("trade", "MAKER")
        (leg,) = trade["maker_orders"]
        assert (leg["order_id"], leg["price"], leg["matched_amount"], leg["side"]) == (
            order_id,
            "0.49",
            "15",
            "BUY",
        )
        assert leg["asset_id"] == str(exchange.hand.listing.market.tokens[0])
        assert trade["taker_order_id"] != order_id
        assert (update["type"], update["status"], update["size_matched"]) == (
            "UPDATE",
            "LIVE",
            "15",
        )
        status, row = await exchange.call("GET", f"/data/order/{order_id}")
        assert (status, row["size_matched"], row["status"]) == (200, "15", "LIVE")
        status, cancelled = await exchange.call(
            "DELETE", "/order", orjson.dumps({"orderID": order_id})
        )
        assert (status, cancelled) == (200, {"canceled": [order_id], "not_canceled": {}})
        assert (await receive(user))["type"] == "CANCELLATION"
        exchange.hand.wait(5_000)
        statuses = [(await receive(user))["status"] for _ in range(2)]
        assert statuses == ["MINED", "CONFIRMED"]
        _, trades = await exchange.call("GET", f"/data/trades?id={trade['id']}")
        assert [row["status"] for row in trades["data"]] == ["CONFIRMED"]


async def test_taker_waits_and_gets_the_final_result():
    """POST answers after the taker delay with amounts and trade ids; cancelling meanwhile fails."""
    async with served() as exchange:
        exchange.hand.show()
        user, public = await exchange.user_socket(), await exchange.market_socket()
        await receive(public)
        text, order_id = exchange.order(Side.BUY, "0.50", "10", Tif.FAK)
        posting = asyncio.create_task(exchange.call("POST", "/order", text))
        await until(lambda: exchange.hand.venue.desk.open)
        body = orjson.dumps([order_id])
        _, refused = await exchange.call("DELETE", "/orders", body)
        assert "pending/delayed" in refused["not_canceled"][order_id]
        _, twice = await exchange.call("POST", "/order", text)
        assert twice == {"error": f"order {order_id} is invalid. Duplicated."}
        exchange.hand.wait(150 + 1)
        status, answer = await posting
        assert status == 200
        assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == (
            "matched",
            "10",
            "20",
        )
        trade, update = await receive(user), await receive(user)
        assert (trade["trader_side"], trade["taker_order_id"]) == ("TAKER", order_id)
        assert [trade["id"]] == answer["tradeIDs"]
        assert (update["type"], update["status"]) == ("UPDATE", "MATCHED")
        printed = await receive(public)
        assert (printed["event_type"], printed["price"], printed["side"]) == (
            "last_trade_price",
            "0.5",
            "BUY",
        )


async def test_client_who_hangs_up_does_not_stop_his_order():
    """An order in the taker delay fills even if its poster has gone."""
    async with served() as exchange:
        exchange.hand.show()
        text, order_id = exchange.order(Side.BUY, "0.50", "10", Tif.FAK)
        posting = asyncio.create_task(exchange.call("POST", "/order", text))
        await until(lambda: exchange.hand.venue.desk.open)
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        exchange.hand.wait(151)
        assert exchange.hand.venue.desk.orders[order_id].status == "MATCHED"


async def test_wrong_credentials_are_refused():
    """A wrong HMAC, passphrase, address, key or owner never reaches the desk."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        text, _ = exchange.order(Side.BUY, "0.45", "10")
        good = exchange.l2.headers(START_MS // 1_000, "POST", "/order", text)
        for name, value in (
            ("POLY_SIGNATURE", "AAAA"),
            ("POLY_PASSPHRASE", "no"),
            ("POLY_ADDRESS", STRANGER.address),
            ("POLY_API_KEY", "no"),
            ("POLY_TIMESTAMP", "soon"),
        ):
            status, answer = await exchange.call(
                "POST", "/order", text, headers=good | {name: value}
            )
            assert (status, answer) == (401, {"error": "Unauthorized/Invalid api key"})
        status, answer = await exchange.call("POST", "/order", text + b" ", headers=good)
        assert status == 401
        foreign = text.replace(exchange.key.key.encode(), b"someone else")
        status, answer = await exchange.call("POST", "/order", foreign)
        assert answer == {"error": "the order owner has to be the owner of the API KEY"}
        assert not exchange.hand.venue.desk.orders


async def test_wrong_signatures_are_refused():
    """Another key's signature, another generation's domain and another wallet are told apart."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        for changes, error in (
            ({"signing": STRANGER}, "invalid signature"),
            ({"generation": 3}, "order_version_mismatch"),
            (
                {"signature_type": 3},
                "maker address not allowed, please use the deposit wallet flow",
            ),
            (
                {"maker": STRANGER.address, "signer": STRANGER.address, "signing": STRANGER},
                "the order signer address has to be the address of the API KEY",
            ),
            ({"token_id": 5}, "the orderbook 5 does not exist"),
        ):
            status, answer, _ = await exchange.post(Side.BUY, "0.45", "10", **changes)
            assert (status, answer) == (400, {"error": error})


async def test_batches_answer_leg_by_leg():
    """POST /orders answers each leg; a refused one has a text and no id. 16 legs are too many."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        good, order_id = exchange.order(Side.BUY, "0.45", "10")
        bad, _ = exchange.order(Side.BUY, "0.45", "10", signing=STRANGER)
        status, legs = await exchange.call("POST", "/orders", b"[" + good + b"," + bad + b"]")
        assert status == 200
        assert [(leg["orderID"], leg["errorMsg"]) for leg in legs] == [
            (order_id, ""),
            ("", "invalid signature"),
        ]
        many = b"[" + b",".join([good] * 16) + b"]"
        status, answer = await exchange.call("POST", "/orders", many)
        assert (status, answer) == (
            400,
            {"error": "Too many orders in payload: 16, max allowed: 15"},
        )


async def test_cancel_many_ways():
    """Cancel-all and cancel-market cancel what is open and say why the rest is not."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        ids = [(await exchange.post(Side.BUY, f"0.4{n}", "10"))[2] for n in range(4)]
        _, answer = await exchange.call(
            "DELETE", "/cancel-market-orders", orjson.dumps({"asset_id": "1"})
        )
        assert answer == {"canceled": [], "not_canceled": {}}
        _, answer = await exchange.call("DELETE", "/order", orjson.dumps({"orderID": ids[0]}))
        _, answer = await exchange.call(
            "DELETE", "/orders", orjson.dumps([ids[0], "0x" + "1" * 64])
        )
        assert answer["not_canceled"] == {
            ids[0]: "Order already canceled",
            "0x" + "1" * 64: "Order not found or already canceled",
        }
        _, rows = await exchange.call("GET", "/data/orders")
        assert [row["id"] for row in rows["data"]] == ids[1:]
        _, answer = await exchange.call("DELETE", "/cancel-all")
        assert answer["canceled"] == ids[1:]


async def test_wallet_makes_and_derives_its_keys():
    """An L1 signature makes a key set once, derives it again, and is verified."""
    async with served() as exchange:
        signed = l1_headers(STRANGER, 137, 1)
        status, made = await exchange.call("POST", "/auth/api-key", headers=signed)
        assert (status, set(made)) == (200, {"apiKey", "secret", "passphrase"})
        status, again = await exchange.call("POST", "/auth/api-key", headers=signed)
        assert (status, again) == (400, {"error": "Could not create api key"})
        status, derived = await exchange.call("GET", "/auth/derive-api-key", headers=signed)
        assert (status, derived) == (200, made)
        forged = signed | {"POLY_NONCE": "1"}
        status, _ = await exchange.call("POST", "/auth/api-key", headers=forged)
        assert status == 401


async def test_resolution_is_announced_and_paid():
    """At the window's end books empty, market_resolved names the winner, shares become pUSD."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        await exchange.post(Side.BUY, "0.50", "10", Tif.FAK)
        public = await exchange.market_socket(custom_feature_enabled=True)
        await receive(public)
        exchange.hand.schedule.advance(exchange.hand.listing.market.end_ms)
        books = [await receive(public) for _ in range(2)]
        assert [(book["bids"], book["asks"]) for book in books] == [([], []), ([], [])]
        resolved = await receive(public)
        up = str(exchange.hand.listing.market.tokens[0])
        assert (resolved["winning_asset_id"], resolved["winning_outcome"]) == (up, "Up")
        _, balance = await exchange.call("GET", "/balance-allowance?asset_type=COLLATERAL")
        assert balance["balance"] == str(1_000_000_000 - 10_000_000 - 350_000 + 20_000_000)
        url = exchange.url + "/gamma/markets?slug=btc-updown-15m-1790586000"
        async with exchange.session.get(url) as response:
            (row,) = await response.json()
        assert (row["closed"], row["outcomePrices"]) == (True, '["1", "0"]')


async def test_directory_lists_markets_in_the_venues_shapes():
    """Gamma gives nested JSON texts, series filters and cursors; offset is refused on keyset."""
    async with served() as exchange:
        tokens = [str(token) for token in exchange.hand.listing.market.tokens]
        url = exchange.url + "/gamma"
        async with exchange.session.get(f"{url}/markets") as response:
            (row,) = await response.json()
        assert orjson.loads(row["clobTokenIds"]) == tokens
        assert row["marketMakerAddress"] == ""  # the unified TypeScript client insists on it
        assert (row["version"], row["orderMinSize"], row["feeSchedule"]["rate"]) == ("v1", 5, 0.07)
        async with exchange.session.get(f"{url}/events/keyset?series_id=10192") as response:
            (event,) = (await response.json())["events"]
        assert event["markets"][0]["conditionId"] == row["conditionId"]
        for named, slugs in (
            (tokens[1:], [row["slug"]]),
            (["1"], []),
            (["1", *tokens], [row["slug"]]),
        ):
            query = "&".join(f"clob_token_ids={each}" for each in named)
            async with exchange.session.get(f"{url}/markets?{query}") as response:
                assert [each["slug"] for each in await response.json()] == slugs
        async with exchange.session.get(f"{url}/events?series_id=other") as response:
            assert await response.json() == []
        async with exchange.session.get(f"{url}/events/keyset?offset=1") as response:
            assert response.status == 422


async def test_the_directory_tells_what_a_window_compares():
    """`eventMetadata` has the price to beat once it runs, and the final price once it is over."""
    async with served() as exchange:
        listing, path = exchange.hand.listing, "/gamma/events/slug/btc-updown-15m-1790586000"
        _, event = await exchange.call("GET", path)
        assert "eventMetadata" not in event
        listing.price_to_beat = 100_123_456_789
        _, event = await exchange.call("GET", path)
        assert event["eventMetadata"] == {"priceToBeat": 100_123.456789}
        listing.final_price = 100_200_000_000
        _, event = await exchange.call("GET", path)
        assert event["eventMetadata"]["finalPrice"] == 100_200.0


async def test_a_seconds_delay_is_told_everywhere():
    """Gamma, both market objects of the order book: absent or 0 where there is none."""
    for delay in (0, 3):
        async with served(seconds_delay=delay) as exchange:
            _, (row,) = await exchange.call("GET", "/gamma/markets")
            assert row.get("secondsDelay", 0) == delay
            _, long = await exchange.call("GET", f"/markets/{CONDITION}")
            _, short = await exchange.call("GET", f"/clob-markets/{CONDITION}")
            assert (long["seconds_delay"], short.get("sd", 0)) == (delay, delay)


async def test_public_routes_answer():
    """Books, prices and market parameters are served without credentials."""
    async with served() as exchange:
        exchange.hand.show()
        token = exchange.hand.listing.market.tokens[0]
        condition = exchange.hand.listing.market.condition_id
        for path, want in (
            ("/ok", "OK"),
            ("/time", START_MS // 1_000),
            ("/version", {"version": 2}),
            (f"/price?token_id={token}&side=BUY", {"price": "0.48"}),
            (f"/midpoint?token_id={token}", {"mid": "0.49"}),
            (f"/tick-size?token_id={token}", {"minimum_tick_size": 0.01}),
            (f"/neg-risk?token_id={token}", {"neg_risk": False}),
            (f"/fee-rate?token_id={token}", {"base_fee": 1000}),
            ("/book?token_id=7", {"error": "No orderbook exists for the requested token id"}),
        ):
            async with exchange.session.get(exchange.url + path) as response:
                assert await response.json() == want
        async with exchange.session.get(f"{exchange.url}/clob-markets/{condition}") as response:
            row = await response.json()
        assert (row["fd"], row["itode"]) == ({"r": 0.07, "e": 1, "to": True}, True)
        async with exchange.session.post(
            exchange.url + "/books", json=[{"token_id": str(token)}, {"token_id": "7"}, 3]
        ) as response:
            (book,) = await response.json()
        assert book["hash"] == book_hash(exchange.hand.listing, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{]",
        b"[]",
        b"null",
        b'{"order":[]}',
        b'{"order":{"salt":"x"},"owner":1}',
        b"\xff\xfe",
        b"[" * 10_000,
        b"9" * 100_000,
    ],
)
async def test_garbage_bodies_are_refused(body: bytes):
    """Whatever the bytes, the answer is a 4xx with an error text."""
    async with served() as exchange:
        for method, path in (
            ("POST", "/order"),
            ("POST", "/orders"),
            ("DELETE", "/order"),
            ("DELETE", "/orders"),
            ("DELETE", "/cancel-market-orders"),
        ):
            if body == b"[]" and path == "/orders" and method == "DELETE":
                continue
            status, answer = await exchange.call(method, path, body)
            assert 400 <= status < 500
            assert answer["error"]


async def test_garbage_frames_are_counted():
    """Frames that are no frames are counted; the socket and the other clients live on."""
    async with served() as exchange:
        socket = await exchange.market_socket()
        await receive(socket)
        for text in ("{]", "[]", "3", '{"type":"market","assets_ids":7}', '{"operation":"fly"}'):
            await socket.send_str(text)
        await socket.send_str('{"type":"market","assets_ids":["x"]}')
        await socket.send_bytes(b"\x00\x01")
        await socket.send_str("PING")
        assert await socket.receive_str(timeout=PATIENCE_S) == "PONG"
        assert exchange.streams.market.malformed == 7
        user = await exchange.user_socket(secret="wrong")
        message = await user.receive(timeout=PATIENCE_S)
        assert message.data == 1008


async def test_slow_reader_is_closed_with_1013(monkeypatch: pytest.MonkeyPatch):
    """A client whose backlog grows past the bound is let go; it does not slow the exchange."""
    monkeypatch.setattr("engine.exchange.server.outbox.OUTBOX_BYTES_MAX", 100)
    async with served() as exchange:
        socket = await exchange.session.ws_connect(exchange.url + "/ws/market")
        tokens = [str(token) for token in exchange.hand.listing.market.tokens]
        await socket.send_json({"type": "market", "assets_ids": tokens})
        message = await socket.receive(timeout=PATIENCE_S)
        while message.data != 1013:
            message = await socket.receive(timeout=PATIENCE_S)
        assert message.extra == "slow consumer: send buffer full"


async def test_a_failure_of_our_own_is_counted_and_answered(monkeypatch: pytest.MonkeyPatch):
    """A bug in one handler is a 500 and a count in the status; everyone else is served."""
    async with served() as exchange:
        monkeypatch.setattr(
            "engine.exchange.server.frames.rest_book", lambda *_: 1 // 0, raising=True
        )
        token = exchange.hand.listing.market.tokens[0]
        async with exchange.session.get(f"{exchange.url}/book?token_id={token}") as response:
            assert response.status == 500
            assert await response.json() == {"error": "Internal server error"}
        async with exchange.session.get(f"{exchange.url}/_exchange/status") as response:
            status = await response.json()
        assert status["errors"] == 1
        assert "ZeroDivisionError" in status["last_error"]
