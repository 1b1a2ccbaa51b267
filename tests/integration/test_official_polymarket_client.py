"""`polymarket-client`, unmodified, against the exchange: what it sees, and what really happened.

Its environments are values of the package and it has no public way to make another one: the tests
derive one from its own production environment, by its own constructor, with nothing but URLs
changed. The client's code is as published.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from exchange_floor import Floor, Trader, trading_floor
from official_clients import Remote, client_python, kept, made, remote, thing

from engine.exchange.accounts import KeyRole, WalletKind
from engine.exchange.fates import Fates
from engine.exchange.rules import VenueRules
from engine.exchange.server.app import Hosting
from engine.exchange.server.limits import Enforcement
from engine.exchange.venue_mode import Trading
from signer.ecdsa import SigningKey

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WALLET_NAMES = {
    WalletKind.EOA: "EOA",
    WalletKind.PROXY: "POLY_PROXY",
    WalletKind.SAFE: "GNOSIS_SAFE",
    WalletKind.DEPOSIT: "DEPOSIT_WALLET",
}


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the client's environment."""
    return client_python("polymarket-client")


async def make_environment(client: Remote, url: str) -> None:
    """Make an environment of the client in which every host is the exchange."""
    sockets = url.replace("http", "ws") + "/ws"
    config = made(
        "dataclasses:replace",
        thing("polymarket.environments:PRODUCTION._config"),
        clob_url=url,
        clob_market_ws_url=f"{sockets}/market",
        clob_user_ws_url=f"{sockets}/user",
        realtime_ws_url=f"{sockets}/prices",
        rtds_ws_url=f"{sockets}/rtds",
        gamma_url=f"{url}/gamma",
        data_url=f"{url}/data-api",
        relayer_url=f"{url}/relayer",
        rpc_url=f"{url}/rpc",
        relayer_poll_frequency_ms=50,
    )
    await client.call(
        "polymarket.environments:_create_environment", name="local", config=config, keep="local"
    )


async def connect(
    client: Remote, floor: Floor, trader: Trader, kind: str = "SecureClient", **options: Any
) -> None:
    """Make the client's client for a trader's wallet; it derives its own keys."""
    relayer_key = made(
        "polymarket.auth:RelayerApiKey",
        key=floor.hand.accounts.relayer_key(trader.owner),
        address=trader.owner,
    )
    await client.call(
        f"polymarket:{kind}.create",
        private_key=trader.private_key,
        wallet=trader.wallet.address,
        environment=kept("local"),
        api_key=relayer_key,
        keep="client",
        **options,
    )


@asynccontextmanager
async def session(
    python: Path,
    folder: Path,
    kind: WalletKind = WalletKind.DEPOSIT,
    rules: VenueRules | None = None,
    hosting: Hosting | None = None,
    client_kind: str = "SecureClient",
) -> AsyncIterator[tuple[Floor, Remote]]:
    """Serve a floor and connect a client to it."""
    async with trading_floor(folder, rules, hosting) as floor, remote(python) as client:
        await make_environment(client, floor.url)
        await connect(client, floor, floor.traders[kind], client_kind)
        yield floor, client


async def page(client: Remote, name: str, **kwargs: Any) -> list[Any]:
    """Return the items of the first page of a list."""
    await client.call(name, keep="pages", **kwargs)
    first = await client.call("@pages.first_page")
    return first["items"]


async def test_accounts_and_keys(python: Path, tmp_path: Path):
    """The client finds out which wallet it has, derives its key, lists and deletes keys."""
    for kind, name in WALLET_NAMES.items():
        folder = tmp_path / name
        folder.mkdir()
        async with session(python, folder, kind) as (floor, client):
            trader = floor.traders[kind]
            assert await client.call("@client.wallet_type") == name
            assert await client.call("@client.wallet") == trader.wallet.address
            assert await client.call("@client.signer") == trader.owner
            assert await client.call("@client.fetch_api_keys") == [trader.key.key]
            assert await client.call("@client.get_closed_only_mode") is False
            money = await client.call("@client.get_balance_allowance", asset_type="COLLATERAL")
            assert money["balance"] == 1_000_000_000
            if kind is WalletKind.SAFE:
                await client.call("@client.delete_api_key")
                assert floor.hand.accounts.key(trader.key.key) is None


