"""`py-clob-client-v2`, unmodified, against the exchange: what it sees, and what really happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from exchange_floor import Floor, Trader, trading_floor
from official_clients import Remote, client_python, kept, made, remote

from engine.exchange.accounts import WalletKind
from engine.exchange.fates import Fates
from engine.exchange.rules import VenueRules
from engine.exchange.server.app import Hosting
from engine.exchange.server.limits import Enforcement
from engine.exchange.venue_mode import Trading

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TYPES = "py_clob_client_v2.clob_types:"


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the client's environment."""
    return client_python("py-clob-client-v2")


def limit(token: str, price: float, size: float, side: str = "BUY", **more: Any) -> Any:
    """Return the client's arguments of a limit order."""
    return made(TYPES + "OrderArgsV2", token, price, size, side, **more)


def market(token: str, amount: float, side: str = "BUY", **more: Any) -> Any:
    """Return the client's arguments of a market order."""
    return made(TYPES + "MarketOrderArgsV2", token, amount, side, **more)


def typed(name: str, **fields: Any) -> Any:
    """Return one of the client's parameter objects."""
    return made(TYPES + name, **fields)


async def connect(client: Remote, floor: Floor, trader: Trader, **options: Any) -> None:
    """Make the client's client for a trader's wallet, with keys it derives itself."""
    await client.call(
        "py_clob_client_v2.client:ClobClient",
        floor.url,
        137,
        key=trader.private_key,
        signature_type=int(trader.wallet.kind),
        funder=trader.wallet.address,
        keep="client",
        **options,
    )
    await client.call("@client.create_or_derive_api_key", keep="creds")
    await client.call("@client.set_api_creds", kept("creds"))


@asynccontextmanager
async def session(
    python: Path,
    folder: Path,
    kind: WalletKind = WalletKind.EOA,
    rules: VenueRules | None = None,
    hosting: Hosting | None = None,
) -> AsyncIterator[tuple[Floor, Remote]]:
    """Serve a floor and connect a client to it."""
    async with trading_floor(folder, rules, hosting) as floor, remote(python) as client:
        await connect(client, floor, floor.traders[kind])
        yield floor, client


async def test_keys_are_created_derived_listed_and_deleted(python: Path, tmp_path: Path):
    """A new nonce makes a key, the same nonce again derives it, deleting it locks it out."""
    async with session(python, tmp_path) as (floor, client):
        trader = floor.traders[WalletKind.EOA]
        derived = await client.call("@client.derive_api_key")
        assert derived["api_key"] == trader.key.key
        assert await client.call("@client.get_address") == trader.owner
        created = await client.call("@client.create_api_key", nonce=7)
        keys = await client.call("@client.get_api_keys")
        assert keys == {"apiKeys": [derived["api_key"], created["api_key"]]}
        again = await client.refused("@client.create_api_key", nonce=7)
        assert (again["status_code"], again["error_msg"]) == (
            400,
            {"error": "Could not create api key"},
        )
        assert await client.call("@client.delete_api_key") == "OK"
        gone = await client.refused("@client.get_api_keys")
        assert gone["status_code"] == 401
        assert floor.hand.accounts.key(derived["api_key"]) is None


async def test_readonly_and_builder_keys(python: Path, tmp_path: Path):
    """Further key sets are made, listed and deleted; a read-only one may look but not trade."""
    async with session(python, tmp_path) as (floor, client):
        readonly = await client.call("@client.create_readonly_api_key")
        assert await client.call("@client.get_readonly_api_keys") == [readonly["apiKey"]]
        builder = await client.call("@client.create_builder_api_key")
        assert await client.call("@client.get_builder_api_keys") == [builder["key"]]
        creds = typed(
            "ApiCreds",
            api_key=readonly["apiKey"],
            api_secret=readonly["secret"],
            api_passphrase=readonly["passphrase"],
        )
        await client.call("@client.set_api_creds", creds)
        assert await client.call("@client.get_open_orders") == []
        order = limit(floor.token(floor.standard), 0.45, 10)
        refused = await client.refused("@client.create_and_post_order", order)
        assert refused["status_code"] == 401
        await client.call("@client.set_api_creds", kept("creds"))
        assert await client.call("@client.delete_readonly_api_key", readonly["apiKey"]) == "OK"
        assert await client.call("@client.revoke_builder_api_key") == "OK"
        assert await client.call("@client.get_builder_api_keys") == []
        assert floor.truth("order") == []


