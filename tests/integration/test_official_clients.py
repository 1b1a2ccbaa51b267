"""Official clients against `python -m engine.exchange` as a process, knowing only its ready line.

What single calls see is in the tests of each client; here whole stories are told over real time, by
every wallet of the ready line, and compared with the truth ledger.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from exchange_floor import trading_floor
from official_clients import Remote, client_python, kept, made, npm_folder, remote, thing

from engine.exchange.accounts import WalletKind
from engine.exchange.market import derive_positions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BIDS, ASKS = [[0.48, 100.0], [0.47, 50.0]], [[0.50, 400.0], [0.51, 40.0]]


def write_still_life(folder: Path) -> None:
    """Write two markets, of both generations, whose books do not move, around the present."""
    start_ms = int(time.time()) * 1_000 - 2_000
    rows = []
    for slug, condition, generation in (
        ("btc-updown-15m-1", "0x" + "ab" * 32, 2),
        ("btc-updown-15m-2", derive_positions("still")[0], 3),
    ):
        rows.append(
            {
                "market_id": condition,
                "slug": slug,
                "question": slug,
                "timeframe": "15m",
                "start_ts": start_ms,
                "end_ts": start_ms + 900_000,
                "outcome_up": "Up",
                "outcome_down": "Down",
                "payout_up": 1.0,
                "payout_down": 0.0,
                "generation": generation,
            }
        )
        down_bids = [[round(1 - price, 2), size] for price, size in ASKS]
        down_asks = [[round(1 - price, 2), size] for price, size in BIDS]
        lines = [
            {"ts": start_ms, "side": "UP", "bids": BIDS, "asks": ASKS},
            {"ts": start_ms, "side": "DOWN", "bids": down_bids, "asks": down_asks},
        ]
        with gzip.open(folder / f"{slug}.jsonl.gz", "wt") as target:
            target.writelines(json.dumps(line) + "\n" for line in lines)
    (folder / "markets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@asynccontextmanager
async def exchange(folder: Path, *options: str) -> AsyncIterator[dict[str, Any]]:
    """Run the exchange in real time, playing a still life unless told otherwise; give its ready
    line."""
    if not options:
        write_still_life(folder)
        options = ("--recording", str(folder), "--speed", "1")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.exchange", "--ready-json", "--seed", "clients"),
        *("--truth", str(folder / "truth.jsonl"), "--mined-ms", "200", "--confirmed-ms", "400"),
        *options,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


def fills(folder: Path) -> list[dict[str, Any]]:
    """Return the fills of the truth ledger."""
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return [row for row in rows if row["type"] == "fill"]


async def test_py_clob_client_v2_trades_with_every_account(tmp_path: Path):
    """Each account of the ready line quotes, cancels and buys, in both generations."""
    python = client_python("py-clob-client-v2")
    types = "py_clob_client_v2.clob_types:"
    async with exchange(tmp_path) as ready, remote(python) as client:
        assert [account["signature_type"] for account in ready["accounts"]] == [0, 1, 2, 3]
        for account in ready["accounts"]:
            api = account["api"]
            await client.call(
                "py_clob_client_v2.client:ClobClient",
                ready["rest"],
                ready["chain_id"],
                key=account["private_key"],
                creds=made(types + "ApiCreds", api["key"], api["secret"], api["passphrase"]),
                signature_type=account["signature_type"],
                funder=account["funder"],
                keep="client",
            )
            for version, market in zip((2, 3), ready["markets"], strict=True):
                options = made(types + "PartialCreateOrderOptions", version=version)
                quote = made(types + "OrderArgsV2", market["tokens"][0], 0.45, 10, "BUY")
                placed = await client.call(
                    "@client.create_and_post_order", quote, options, post_only=True
                )
                assert placed["status"] == "live"
                bought = await client.call(
                    "@client.create_and_post_market_order",
                    made(types + "MarketOrderArgsV2", market["tokens"][0], 5, "BUY"),
                    options,
                )
                assert (bought["status"], bought["takingAmount"]) == ("matched", "10")
                assert len(bought["transactionsHashes"]) == 1
            assert len((await client.call("@client.cancel_all"))["canceled"]) == 2
    told = fills(tmp_path)
    makers = [account["funder"] for account in ready["accounts"] for _ in range(2)]
    assert [row["maker"] for row in told] == makers
    assert {(row["price"], row["size"], row["fee"]) for row in told} == {
        (500_000, 10_000_000, 175_000)
    }


async def connect_unified(client: Remote, ready: dict[str, Any], account: dict[str, Any]) -> None:
    """Make the unified client's client for an account, its hosts those of the ready line."""
    config = made(
        "dataclasses:replace",
        thing("polymarket.environments:PRODUCTION._config"),
        clob_url=ready["rest"],
        clob_market_ws_url=ready["market_ws"],
        clob_user_ws_url=ready["user_ws"],
        realtime_ws_url=ready["prices_ws"],
        gamma_url=ready["gamma"],
        data_url=ready["data_api"],
        relayer_url=ready["relayer"],
        rpc_url=ready["chain_rpc"],
    )
    name = "polymarket.environments:_create_environment"
    await client.call(name, name="local", config=config, keep="local")
    await client.call(
        "polymarket:AsyncSecureClient.create",
        private_key=account["private_key"],
        wallet=account["funder"],
        environment=kept("local"),
        keep="client",
    )


