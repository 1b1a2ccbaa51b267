"""Routes and sockets beside trading: relayer, data, chain views, prices, controls; bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientWebSocketResponse
from deadlines import PATIENCE_S
from exchange_floor import Floor, trading_floor

from engine.exchange.accounts import WalletKind
from engine.exchange.contracts import COLLATERAL, CTF_ADAPTER
from engine.wire.codes import Side, Tif
from signer.auth import ApiCredentials, L2Signer
from signer.ecdsa import SigningKey
from signer.relayer import WalletBatch, wallet_batch_body, wallet_batch_digest
from signer.wallet_addresses import factories_of
from signer.wallet_calls import WalletCall, ctf_split

FAR_S = 4_000_000_000


async def get(floor: Floor, path: str) -> tuple[int, Any]:
    """Return (status, answer) of an unsigned request."""
    async with floor.exchange.session.get(floor.url + path) as response:
        return response.status, orjson.loads(await response.read())


async def send(floor: Floor, path: str, value: Any, **headers: str) -> tuple[int, Any]:
    """Return (status, answer) of an unsigned post."""
    request = floor.exchange.session.post(
        floor.url + path, data=orjson.dumps(value), headers=headers
    )
    async with request as response:
        return response.status, orjson.loads(await response.read())


class Relay:
    """The deposit wallet's owner at the relayer."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.trader = floor.traders[WalletKind.DEPOSIT]
        self.headers = {
            "RELAYER_API_KEY": floor.hand.accounts.relayer_key(self.trader.owner),
            "RELAYER_API_KEY_ADDRESS": self.trader.owner,
        }

    def batch(self, nonce: int = 0, amount: int = 1_000_000, **changes: Any) -> dict[str, Any]:
        """Return a signed submission that makes full sets."""
        condition = bytes.fromhex(self.floor.standard.market.condition_id[2:])
        fields: dict[str, Any] = {
            "wallet": self.trader.wallet.address,
            "nonce": nonce,
            "deadline_s": FAR_S,
            "calls": (ctf_split(CTF_ADAPTER, COLLATERAL, condition, amount),),
        }
        batch = WalletBatch(**(fields | changes))
        signature = SigningKey.from_hex(self.trader.private_key).sign(
            wallet_batch_digest(batch, 137)
        )
        factory = factories_of(137).deposit_factory
        return wallet_batch_body(batch, self.trader.owner, factory, signature)

    async def submit(self, envelope: Any) -> tuple[int, Any]:
        """Submit; return (status, answer)."""
        return await send(self.floor, "/relayer/submit", envelope, **self.headers)


async def test_a_relayed_call_goes_through_its_states(tmp_path: Path):
    """NEW, EXECUTED with its effect, MINED, CONFIRMED; the hash is known from EXECUTED on."""
    async with trading_floor(tmp_path) as floor:
        relay = Relay(floor)
        status, answer = await relay.submit(relay.batch())
        assert (status, answer["state"]) == (200, "STATE_NEW")
        name = answer["transactionID"]
        path = f"/relayer/v1/account/transactions/{name}"
        assert (await get(floor, path))[1]["transaction_hash"] == ""
        states = []
        for wait_ms in (500, 2_000, 3_000):
            floor.hand.wait(wait_ms)
            states.append((await get(floor, path))[1]["state"])
        assert states == ["STATE_EXECUTED", "STATE_MINED", "STATE_CONFIRMED"]
        assert relay.trader.wallet.balance(floor.standard.market.tokens[0]) == 1_000_000
        _, (row,) = await get(floor, f"/relayer/transaction?id={name}")
        assert (row["state"], row["type"]) == ("STATE_CONFIRMED", "WALLET")
        (truth,) = floor.truth("split")
        assert (truth["maker"], truth["cash"]) == (relay.trader.wallet.address, 1_000_000)