async def test_look_ups_describe_the_market(python: Path, tmp_path: Path):
    """Tick, neg risk, fees, books and the plural price routes say what the venue displays."""
    async with session(python, tmp_path) as (floor, client):
        up, down = (floor.token(floor.standard, outcome) for outcome in (0, 1))
        both = [typed("BookParams", token_id=token, side="BUY") for token in (up, down)]
        assert await client.call("@client.get_ok") == "OK"
        assert await client.call("@client.get_version") == 2
        seconds = await client.call("@client.get_server_time")
        assert seconds == floor.hand.schedule.now_ms // 1_000
        assert await client.call("@client.get_tick_size", up) == "0.01"
        assert await client.call("@client.get_neg_risk", up) is False
        assert await client.call("@client.get_neg_risk", floor.token(floor.neg_risk)) is True
        assert await client.call("@client.get_fee_rate_bps", up) == 1000
        assert await client.call("@client.get_fee_exponent", up) == 1
        assert await client.call("@client.get_midpoint", up) == {"mid": "0.49"}
        assert await client.call("@client.get_midpoints", both) == {up: "0.49", down: "0.51"}
        assert await client.call("@client.get_price", up, "SELL") == {"price": "0.5"}
        prices = await client.call("@client.get_prices", both)
        assert prices == {up: {"BUY": "0.48"}, down: {"BUY": "0.5"}}
        assert await client.call("@client.get_spread", up) == {"spread": "0.02"}
        assert await client.call("@client.get_spreads", both) == {up: "0.02", down: "0.02"}
        untraded = {"price": "0.5", "side": ""}
        assert await client.call("@client.get_last_trade_price", up) == untraded
        assert await client.call("@client.get_last_trades_prices", both) == []
        book = await client.call("@client.get_order_book", up)
        assert book["bids"][-1] == {"price": "0.48", "size": "100"}
        assert await client.call("@client.get_order_book_hash", book) == book["hash"]
        books = await client.call("@client.get_order_books", both)
        assert [row["asset_id"] for row in books] == [up, down]
        info = await client.call("@client.get_clob_market_info", floor.standard.market.condition_id)
        assert info["fd"] == {"r": 0.07, "e": 1, "to": True}
        market_view = await client.call("@client.get_market", floor.v3.market.condition_id)
        assert market_view["tokens"][0]["token_id"] == floor.token(floor.v3)
        page = await client.call("@client.get_simplified_markets")
        assert (page["count"], page["next_cursor"]) == (3, "LTE=")
        missing = await client.refused("@client.get_order_book", "12345")
        assert missing["status_code"] == 404