async def test_prices_and_books(python: Path, tmp_path: Path):
    """Books, prices, midpoints, spreads and last trades, one and many."""
    async with session(python, tmp_path) as (floor, client):
        up, down = (floor.token(floor.standard, outcome) for outcome in (0, 1))
        assert await client.call("@client.get_midpoint", asset_id=up) == "0.49"
        both = await client.call("@client.get_midpoints", asset_ids=[up, down])
        assert both == {up: "0.49", down: "0.51"}
        assert await client.call("@client.get_price", asset_id=up, side="BUY") == "0.48"
        asked = made("polymarket.models:PriceRequest", up, "SELL")
        assert await client.call("@client.get_prices", requests=[asked]) == {up: {"SELL": "0.5"}}
        assert await client.call("@client.get_spread", asset_id=up) == "0.02"
        assert await client.call("@client.get_spreads", asset_ids=[down]) == {down: "0.02"}
        book = await client.call("@client.get_order_book", asset_id=up)
        assert (book["asks"][-1]["price"], book["neg_risk"]) == ("0.5", False)
        books = await client.call("@client.get_order_books", asset_ids=[up, down])
        assert len(books) == 2
        assert await client.call("@client.get_last_trade_price", asset_id=up) is None
        async with floor.ticking():
            await client.call("@client.place_market_order", asset_id=up, side="BUY", amount=5)
        last = await client.call("@client.get_last_trade_price", asset_id=up)
        assert (last["price"], last["side"]) == ("0.5", "BUY")
        many = await client.call("@client.get_last_trade_prices", asset_ids=[up, down])
        assert [row["asset_id"] for row in many] == [up]
        price = await client.call(
            "@client.estimate_market_price", asset_id=up, side="BUY", amount=10
        )
        assert price == "0.5"


async def test_markets_and_events(python: Path, tmp_path: Path):
    """The directory's markets and events, with tokens or position ids by generation."""
    async with session(python, tmp_path) as (floor, client):
        markets = await page(client, "@client.list_markets", page_size=10)
        slugs = {market["slug"] for market in markets}
        assert slugs == {listing.market.slug for listing in floor.listings}
        by_slug = {market["slug"]: market for market in markets}
        yes = by_slug["v3"]["outcomes"]["yes"]
        assert yes["position_id"] == floor.token(floor.v3)
        one = await client.call("@client.get_market", slug="neg-risk")
        assert one["condition_id"] == floor.neg_risk.market.condition_id
        assert one["outcomes"]["yes"]["token_id"] == floor.token(floor.neg_risk)
        event = await client.call("@client.get_event", slug="neg-risk")
        assert event["markets"][0]["slug"] == "neg-risk"
        events = await page(client, "@client.list_events", page_size=10)
        assert len(events) == 3


@pytest.mark.parametrize("kind", list(WalletKind), ids=lambda kind: kind.name)
@pytest.mark.parametrize("generation", ["V2", "V2 neg risk", "V3"])
async def test_every_wallet_trades_in_every_generation(
    python: Path, tmp_path: Path, kind: WalletKind, generation: str
):
    """A quote rests, is seen and cancelled; a market order fills and settles."""
    async with session(python, tmp_path, kind) as (floor, client):
        listing = {"V2": floor.standard, "V2 neg risk": floor.neg_risk, "V3": floor.v3}[generation]
        wallet, token = floor.traders[kind].wallet, floor.token(listing)
        quote = {"asset_id": token, "price": "0.45", "size": "10", "side": "BUY"}
        placed = await client.call("@client.place_limit_order", **quote, post_only=True)
        assert (placed["ok"], placed["status"]) == (True, "live")
        (row,) = await page(client, "@client.list_open_orders")
        assert (row["id"], row["maker_address"]) == (placed["order_id"], wallet.address)
        done = await client.call("@client.cancel_order", order_id=placed["order_id"])
        assert done["canceled"] == [placed["order_id"]]
        await client.call(
            "@client.place_market_order",
            asset_id=token,
            side="BUY",
            amount=10,
            order_type="FOK",
            keep="bought",
        )
        bought = await client.call("@bought.model_dump")
        assert (bought["status"], bought["making_amount"]) == ("matched", "10")
        async with floor.ticking(speed=20):
            hashes = await client.call("@client.wait_for_order_fill_settlement", kept("bought"))
        (fill,) = floor.truth("fill")
        trade = floor.venue.trades[fill["trade_id"]]
        assert hashes == [trade.transaction_hash]
        assert (fill["maker"], fill["size"]) == (wallet.address, 20_000_000)
        assert wallet.balance(int(token)) == 20_000_000
        (trade_row,) = await page(client, "@client.list_account_trades")
        assert (trade_row["id"], trade_row["status"]) == (fill["trade_id"], "CONFIRMED")