async def test_what_the_relayer_refuses(tmp_path: Path):
    """Keys, nonces, signatures, targets, a busy wallet and the 26th submission of a minute."""
    async with trading_floor(tmp_path) as floor:
        relay = Relay(floor)
        good = relay.batch()
        status, answer = await send(floor, "/relayer/submit", good)
        assert (status, answer) == (401, {"error": "invalid authorization"})
        forged = good | {"signature": "0x" + "11" * 65}
        late = relay.batch(deadline_s=1)
        foreign = relay.batch(wallet=floor.traders[WalletKind.SAFE].wallet.address)
        malformed = {"error": "invalid transaction request payload"}
        for envelope in (forged, late, foreign, good | {"type": "NONE"}, good | {"nonce": 5}, []):
            assert await relay.submit(envelope) == (400, malformed)
        status, answer = await relay.submit(relay.batch(nonce=3))
        assert answer == {"error": "batch nonce 3 does not match on-chain nonce 0"}
        calls = (WalletCall("0x" + "99" * 20, b"\1\2\3\4"),)
        status, answer = await relay.submit(relay.batch(calls=calls))
        assert (status, answer["error"][:12]) == (400, "call blocked")
        assert (await relay.submit(good))[0] == 200
        status, answer = await relay.submit(relay.batch(nonce=1))
        assert (status, answer["error"][:11]) == (400, "wallet busy")
        for _ in range(15):
            await relay.submit(forged)
        assert await relay.submit(forged) == (429, {"error": "quota exceeded"})
        assert floor.truth("split") == []


async def test_data_pages_and_refusals(tmp_path: Path):
    """Cursors page, offset is refused, a user is required, dust and strangers are left out."""
    async with trading_floor(tmp_path) as floor:
        for _ in range(5):
            await floor.exchange.post(Side.BUY, "0.50", "2.5", Tif.FOK)
        floor.hand.wait(5_000)
        user = floor.traders[WalletKind.EOA].wallet.address
        path = f"/data-api/v2/trades?user={user.lower()}&limit=2"
        pages, cursor = [], ""
        while True:
            status, answer = await get(floor, f"{path}&cursor={cursor}" if cursor else path)
            assert status == 200
            pages.append(len(answer["data"]))
            cursor = answer["pagination"]["next_cursor"]
            if not answer["pagination"]["has_more"]:
                break
        assert pages == [2, 2, 1]
        _, makers = await get(floor, "/data-api/v2/trades?taker_only=false")
        assert len(makers["data"]) == 5
        for bad in ("activity", "activity?user=x", f"trades?user={user}&offset=1"):
            assert (await get(floor, f"/data-api/v2/{bad}"))[0] == 400
        _, nothing = await get(floor, f"/data-api/v2/positions?user=0x{'5' * 40}")
        assert nothing["data"] == []


async def test_chain_views_answer_and_refuse(tmp_path: Path):
    """Balances, approvals, the clock and the wallet's beacon; anything else is a JSON-RPC error."""
    async with trading_floor(tmp_path) as floor:
        wallet = floor.traders[WalletKind.SAFE].wallet.address[2:].lower().rjust(64, "0")

        async def rpc(method: str, *params: Any) -> dict[str, Any]:
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return (await send(floor, "/rpc", call))[1]

        view = {"to": COLLATERAL, "data": "0x70a08231" + wallet}
        assert int((await rpc("eth_call", view, "latest"))["result"], 16) == 1_000_000_000
        assert (await rpc("eth_chainId"))["result"] == "0x89"
        assert int((await rpc("eth_estimateGas", {"to": "0x"}))["result"], 16) > 21_000
        block = (await rpc("eth_getBlockByNumber", "latest", False))["result"]
        assert int(block["timestamp"], 16) == floor.hand.schedule.now_ms // 1_000
        factory = {"to": factories_of(137).deposit_factory, "data": "0x49493a4d"}
        beacon = (await rpc("eth_call", factory, "latest"))["result"]
        assert beacon[-40:] == "7a18edfe055488a3128f01f563e5b479d92ffc3a"
        assert (await rpc("eth_sendRawTransaction", "0x"))["error"]["code"] == -32601
        unknown = {"to": "0x" + "1" * 40, "data": "0x"}
        assert (await rpc("eth_call", unknown))["error"]["message"] == "execution reverted"
        for bad in ({}, 5, {"method": "eth_call", "params": [{"to": 1}]}):
            assert "error" in (await send(floor, "/rpc", bad))[1]