@pytest.mark.parametrize("kind", list(WalletKind), ids=lambda kind: kind.name)
@pytest.mark.parametrize("generation", ["V2", "V2 neg risk", "V3"])
async def test_every_wallet_trades_in_every_generation(
    python: Path, tmp_path: Path, kind: WalletKind, generation: str
):
    """A bid rests and is cancelled, a market order fills: the wallet pays, to the micro."""
    async with session(python, tmp_path, kind) as (floor, client):
        listing = {"V2": floor.standard, "V2 neg risk": floor.neg_risk, "V3": floor.v3}[generation]
        wallet, token = floor.traders[kind].wallet, floor.token(listing)
        options = typed("PartialCreateOrderOptions", version=3 if generation == "V3" else 2)
        placed = await client.call(
            "@client.create_and_post_order", limit(token, 0.45, 10), options, post_only=True
        )
        assert (placed["success"], placed["status"]) == (True, "live")
        order = await client.call("@client.get_order", placed["orderID"])
        assert (order["maker_address"], order["status"]) == (wallet.address, "LIVE")
        cancelled = await client.call(
            "@client.cancel_order", typed("OrderPayload", orderID=placed["orderID"])
        )
        assert cancelled == {"canceled": [placed["orderID"]], "not_canceled": {}}
        async with floor.ticking(speed=20):
            bought = await client.call(
                "@client.create_and_post_market_order", market(token, 10), options
            )
        assert (bought["status"], bought["makingAmount"]) == ("matched", "10")
        assert bought["takingAmount"] == "20"
        assert len(bought["transactionsHashes"]) == 1
        (fill,) = floor.truth("fill")
        assert (fill["maker"], fill["price"], fill["size"]) == (wallet.address, 500_000, 20_000_000)
        assert fill["order_hash"] == bought["orderID"]
        spent = fill["notional"] + fill["fee"]
        asked = typed("BalanceAllowanceParams", asset_type="COLLATERAL")
        balance = await client.call("@client.get_balance_allowance", asked)
        assert int(balance["balance"]) == 1_000_000_000 - spent
        asked = typed("BalanceAllowanceParams", asset_type="CONDITIONAL", token_id=token)
        shares = await client.call("@client.get_balance_allowance", asked)
        assert int(shares["balance"]) == 20_000_000


async def test_every_order_type(python: Path, tmp_path: Path):
    """GTC, GTD, FOK, FAK and post-only do what their names say."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        async with floor.ticking(speed=20):
            gtc = await client.call("@client.create_and_post_order", limit(token, 0.50, 40))
            assert (gtc["status"], gtc["takingAmount"]) == ("live", "30")
            floor.show(asks=(("0.51", "40"), ("0.53", "100")))
            fak = await client.call(
                "@client.create_and_post_market_order",
                market(token, 100, price=0.51, order_type="FAK"),
                order_type="FAK",
            )
            assert (fak["status"], fak["makingAmount"]) == ("matched", "20.4")
            sold = await client.call(
                "@client.create_and_post_market_order", market(token, 15, "SELL"), order_type="FOK"
            )
            assert (sold["status"], sold["takingAmount"]) == ("matched", "7.2")
        later = floor.hand.schedule.now_ms // 1_000 + 400
        gtd = await client.call(
            "@client.create_and_post_order",
            limit(token, 0.40, 10, expiration=later),
            order_type="GTD",
        )
        assert gtd["status"] == "live"
        soon = limit(token, 0.40, 10, expiration=later - 300)
        refused = await client.refused("@client.create_and_post_order", soon, order_type="GTD")
        assert refused["error_msg"] == {"error": "invalid expiration"}
        floor.hand.wait(341_000)
        ended = await client.call("@client.get_order", gtd["orderID"])
        assert ended["status"] == "CANCELED"
        reasons = {row["order_hash"]: row["reason"] for row in floor.truth("cancel")}
        assert reasons[gtd["orderID"]] == "expired"


async def test_error_texts_reach_the_client(python: Path, tmp_path: Path):
    """Every refusal arrives as HTTP 400 with the venue's own words, and leaves no order."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        post = "@client.create_and_post_order"

        async def text(order: Any, *args: Any, **kwargs: Any) -> str:
            error = await client.refused(post, order, *args, **kwargs)
            assert error["status_code"] == 400
            return str(error["error_msg"]["error"])

        poor = await text(limit(token, 0.45, 1_000_000))
        assert poor.startswith("not enough balance / allowance")
        naked = await text(limit(token, 0.60, 10, "SELL"))
        assert naked.startswith("not enough balance / allowance")
        assert "lower than the minimum: 5" in await text(limit(token, 0.45, 4))
        crossing = await text(limit(token, 0.50, 10), post_only=True)
        assert crossing == "invalid post-only order: order crosses book"
        fine = floor.token(floor.neg_risk)
        floor.neg_risk.tick = 1_000
        await client.call(post, limit(fine, 0.455, 10))
        floor.neg_risk.tick = 10_000  # the client still believes in the finer grid
        off_grid = await text(limit(fine, 0.456, 10))
        assert "breaks minimum tick size rule: 0.01" in off_grid
        killed = await client.refused(
            "@client.create_and_post_market_order", market(token, 900, price=0.51)
        )
        assert killed["error_msg"] == {
            "error": "order couldn't be fully filled. FOK orders are fully filled or killed."
        }
        unmatched = await client.refused(
            "@client.create_and_post_market_order",
            market(token, 10, price=0.45, order_type="FAK"),
            order_type="FAK",
        )
        assert unmatched["error_msg"]["error"].startswith("no orders found to match with FAK")
        await client.call("@client.create_order", limit(token, 0.44, 10), keep="order")
        await client.call("@client.post_order", kept("order"))
        twice = await client.refused("@client.post_order", kept("order"))
        assert twice["error_msg"]["error"].endswith("is invalid. Duplicated.")
        assert len(floor.venue.desk.open) == 2
        assert len(floor.truth("reject")) == 6