async def test_order_types_and_refusals(python: Path, tmp_path: Path):
    """GTD and FAK, and the reasons for which an order is refused, as the client classifies them."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        quote = {"asset_id": token, "price": "0.45", "size": "10", "side": "BUY"}
        gtd = await client.call(
            "@client.place_limit_order", **quote, expiration=int(time.time()) + 3_600
        )
        order = await client.call("@client.get_order", order_id=gtd["order_id"])
        assert (order["order_type"], order["status"]) == ("GTD", "LIVE")
        fak = await client.call(
            "@client.place_market_order",
            asset_id=token,
            side="BUY",
            amount=100,
            max_price="0.51",
            order_type="FAK",
        )
        assert (fak["status"], fak["taking_amount"]) == ("matched", "70")
        sold = await client.call(
            "@client.place_market_order", asset_id=token, side="SELL", shares=20, order_type="FOK"
        )
        assert (sold["status"], sold["taking_amount"]) == ("matched", "9.6")
        crossing = {**quote, "price": "0.53", "post_only": True}
        for changes, words in (
            (crossing, "invalid post-only order: order crosses book"),
            ({"size": "4"}, "lower than the minimum: 5"),
            ({"size": "100000"}, "not enough balance / allowance"),
        ):
            error = await client.refused("@client.place_limit_order", **{**quote, **changes})
            assert (error["type"], error["status"]) == ("RequestRejectedError", 400)
            assert words in error["text"]
        await client.call("@client.create_limit_order", **quote, keep="signed")
        first = await client.call("@client.post_order", kept("signed"))
        assert first["ok"] is True
        again = await client.refused("@client.post_order", kept("signed"))
        assert again["text"].endswith("is invalid. Duplicated.")
        assert len(floor.truth("order")) == 4


async def test_batches_and_cancels(python: Path, tmp_path: Path):
    """A batch with a bad leg; cancel many, a market, all."""
    async with session(python, tmp_path) as (floor, client):
        token, other = floor.token(floor.standard), floor.token(floor.v3)
        sign = "@client.create_limit_order"
        terms = [(token, "0.40", 10), (token, "0.41", 1), (other, "0.42", 10), (token, "0.43", 10)]
        orders = [
            made(sign, asset_id=asset, price=price, size=size, side="BUY")
            for asset, price, size in terms
        ]
        answers = await client.call("@client.post_orders", orders)
        assert [answer["ok"] for answer in answers] == [True, False, True, True]
        assert "lower than the minimum" in answers[1]["message"]
        ids = [answer["order_id"] for answer in answers if answer["ok"]]
        done = await client.call("@client.cancel_orders", order_ids=[ids[0], "0x" + "0" * 64])
        assert (done["canceled"], len(done["not_canceled"])) == ([ids[0]], 1)
        done = await client.call("@client.cancel_market_orders", asset_id=other)
        assert done["canceled"] == [ids[1]]
        done = await client.call("@client.cancel_all")
        assert done["canceled"] == [ids[2]]
        assert [row["order_hash"] for row in floor.truth("cancel")] == ids


async def test_scoring_heartbeats_and_notifications(python: Path, tmp_path: Path):
    """A big quote near the middle scores after 30 s; silence of heartbeats cancels it."""
    async with session(python, tmp_path) as (floor, client):
        quote = {"price": "0.47", "size": "60", "side": "BUY"}
        placed = await client.call(
            "@client.place_limit_order", asset_id=floor.token(floor.standard), **quote
        )
        order_id = placed["order_id"]
        floor.hand.wait(30_000)
        assert await client.call("@client.get_order_scoring", order_id=order_id) is True
        many = await client.call("@client.get_orders_scoring", order_ids=[order_id, "0x00"])
        assert many == {order_id: True, "0x00": False}
        beat = await client.call("@client.send_order_heartbeat")
        beat = await client.call("@client.send_order_heartbeat", heartbeat_id=beat["heartbeat_id"])
        wrong = await client.refused("@client.send_order_heartbeat", heartbeat_id="old")
        assert (wrong["type"], wrong["heartbeat_id"]) == (
            "OrderHeartbeatMismatchError",
            beat["heartbeat_id"],
        )
        floor.hand.wait(16_000)
        order = await client.call("@client.get_order", order_id=order_id)
        assert order["status"] == "CANCELED"
        (notice,) = await client.call("@client.get_notifications")
        assert (notice["type"], notice["payload"]["order_id"]) == (1, order_id)
        await client.call("@client.drop_notifications", ids=[notice["id"]])
        assert await client.call("@client.get_notifications") == []
        rebates = await client.call(
            "@client.get_current_rebates",
            date="2026-09-28",
            maker_address=floor.traders[WalletKind.DEPOSIT].wallet.address,
        )
        assert rebates == []


async def test_data_api_lists_what_is_on_chain(python: Path, tmp_path: Path):
    """Trades, activity, positions and value appear once the trade is mined."""
    async with session(python, tmp_path) as (floor, client):
        token = floor.token(floor.standard)
        wallet = floor.traders[WalletKind.DEPOSIT].wallet.address
        await client.call("@client.place_market_order", asset_id=token, side="BUY", amount=10)
        assert await page(client, "@client.list_trades") == []
        floor.hand.wait(5_000)
        (trade,) = await page(client, "@client.list_trades")
        assert (trade["wallet"], trade["asset_id"], trade["size"]) == (wallet, token, "20.0")
        (row,) = await page(client, "@client.list_activity")
        assert (row["type"], row["amount"], row["price"]) == ("TRADE", "10.0", "0.5")
        (position,) = await page(client, "@client.list_positions")
        assert (position["current_size"], position["avg_price"]) == ("20.0", "0.5")
        assert position["entry_fees_usdc"] == str(floor.truth("fill")[0]["fee"] / 1e6)
        value = await client.call("@client.get_portfolio_value")
        assert value["value"] == "9.8"


@pytest.mark.parametrize(
    "kind", [WalletKind.PROXY, WalletKind.SAFE, WalletKind.DEPOSIT], ids=lambda kind: kind.name
)
async def test_relayed_wallet_calls(python: Path, tmp_path: Path, kind: WalletKind):
    """Split, merge and approvals go through the relayer, signed by each kind of wallet."""
    async with session(python, tmp_path, kind) as (floor, client):
        wallet, tokens = floor.traders[kind].wallet, floor.standard.market.tokens
        condition = floor.standard.market.condition_id
        assert await client.call("@client.is_gasless_ready") is True
        state = await client.call("@client.get_trading_approvals_state")
        assert state["is_fully_approved"] is True
        async with floor.ticking(speed=20):
            await client.call(
                "@client.split_position", condition_id=condition, amount=7_000_000, keep="split"
            )
            outcome = await client.call("@split.wait")
            assert outcome["transaction_hash"].startswith("0x")
            assert [wallet.balance(token) for token in tokens] == [7_000_000, 7_000_000]
            await client.call(
                "@client.merge_positions", condition_id=condition, amount=3_000_000, keep="merge"
            )
            await client.call("@merge.wait")
            await client.call(
                "@client.split_position",
                condition_id=floor.v3.market.condition_id[:-2],
                amount=1_000_000,
                keep="router",
            )
            await client.call("@router.wait")
            await client.call(
                "@client.split_position", condition_id=condition, amount=10**12, keep="poor"
            )
            failed = await client.refused("@poor.wait")
        assert failed["type"] == "TransactionFailedError"
        assert [wallet.balance(token) for token in tokens] == [4_000_000, 4_000_000]
        assert wallet.balance(floor.v3.market.tokens[1]) == 1_000_000
        kinds = [row["type"] for row in floor.truth("split") + floor.truth("merge")]
        assert kinds == ["split", "split", "merge"]


async def test_a_new_wallet_is_deployed_by_the_relayer(python: Path, tmp_path: Path):
    """A client without a wallet gets its deposit wallet deployed, and may then trade from it."""
    async with trading_floor(tmp_path) as floor, remote(python) as client:
        await make_environment(client, floor.url)
        key = SigningKey(b"\x11" * 32)
        accounts = floor.hand.accounts
        relayer_key = made(
            "polymarket.auth:RelayerApiKey",
            key=accounts.relayer_key(key.address),
            address=key.address,
        )
        async with floor.ticking(speed=20):
            await client.call(
                "polymarket:SecureClient.create",
                private_key="0x" + "11" * 32,
                environment=kept("local"),
                api_key=relayer_key,
                keep="client",
            )
        wallet = accounts.wallet(key.address, WalletKind.DEPOSIT)
        assert wallet is not None
        assert wallet.is_deployed
        assert await client.call("@client.wallet") == wallet.address
        quote = {"asset_id": floor.token(floor.standard), "price": "0.45", "side": "BUY"}
        poor = await client.refused("@client.place_limit_order", **quote, size=10)
        assert "not enough balance / allowance" in poor["text"]


async def test_session_keys(python: Path, tmp_path: Path):
    """The owner's client grants one, a second client trades with it, and then it is revoked."""
    async with trading_floor(tmp_path) as floor, remote(python) as client:
        await make_environment(client, floor.url)
        trader, secret = floor.traders[WalletKind.DEPOSIT], "0x" + "22" * 32
        made_key = floor.hand.accounts.create_extra_key(trader.key.account, KeyRole.BUILDER)
        builder = made(
            "polymarket.auth:BuilderApiKey",
            key=made_key.key,
            secret=made_key.secret,
            passphrase=made_key.passphrase,
        )
        wallet, local = trader.wallet.address, kept("local")
        create = "polymarket:SecureClient.create"
        await client.call(
            create,
            private_key=trader.private_key,
            wallet=wallet,
            environment=local,
            api_key=builder,
            keep="owner",
        )
        address = SigningKey(b"\x22" * 32).address
        async with floor.ticking(speed=20):
            await client.call("@owner.authorize_session_key", address=address, keep="grant")
            granted = await client.call("@owner.fetch_session_keys")
            assert [key["address"].lower() for key in granted] == [address.lower()]
            await client.call(
                create, private_key=secret, wallet=wallet, environment=local, keep="session"
            )
            quote = {"asset_id": floor.token(floor.standard), "price": "0.45", "side": "BUY"}
            placed = await client.call("@session.place_limit_order", **quote, size=10)
            assert placed["status"] == "live"
            await client.call("@owner.revoke_session_key", address=address)
            refused = await client.refused("@session.place_limit_order", **quote, size=11)
        assert "maker address not allowed" in refused["text"]
        (order,) = floor.truth("order")
        assert order["maker"] == wallet