async def test_both_clients_trade_with_each_other(tmp_path: Path):
    """In closed mode one client's quote is the other's liquidity: two legs of one trade."""
    first, second = client_python("py-clob-client-v2"), client_python("polymarket-client")
    types = "py_clob_client_v2.clob_types:"
    closed = ("--mode", "closed", "--taker-delay-ms", "0")
    async with exchange(tmp_path, *closed) as ready, remote(first) as old, remote(second) as new:
        eoa, deposit = ready["accounts"][0], ready["accounts"][3]
        up, down = ready["markets"][0]["tokens"]
        api = eoa["api"]
        await old.call(
            "py_clob_client_v2.client:ClobClient",
            ready["rest"],
            137,
            key=eoa["private_key"],
            creds=made(types + "ApiCreds", api["key"], api["secret"], api["passphrase"]),
            keep="client",
        )
        await connect_unified(new, ready, deposit)
        quote = made(types + "OrderArgsV2", up, 0.40, 20, "BUY")
        resting = await old.call("@client.create_and_post_order", quote, post_only=True)
        assert resting["status"] == "live"
        bought = await new.call(
            "@client.place_limit_order", asset_id=down, price="0.60", size=20, side="BUY"
        )
        assert (bought["status"], bought["taking_amount"]) == ("matched", "20")
        order = await old.call("@client.get_order", resting["orderID"])
        assert (order["status"], order["associate_trades"]) == ("MATCHED", bought["trade_ids"])
    told = {row["maker"]: row for row in fills(tmp_path)}
    maker, taker = told[eoa["funder"]], told[deposit["funder"]]
    assert (maker["token_id"], taker["token_id"]) == (up, down)
    assert maker["notional"] + taker["notional"] == maker["size"] == 20_000_000
    assert (maker["fee"], taker["fee"]) == (0, 336_000)


async def test_simulated_prices_reach_the_client(tmp_path: Path):
    """In agents mode the oracle's minute mean arrives on the price socket, as windows pass."""
    python = client_python("polymarket-client")
    agents = ("--mode", "agents", "--speed", "10")
    async with exchange(tmp_path, *agents) as ready, remote(python) as client:
        await connect_unified(client, ready, ready["accounts"][3])
        spec = made("polymarket.streams:CryptoTwapPriceSpec", symbols=["btcusd"])
        await client.call("@client.subscribe", spec, keep="prices")
        snapshot = await client.call("@prices.__anext__")
        assert snapshot["payload"]["source"] == "chainlink"
        updates = [await client.call("@prices.__anext__") for _ in range(3)]
        assert [update["type"] for update in updates] == ["update"] * 3
        assert all(float(update["payload"]["value"]) > 0 for update in updates)


async def test_polymarket_client_trades_and_listens(tmp_path: Path):
    """Over HTTP and both streams, the fill that the client hears of is the ledger's."""
    python = client_python("polymarket-client")
    async with exchange(tmp_path) as ready, remote(python) as client:
        await connect_unified(client, ready, ready["accounts"][3])
        token = ready["markets"][1]["tokens"][1]
        specs = [
            made("polymarket.streams:MarketSpec", asset_ids=[token]),
            made("polymarket.streams:UserSpec"),
        ]
        await client.call("@client.subscribe", specs, keep="streams")
        assert await kind(client) == ("market", "book")
        bought = await client.call(
            "@client.place_market_order", asset_id=token, side="BUY", amount=5, order_type="FOK"
        )
        assert bought["status"] == "matched"
        heard = [await kind(client) for _ in range(3)]
        assert sorted(heard) == [
            ("market", "last_trade_price"),
            ("user", "order"),
            ("user", "trade"),
        ]
    (row,) = fills(tmp_path)
    assert (row["order_hash"], row["token_id"]) == (bought["order_id"], token)
    assert [row["trade_id"]] == bought["trade_ids"]