async def test_batches_and_cancels(python: Path, tmp_path: Path):
    """Batches answer leg by leg; cancel one, many, a market, all; open orders and look-ups."""
    async with session(python, tmp_path) as (floor, client):
        token, other = floor.token(floor.standard), floor.token(floor.neg_risk)
        legs = [
            typed(
                "PostOrdersV2Args",
                order=made("@client.create_order", limit(name, price, size)),
                orderType="GTC",
            )
            for name, price, size in (
                (token, 0.40, 10),
                (token, 0.41, 10),
                (token, 0.42, 1),
                (other, 0.43, 10),
                (other, 0.44, 10),
            )
        ]
        answers = await client.call("@client.post_orders", legs)
        assert [answer["status"] for answer in answers] == ["live", "live", "", "live", "live"]
        assert "lower than the minimum" in answers[2]["errorMsg"]
        ids = [answer["orderID"] for answer in answers if not answer["errorMsg"]]
        rows = await client.call("@client.get_open_orders")
        assert [row["id"] for row in rows] == ids
        asked = typed("OpenOrderParams", asset_id=other)
        assert len(await client.call("@client.get_open_orders", asked)) == 2
        done = await client.call("@client.cancel_orders", [ids[0], "0x" + "00" * 32])
        assert done["canceled"] == [ids[0]]
        assert done["not_canceled"] == {"0x" + "00" * 32: "Order not found or already canceled"}
        asked = typed("OrderMarketCancelParams", market=floor.neg_risk.market.condition_id)
        done = await client.call("@client.cancel_market_orders", asked)
        assert done["canceled"] == ids[2:]
        done = await client.call("@client.cancel_all")
        assert done["canceled"] == [ids[1]]
        assert not floor.venue.desk.open
        assert [row["reason"] for row in floor.truth("cancel")] == ["cancelled"] * 4
        assert await client.call("@client.get_pre_migration_orders") == []