async def test_a_bad_day_as_the_client_sees_it(python: Path, tmp_path: Path):
    """Restart and post-only window, cancel-only, 429 with its rate headers: the client's words."""
    async with session(python, tmp_path) as (floor, client):
        mode = floor.exchange.hosting.mode
        quote = {"asset_id": floor.token(floor.standard), "size": "10", "side": "BUY"}
        place = "@client.place_limit_order"
        mode.restart(floor.hand.schedule)
        down = await client.refused(place, **quote, price="0.40")
        assert (down["status"], down["restriction"], down["retry_after"]) == (
            425,
            "restarting",
            90.0,
        )
        floor.hand.wait(90_000)
        window = await client.refused(place, **quote, price="0.40")
        assert (window["restriction"], window["code"]) == ("post_only", "post_only_mode")
        quiet = await client.call(place, **quote, price="0.40", post_only=True)
        assert quiet["ok"] is True
        floor.hand.wait(120_000)
        mode.trading = Trading.CANCEL_ONLY
        refused = await client.refused(place, **quote, price="0.41")
        assert refused["restriction"] == "cancel_only"
        assert (await client.call("@client.cancel_all"))["canceled"] == [quiet["order_id"]]
        mode.trading, mode.retry_after_s = Trading.THROTTLED, 7
        refused = await client.refused(place, **quote, price="0.41")
        assert (refused["type"], refused["retry_after"]) == ("RateLimitError", 7.0)
        mode.trading = Trading.NORMAL
        assert (await client.call(place, **quote, price="0.41"))["ok"] is True