async def polybolt(floor: Floor, **auth: str) -> ClientWebSocketResponse:
    """Return a price socket that has authenticated."""
    key = floor.traders[WalletKind.EOA].key
    names = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase} | auth
    socket = await floor.exchange.session.ws_connect(floor.url + "/ws/prices")
    await socket.send_json({"op": "auth", "rid": "a", "auth": names})
    return socket


async def hear(socket: ClientWebSocketResponse) -> Any:
    """Return the next frame, decoded."""
    return orjson.loads(await socket.receive_str(timeout=PATIENCE_S))


async def test_polybolt_names_what_is_wrong(tmp_path: Path):
    """Each misuse has its code; eight wrong credentials end the connection with 4001."""
    async with trading_floor(tmp_path) as floor:
        socket = await polybolt(floor)
        assert await hear(socket) == {"op": "authed", "rid": "a"}
        await socket.send_json({"op": "ping", "rid": "p"})
        assert await hear(socket) == {"op": "pong", "rid": "p"}
        twap = {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd"}}
        for frame, code in (
            ("nonsense", "bad_op"),
            ({"op": "dance"}, "bad_op"),
            ({"op": "subscribe", "subscriptions": [{"channel": "price.tea"}]}, "bad_channel"),
            ({"op": "subscribe", "subscriptions": [twap]}, "bad_filter"),
            ({"op": "subscribe", "subscriptions": "all"}, "bad_channel"),
        ):
            await socket.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())
            assert (await hear(socket))["code"] == code
        spot = [{"channel": "price.crypto", "filter": {"symbol": f"s{n}"}} for n in range(65)]
        await socket.send_json({"op": "subscribe", "subscriptions": spot})
        frames = [await hear(socket) for _ in range(2 * 64 + 1)]
        assert frames[-1]["code"] == "sub_limit"
        assert [frame["seq"] for frame in frames if "seq" in frame] == list(range(1, 65))
        stranger = await polybolt(floor, secret="wrong")
        assert (await hear(stranger))["code"] == "auth_invalid"
        await stranger.send_json({"op": "subscribe", "subscriptions": spot[:1]})
        assert (await hear(stranger))["code"] == "auth_required"
        for _ in range(7):
            await stranger.send_json({"op": "auth"})
        while not stranger.closed:
            await stranger.receive(timeout=PATIENCE_S)
        assert stranger.close_code == 4001


async def test_rtds_filters_by_text_and_tells_of_trades(tmp_path: Path):
    """A filter with a space gets the backfill and then silence; activity has our trades."""
    async with trading_floor(tmp_path) as floor:
        prices = floor.exchange.hosting.prices
        prices.observe("btcusd", 1_000, 80_000_500_000)
        socket = await floor.exchange.session.ws_connect(floor.url + "/ws/rtds")
        assert await socket.receive_str(timeout=PATIENCE_S) == ""
        entries = [
            {"topic": "crypto_prices", "type": "update", "filters": '{"symbol": "btcusdt"}'},
            {
                "topic": "crypto_prices_chainlink",
                "type": "*",
                "filters": '{"symbol":"btc/usd"}',
            },
            {"topic": "activity", "type": "orders_matched"},
        ]
        await socket.send_json({"action": "subscribe", "subscriptions": entries})
        for symbol in ("btcusdt", "btc/usd"):
            backfill = await hear(socket)
            assert (backfill["topic"], backfill["type"]) == ("crypto_prices", "subscribe")
            assert backfill["payload"] == {
                "symbol": symbol,
                "data": [{"timestamp": 1_000, "value": 80_000.5}],
            }
        prices.observe("btcusd", 2_000, 80_001_000_000)
        update = await hear(socket)
        assert update["topic"] == "crypto_prices_chainlink"
        assert update["payload"]["full_accuracy_value"] == "80001000000000000000000"
        await floor.exchange.post(Side.BUY, "0.50", "5", Tif.FOK)
        trade = await hear(socket)
        assert (trade["topic"], trade["type"]) == ("activity", "orders_matched")
        assert trade["payload"]["proxyWallet"] == floor.traders[WalletKind.EOA].owner
        await socket.send_str("PING")
        assert await socket.receive_str(timeout=PATIENCE_S) == ""
        bad = {"action": "subscribe", "subscriptions": [{"topic": "tea", "type": "*"}]}
        await socket.send_json(bad)
        assert (await hear(socket))["statusCode"] == 400