async def test_trades_scoring_rewards_and_notifications(python: Path, tmp_path: Path):
    """A maker's fill shows up as trade and notification; its order scores while it rests."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        placed = await client.call(
            "@client.create_and_post_order", limit(token, 0.48, 60), post_only=True
        )
        asked = typed("OrderScoringParams", orderId=placed["orderID"])
        assert await client.call("@client.is_order_scoring", asked) == {"scoring": False}
        floor.hand.wait(30_000)
        assert await client.call("@client.is_order_scoring", asked) == {"scoring": True}
        many = typed("OrdersScoringParams", orderIds=[placed["orderID"]])
        scoring = await client.call("@client.are_orders_scoring", many)
        assert scoring == {placed["orderID"]: True}
        floor.show(asks=(("0.48", "60"), ("0.50", "30")))
        (trade,) = await client.call("@client.get_trades")
        assert (trade["trader_side"], trade["status"]) == ("MAKER", "MATCHED")
        (leg,) = trade["maker_orders"]
        assert (leg["order_id"], leg["matched_amount"]) == (placed["orderID"], "60")
        floor.hand.wait(5_000)
        asked = typed("TradeParams", id=trade["id"])
        (settled,) = await client.call("@client.get_trades", asked)
        assert settled["status"] == "CONFIRMED"
        assert (await client.call("@client.get_trades_paginated", asked))["count"] == 1
        (fill,) = floor.truth("fill")
        assert (fill["trade_id"], fill["liquidity"], fill["fee"]) == (trade["id"], "MAKER", 0)
        (notice,) = await client.call("@client.get_notifications")
        assert (notice["type"], notice["payload"]["trade_id"]) == (2, trade["id"])
        dropped = typed("DropNotificationParams", ids=[str(notice["id"])])
        assert await client.call("@client.drop_notifications", dropped) == "OK"
        assert await client.call("@client.get_notifications") == []
        assert await client.call("@client.get_earnings_for_user_for_day", "2026-09-28") == []
        assert await client.call("@client.get_reward_percentages") == {}
        assert await client.call("@client.get_current_rewards") == []


async def test_heartbeats_cancel_on_lapse(python: Path, tmp_path: Path):
    """While heartbeats come orders stay; when they stop, the venue cancels them all."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        placed = await client.call("@client.create_and_post_order", limit(token, 0.40, 10))
        beat = await client.call("@client.post_heartbeat")
        floor.hand.wait(9_000)
        beat = await client.call("@client.post_heartbeat", beat["heartbeat_id"])
        wrong = await client.refused("@client.post_heartbeat", "not this one")
        assert wrong["error_msg"] == {
            "error_msg": "Invalid Heartbeat ID",
            "heartbeat_id": beat["heartbeat_id"],
        }
        floor.hand.wait(9_000)
        assert placed["orderID"] in floor.venue.desk.open
        floor.hand.wait(6_000)
        order = await client.call("@client.get_order", placed["orderID"])
        assert order["status"] == "CANCELED"
        (row,) = floor.truth("cancel")
        assert row["order_hash"] == placed["orderID"]


async def test_a_bad_day_as_the_client_sees_it(python: Path, tmp_path: Path):
    """425, post-only, cancel-only, disabled, 429, geoblock, closed-only: status and text."""
    async with session(python, tmp_path) as (floor, client):
        token, mode = floor.token(floor.standard), floor.exchange.hosting.mode
        post = "@client.create_and_post_order"
        resting = await client.call(post, limit(token, 0.40, 10))
        mode.restart(floor.hand.schedule)
        assert (await client.refused(post, limit(token, 0.41, 10)))["status_code"] == 425
        floor.hand.wait(90_000)
        window = await client.refused(post, limit(token, 0.41, 10))
        assert (window["status_code"], window["error_msg"]) == (
            503,
            {
                "error": "post-only mode: only post-only orders and cancels are allowed",
                "code": "post_only_mode",
                "retry_after_seconds": 120,
            },
        )
        quiet = await client.call(post, limit(token, 0.41, 10), post_only=True)
        assert quiet["status"] == "live"
        floor.hand.wait(120_000)
        assert (await client.call(post, limit(token, 0.42, 10)))["status"] == "live"
        mode.trading = Trading.CANCEL_ONLY
        refused = await client.refused(post, limit(token, 0.43, 10))
        assert "cancel-only" in refused["error_msg"]["error"]
        payload = typed("OrderPayload", orderID=resting["orderID"])
        assert (await client.call("@client.cancel_order", payload))["canceled"]
        mode.trading = Trading.DISABLED
        refused = await client.refused("@client.cancel_all")
        assert "currently disabled" in refused["error_msg"]["error"]
        mode.trading = Trading.THROTTLED
        refused = await client.refused(post, limit(token, 0.43, 10))
        assert (refused["status_code"], refused["error_msg"][:9]) == (429, "<!DOCTYPE")
        mode.trading = Trading.NORMAL
        mode.geoblocked = True
        assert (await client.refused(post, limit(token, 0.43, 10)))["status_code"] == 403
        mode.geoblocked = False
        owner = floor.traders[WalletKind.EOA].key.account.owner
        mode.closed_only.add(owner)
        assert await client.call("@client.get_closed_only_mode") == {"closed_only": True}
        refused = await client.refused(post, limit(token, 0.43, 10))
        assert refused["error_msg"] == {"error": f"'{owner}' address in closed only mode"}
        assert len(floor.truth("order")) == 3