async def test_rate_limits_are_told_and_enforced(python: Path, tmp_path: Path):
    """Every order answer carries the bucket; the 61st order of a burst is a RateLimitError."""
    hosting = Hosting(enforcement=Enforcement.ENFORCE)
    async with trading_floor(tmp_path, hosting=hosting) as floor, remote(python) as client:
        await make_environment(client, floor.url)
        await client.call("builtins:list", keep="updates")
        listener = thing("@updates.append")
        trader = floor.traders[WalletKind.DEPOSIT]
        await connect(client, floor, trader, on_rate_limit_update=listener)
        quote = {"asset_id": floor.token(floor.standard), "size": "10", "side": "BUY"}
        sign = "@client.create_limit_order"
        await client.call(sign, **quote, price="0.40", keep="order")
        for _ in range(4):
            await client.call("@client.post_orders", [kept("order")] * 15)
        refused = await client.refused("@client.post_orders", [kept("order")] * 15)
        assert refused["type"] == "RateLimitError"
        assert refused["rate_limit"]["tier"] == "standard"
        updates = await client.call("builtins:list", kept("updates"))
        assert [update["remaining"] for update in updates[:2]] == [45.0, 30.0]


async def test_ghost_fills_fail_the_settlement(python: Path, tmp_path: Path):
    """Every fill of the order fails: the client says so, and the wallet has its money back."""
    rules = VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=1_000_000))
    async with session(python, tmp_path, rules=rules) as (floor, client):
        token = floor.token(floor.standard)
        await client.call(
            "@client.place_market_order", asset_id=token, side="BUY", amount=10, keep="bought"
        )
        async with floor.ticking(speed=20):
            failed = await client.refused("@client.wait_for_order_fill_settlement", kept("bought"))
        assert failed["type"] == "TransactionFailedError"
        wallet = floor.traders[WalletKind.DEPOSIT].wallet
        assert (wallet.balance(0), wallet.balance(int(token))) == (1_000_000_000, 0)
        notices = await client.call("@client.get_notifications")
        assert notices[0]["type"] == 8