async def test_a_builder_sees_the_trades_of_his_code(tmp_path: Path):
    """Orders carry his code, signed; he charges nothing; nobody's code is refused."""
    code = bytes(31) + b"7"
    async with trading_floor(tmp_path) as floor:
        call = floor.exchange.call
        await floor.exchange.post(Side.BUY, "0.50", "10", builder=code)
        await floor.exchange.post(Side.BUY, "0.50", "5")
        _, page = await call("GET", f"/builder/trades?builder_code=0x{code.hex()}")
        assert [(row["size"], row["tradeType"]) for row in page["data"]] == [("10", "TAKER")]
        _, page = await call("GET", f"/builder/trades?builder_code=0x{code.hex()}&id=other")
        assert page["data"] == []
        _, fees = await call("GET", f"/fees/builder-fees/0x{code.hex()}")
        assert set(fees.values()) == {0}
        for name in ("0x" + "00" * 32, "x"):
            assert (await call("GET", f"/fees/builder-fees/{name}"))[0] == 400


async def test_the_mode_is_set_over_its_control(tmp_path: Path):
    """The control shows and sets the venue's mode; malformed wishes change nothing."""
    async with trading_floor(tmp_path) as floor:
        _, mode = await get(floor, "/_exchange/mode")
        assert mode["trading"] == "normal"
        status, mode = await send(
            floor, "/_exchange/mode", {"trading": "cancel_only", "geoblocked": True}
        )
        assert (status, mode["trading"]) == (200, "cancel_only")
        assert (await get(floor, "/api/geoblock"))[1]["blocked"] is True
        status, _, _ = await floor.exchange.post(Side.BUY, "0.40", "10")
        assert status == 403
        for bad in (5, {"trading": "sleepy"}, {"colour": "red"}, {"retry_after_s": -1}):
            assert (await send(floor, "/_exchange/mode", bad))[0] == 400
        _, mode = await send(floor, "/_exchange/mode", {"restart": True, "down_ms": 1_000})
        assert (mode["trading"], mode["retry_after_s"]) == ("restarting", 1)


@pytest.mark.parametrize("path", ["/books", "/prices", "/midpoints", "/last-trades-prices"])
async def test_plural_routes_bound_their_input(tmp_path: Path, path: str):
    """501 tokens are too many; what is no list is refused; odd rows are dropped in silence."""
    async with trading_floor(tmp_path) as floor:
        status, answer = await send(floor, path, [{"token_id": "1"}] * 501)
        assert (status, answer) == (400, {"error": "Payload exceeds the limit"})
        assert (await send(floor, path, {"token_id": "1"}))[0] == 400
        odd = [None, 5, {}, {"token_id": 7}, {"token_id": "9" * 500}]
        status, answer = await send(floor, path, odd)
        assert (status, len(answer)) == (200, 0)


async def test_heartbeats_are_kept_by_key(tmp_path: Path):
    """One key's silence cancels the orders posted with it, not those of the owner's other key."""
    async with trading_floor(tmp_path) as floor:
        exchange = floor.exchange
        await exchange.post(Side.BUY, "0.40", "10")
        await exchange.call("POST", "/v1/heartbeats", b'{"heartbeat_id":""}')
        other = floor.hand.accounts.create_key(exchange.signing.address, 1)
        assert other is not None
        text, order_id = exchange.order(Side.BUY, "0.41", "10")
        text = text.replace(exchange.key.key.encode(), other.key.encode())
        l2 = L2Signer(
            ApiCredentials(other.key, other.secret, other.passphrase), exchange.signing.address
        )
        headers = l2.headers(1, "POST", "/order", text)
        status, _ = await exchange.call("POST", "/order", text, headers=headers)
        assert status == 200
        floor.hand.wait(16_000)
        assert list(floor.venue.desk.open) == [order_id]
        status, answer = await exchange.call("POST", "/v1/heartbeats", b"[]")
        assert (status, answer) == (400, {"error": "Invalid payload"})