async def kind(client: Remote) -> tuple[str, str]:
    """Return (topic, type) of the next event."""
    event = await client.call("@streams.__anext__")
    return event["topic"], event["type"]


async def story(folder: Path, script: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what a TypeScript client saw while it told its story."""
    process = await asyncio.create_subprocess_exec(
        *("node", script, json.dumps(told)),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()[-500:]
    seen: dict[str, Any] = json.loads(out)
    return seen


@pytest.mark.parametrize("wallet", list(WalletKind), ids=lambda wallet: wallet.name)
async def test_the_unified_typescript_client_lists_trades_and_splits(
    tmp_path: Path, wallet: WalletKind
):
    """It reads the directory, page by page and by name, trades, and splits and merges full sets.

    A plain address pays its own transactions, which there is no chain for, so it splits nothing.
    """
    folder = npm_folder()
    async with trading_floor(tmp_path) as floor:
        trader, market = floor.traders[wallet], floor.standard.market
        told = {
            "host": floor.url,
            "private_key": trader.private_key,
            "wallet": trader.wallet.address,
            "relayer_key": floor.hand.accounts.relayer_key(trader.owner),
            "owner": trader.owner,
            "slug": market.slug,
            "condition": market.condition_id,
            "token": floor.token(floor.standard),
            "splits": wallet is not WalletKind.EOA,
        }
        async with floor.ticking(speed=20):
            seen = await story(folder, "unified.mjs", told)
        slugs = [listing.market.slug for listing in floor.listings]
        assert (seen["slugs"], seen["events"]) == (slugs, slugs)
        assert seen["market"] == {"slug": market.slug, "condition": market.condition_id}
        assert seen["book"]
        assert (seen["placed"]["ok"], seen["placed"]["status"]) == (True, "live")
        assert seen["cancelled"]["canceled"] == [seen["placed"]["orderId"]]
        moved = floor.truth("split") + floor.truth("merge")
        told_amounts = [(row["type"], row["maker"], row["amount"]) for row in moved]
        maker = trader.wallet.address
        expected = [("split", maker, 7_000_000), ("merge", maker, 3_000_000)]
        assert told_amounts == (expected if told["splits"] else [])


@pytest.mark.parametrize("wallet", list(WalletKind), ids=lambda wallet: wallet.name)
async def test_the_typescript_client_trades(tmp_path: Path, wallet: WalletKind):
    """A client in another language signs for every wallet as the exchange verifies it."""
    folder = npm_folder()
    async with trading_floor(tmp_path) as floor:
        trader, token = floor.traders[wallet], floor.token(floor.standard)
        told = {
            "host": floor.url,
            "private_key": trader.private_key,
            "signature_type": int(wallet),
            "funder": trader.wallet.address,
            "token": token,
        }
        async with floor.ticking(speed=20):
            seen = await story(folder, "trade.mjs", told)
        assert (seen["key"], seen["tick"], seen["negRisk"]) == (trader.key.key, "0.01", False)
        assert seen["hash"][0] == seen["hash"][1]
        assert seen["placed"]["status"] == "live"
        assert [order["id"] for order in seen["open"]] == [seen["placed"]["orderID"]]
        assert seen["refused"]["error"] == "invalid post-only order: order crosses book"
        assert seen["cancelled"]["canceled"] == [seen["placed"]["orderID"]]
        (fill,) = floor.truth("fill")
        assert (fill["order_hash"], fill["maker"]) == (
            seen["bought"]["orderID"],
            trader.wallet.address,
        )
        assert [trade["id"] for trade in seen["trades"]] == [fill["trade_id"]]
        spent = fill["notional"] + fill["fee"]
        assert int(seen["balance"]["balance"]) == 1_000_000_000 - spent
        assert seen["heartbeat"]["heartbeat_id"]