async def test_market_and_user_streams(python: Path, tmp_path: Path):
    """Books, changes and trades arrive on the market stream, own orders and fills on the other."""
    async with session(python, tmp_path, client_kind="AsyncSecureClient") as (floor, client):
        token = floor.token(floor.standard)
        spec = made("polymarket.streams:MarketSpec", asset_ids=[token], custom_feature_enabled=True)
        await client.call("@client.subscribe", spec, keep="market")
        book = await client.call("@market.__anext__")
        assert (book["type"], book["payload"]["asset_id"]) == ("book", token)
        spec = made("polymarket.streams:UserSpec")
        await client.call("@client.subscribe", spec, keep="user")
        placed = await client.call(
            "@client.place_limit_order", asset_id=token, price="0.49", size=20, side="BUY"
        )
        event = await client.call("@user.__anext__")
        assert (event["type"], event["payload"]["id"]) == ("order", placed["order_id"])
        floor.show(asks=(("0.46", "15"), ("0.50", "30")))
        change = await client.call("@market.__anext__")
        assert change["type"] == "price_change"
        kinds = [(await client.call("@user.__anext__"))["type"] for _ in range(2)]
        assert sorted(kinds) == ["order", "trade"]
        floor.show()
        await client.call("@client.place_market_order", asset_id=token, side="BUY", amount=5)
        kinds = {(await client.call("@market.__anext__"))["type"] for _ in range(4)}
        assert "last_trade_price" in kinds
        await client.call("@user.close")
        await client.call("@market.close")


async def test_price_sockets(python: Path, tmp_path: Path):
    """PolyBolt sends a snapshot and updates of what was observed; RTDS the same, deprecated."""
    async with session(python, tmp_path, client_kind="AsyncSecureClient") as (floor, client):
        prices = floor.exchange.hosting.prices
        for second in range(3):
            prices.observe("btcusd", 1_000 * second, 80_000_000_000 + second * 1_000_000)
        spec = made("polymarket.streams:CryptoPriceSpec", symbols=["btcusd"])
        await client.call("@client.subscribe", spec, keep="spot")
        snapshot = await client.call("@spot.__anext__")
        assert [point["value"] for point in snapshot["payload"]["data"]] == [
            "80000",
            "80001",
            "80002",
        ]
        spec = made("polymarket.streams:CryptoTwapPriceSpec", symbols=["btcusd"])
        await client.call("@client.subscribe", spec, keep="twap")
        await client.call("@twap.__anext__")
        name = "polymarket.streams:CryptoPricesChainlinkTwapSpec"
        spec = made(name, window_seconds=60, symbols=["btc/usd"])
        await client.call("@client.subscribe", spec, keep="old")
        prices.observe("btcusd", 3_000, 80_006_000_000)
        update = await client.call("@spot.__anext__")
        assert (update["payload"]["value"], update["payload"]["source"]) == ("80006", "chainlink")
        mean = await client.call("@twap.__anext__")
        assert mean["payload"]["value"] == "80002.25"
        old = await client.call("@old.__anext__")
        assert old["payload"]["value"] == "80002.25"
        silent = made("polymarket.streams:CryptoPriceSpec", symbols=["ethusd"])
        await client.call("@client.subscribe", silent, keep="silent")
        empty = await client.call("@silent.__anext__")
        assert empty["payload"]["data"] == []