async def test_orders_of_the_first_generation(python: Path, tmp_path: Path):
    """A V1 order is refused with order_version_mismatch, or taken where the venue says so."""
    for accepted in (False, True):
        rules = VenueRules(taker_delay_ms=0, v1_accepted=accepted)
        folder = tmp_path / str(accepted)
        folder.mkdir()
        async with session(python, folder, rules=rules) as (floor, client):
            order = made(TYPES + "OrderArgsV1", floor.token(floor.standard), 0.45, 10, "BUY")
            options = typed("PartialCreateOrderOptions", version=1)
            if accepted:
                placed = await client.call("@client.create_and_post_order", order, options)
                assert placed["status"] == "live"
                assert placed["orderID"] in floor.venue.desk.open
            else:
                refused = await client.refused("@client.create_and_post_order", order, options)
                assert refused["error_msg"] == {"error": "order_version_mismatch"}
                assert floor.truth("order") == []


async def test_plain_addresses_are_refused_where_the_venue_does(python: Path, tmp_path: Path):
    """A new EOA is told to use the deposit wallet flow; its deposit wallet is taken."""
    rules = VenueRules(taker_delay_ms=0, eoa_accepted=False)
    async with session(python, tmp_path, rules=rules) as (floor, client):
        order = limit(floor.token(floor.standard), 0.45, 10)
        refused = await client.refused("@client.create_and_post_order", order)
        assert refused["error_msg"] == {
            "error": "maker address not allowed, please use the deposit wallet flow"
        }
        await connect(client, floor, floor.traders[WalletKind.DEPOSIT])
        assert (await client.call("@client.create_and_post_order", order))["status"] == "live"


async def test_ghost_fills_have_no_transaction(python: Path, tmp_path: Path):
    """A match whose settlement fails: the client waits for it, gets no hash, and sees FAILED."""
    rules = VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=1_000_000))
    async with session(python, tmp_path, rules=rules) as (floor, client):
        token = floor.token(floor.standard)
        async with floor.ticking(speed=20):
            bought = await client.call("@client.create_and_post_market_order", market(token, 10))
        assert (bought["status"], bought["transactionsHashes"]) == ("matched", [])
        (trade,) = await client.call("@client.get_trades")
        assert trade["status"] == "FAILED"
        assert floor.traders[WalletKind.EOA].wallet.balance(int(token)) == 0
        assert [row["status"] for row in floor.truth("settle")][-1] == "FAILED"


async def test_rate_limits_refuse_the_61st_order_of_a_burst(python: Path, tmp_path: Path):
    """The standard tier holds 60 orders; a batch that finds too few tokens is refused whole."""
    hosting = Hosting(enforcement=Enforcement.ENFORCE)
    async with session(python, tmp_path, hosting=hosting) as (floor, client):
        await client.call(
            "@client.create_order", limit(floor.token(floor.standard), 0.4, 10), keep="order"
        )
        leg = typed("PostOrdersV2Args", order=kept("order"), orderType="GTC")
        for _ in range(4):
            answers = await client.call("@client.post_orders", [leg] * 15)
            assert len(answers) == 15
        refused = await client.refused("@client.post_orders", [leg] * 15)
        assert (refused["status_code"], refused["error_msg"]) == (
            429,
            {"error": "Too Many Requests"},
        )
        assert len(floor.truth("order")) == 1
