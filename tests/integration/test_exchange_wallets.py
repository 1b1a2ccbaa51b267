"""Signatures of every kind of wallet over real sockets: what is accepted, and each way to forge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from exchange_floor import Floor, Trader, trading_floor

from engine.exchange.accounts import WalletKind
from engine.exchange.listing import Listing
from engine.wire.codes import Side, Tif
from signer.abi import call_data
from signer.auth import ApiCredentials, L2Signer, relayer_headers
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.eip712 import address_word, uint_word
from signer.order_v2 import Order, body, order_hash, struct_hash
from signer.poly1271 import wallet_digest, wrap_signature
from signer.relayer import WalletBatch, wallet_batch_digest
from signer.session_keys import wrap_session_signature
from signer.wallet_calls import WalletCall

LENGTHS = {"ecdsa": (0, 65), "domain": (65, 97), "contents": (97, 129), "type": (129, 317)}


def order_of(floor: Floor, trader: Trader, listing: Listing, **changes: Any) -> Order:
    """Return an order of ten shares at 0.45."""
    deposit = trader.wallet.kind is WalletKind.DEPOSIT
    fields: dict[str, Any] = {
        "salt": 1,
        "maker": trader.wallet.address,
        "signer": trader.wallet.address if deposit else trader.owner,
        "token_id": listing.market.tokens[0],
        "maker_amount": 4_500_000,
        "taker_amount": 10_000_000,
        "side": int(Side.BUY),
        "signature_type": int(trader.wallet.kind),
        "timestamp_ms": floor.hand.schedule.now_ms,
    }
    return Order(**(fields | changes))


def sign(trader: Trader, order: Order, listing: Listing, wallet: str = "") -> bytes:
    """Return the signature that the order's wallet wants."""
    market = listing.market
    separator = exchange_domain(market.generation, 137, market.neg_risk).separator()
    key = SigningKey.from_hex(trader.private_key)
    if order.signature_type != WalletKind.DEPOSIT:
        return key.sign(order_hash(order, separator))
    contents = struct_hash(order)
    digest = wallet_digest(separator, contents, 137, wallet or order.maker)
    return wrap_signature(key.sign(digest), separator, contents)


async def post(
    floor: Floor, trader: Trader, order: Order, signature: bytes
) -> tuple[int, dict[str, Any]]:
    """Post a signed order; return (status, answer)."""
    key = trader.key
    text = body(order, signature, key.key, Tif.GTC)
    l2 = L2Signer(ApiCredentials(key.key, key.secret, key.passphrase), trader.owner)
    headers = l2.headers(1, "POST", "/order", text)
    return await floor.exchange.call("POST", "/order", text, headers=headers)


@pytest.mark.parametrize("kind", list(WalletKind), ids=lambda kind: kind.name)
async def test_every_wallet_is_admitted_under_every_exchange(tmp_path: Path, kind: WalletKind):
    """The right signature rests an order whose id is its hash, whatever wallet made it."""
    async with trading_floor(tmp_path) as floor:
        trader = floor.traders[kind]
        for listing in floor.listings:
            order = order_of(floor, trader, listing)
            status, answer = await post(floor, trader, order, sign(trader, order, listing))
            assert (status, answer["status"]) == (200, "live")
            (row,) = [r for r in floor.truth("order") if r["order_hash"] == answer["orderID"]]
            assert row["maker"] == trader.wallet.address


@pytest.mark.parametrize("part", LENGTHS)
async def test_a_deposit_wallet_checks_every_part_of_its_signature(tmp_path: Path, part: str):
    """One bit wrong in the signature, the domain, the contents or the type text is refused."""
    async with trading_floor(tmp_path) as floor:
        trader, listing = floor.traders[WalletKind.DEPOSIT], floor.standard
        order = order_of(floor, trader, listing)
        good = sign(trader, order, listing)
        start, end = LENGTHS[part]
        for place in (start + 3, end - 2):
            bad = bytearray(good)
            bad[place] ^= 1
            assert await post(floor, trader, order, bytes(bad)) == (
                400,
                {"error": "invalid signature"},
            )
        for bad_length in (good[:-1], good + b"\0", good[:65], b""):
            status, _ = await post(floor, trader, order, bad_length)
            assert status == 400
        assert floor.truth("order") == []


async def test_a_wallet_vouches_only_for_its_own_orders(tmp_path: Path):
    """Signed for another wallet, by another owner, or before it is deployed: refused."""
    async with trading_floor(tmp_path) as floor:
        trader, listing = floor.traders[WalletKind.DEPOSIT], floor.standard
        stranger = floor.traders[WalletKind.SAFE]
        order = order_of(floor, trader, listing)
        refused = (400, {"error": "invalid signature"})
        other_wallet = sign(trader, order, listing, wallet=stranger.wallet.address)
        assert await post(floor, trader, order, other_wallet) == refused
        assert await post(floor, trader, order, sign(stranger, order, listing)) == refused
        trader.wallet.is_deployed = False
        assert await post(floor, trader, order, sign(trader, order, listing)) == refused


@dataclass(frozen=True)
class Session:
    """A key that may sign for the deposit wallet, with an API key of its own."""

    trader: Trader
    key: SigningKey

    def sign(self, order: Order, listing: Listing, named: str = "") -> bytes:
        """Return the session key's signature in its envelope, which says it is `named`'s."""
        inner = sign(self.trader, order, listing)
        return wrap_session_signature(named or self.key.address, inner)


async def session_of(floor: Floor, index: int = 50, until_s: int = 1 << 40) -> Session:
    """Return a session key that the deposit wallet's owner granted through the relayer."""
    owner, accounts = floor.traders[WalletKind.DEPOSIT], floor.hand.accounts
    secret = accounts.private_key(index)
    key = SigningKey.from_hex(secret)
    api = accounts.create_key(key.address, 0)
    assert api is not None
    await manage(floor, "authorizations", key.address, validUntil=str(until_s))
    return Session(Trader(secret, api, owner.wallet), key)


async def manage(floor: Floor, what: str, address: str, **more: str) -> dict[str, Any]:
    """Grant or revoke a session key as the official client does; return the answer."""
    owner, wallet = floor.traders[WalletKind.DEPOSIT], floor.traders[WalletKind.DEPOSIT].wallet
    path = f"/relayer/nonce?address={owner.owner}&type=WALLET"
    _, told = await floor.exchange.call("GET", path)
    if more:
        words = address_word(address), uint_word(int(more["validUntil"]))
        data = call_data("authorizeSessionSigner(address,uint256)", *words)
    else:
        data = call_data("revokeSessionSigner(address)", address_word(address))
    calls = (WalletCall(wallet.address, data),)
    batch = WalletBatch(wallet.address, int(told["nonce"]), 4_000_000_000, calls)
    signature = SigningKey.from_hex(owner.private_key).sign(wallet_batch_digest(batch, 137))
    body = {
        "sessionSignerAddress": address,
        "nonce": told["nonce"],
        "deadline": str(batch.deadline_s),
        "signature": "0x" + signature.hex(),
        "walletAddress": wallet.address,
        "scopes": ["ALL"],
    }
    relayer_key = floor.hand.accounts.relayer_key(owner.owner)
    status, answer = await floor.exchange.call(
        "POST",
        f"/relayer/v1/session-signers/{what}",
        orjson.dumps(body | more),
        headers=relayer_headers(relayer_key, owner.owner),
    )
    assert status == 200, answer
    floor.hand.wait(10_000)
    return answer


async def signed_get(floor: Floor, trader: Trader, path: str) -> Any:
    """Return the answer to a look-up with the trader's own API key."""
    key = trader.key
    l2 = L2Signer(ApiCredentials(key.key, key.secret, key.passphrase), trader.owner)
    headers = l2.headers(1, "GET", path)
    return (await floor.exchange.call("GET", path, headers=headers))[1]


async def test_a_session_key_trades_for_the_wallet(tmp_path: Path):
    """The order is the wallet's; only the session key sees it, until the owner revokes the key."""
    async with trading_floor(tmp_path) as floor:
        owner, listing = floor.traders[WalletKind.DEPOSIT], floor.standard
        session = await session_of(floor)
        listed = await signed_get(floor, owner, "/v1/user/session-signers")
        assert listed["wallet"] == owner.wallet.address
        assert [row["address"] for row in listed["signers"]] == [session.key.address.lower()]
        order = order_of(floor, owner, listing)
        status, answer = await post(floor, session.trader, order, session.sign(order, listing))
        assert (status, answer["status"]) == (200, "live")
        (row,) = floor.truth("order")
        assert row["maker"] == owner.wallet.address
        (own,) = (await signed_get(floor, session.trader, "/data/orders"))["data"]
        assert own["id"] == answer["orderID"]
        assert (await signed_get(floor, owner, "/data/orders"))["data"] == []
        revoked = await manage(floor, "revocations", session.key.address)
        assert revoked["fenced"] is True
        order = order_of(floor, owner, listing, salt=2)
        status, _ = await post(floor, session.trader, order, session.sign(order, listing))
        assert status == 400
        assert (await signed_get(floor, owner, "/v1/user/session-signers"))["signers"] == []


async def test_a_session_keys_signature_is_checked(tmp_path: Path):
    """Bare, under another name, by another key, changed, or after its time: refused."""
    async with trading_floor(tmp_path) as floor:
        owner, listing = floor.traders[WalletKind.DEPOSIT], floor.standard
        session, order = await session_of(floor), order_of(floor, owner, listing)
        good = session.sign(order, listing)
        changed = bytearray(good)
        changed[140] ^= 1
        by_owner = wrap_session_signature(session.key.address, sign(owner, order, listing))
        bare = sign(session.trader, order, listing)
        renamed = session.sign(order, listing, owner.owner)
        for bad in (bare, renamed, by_owner, bytes(changed), good[:-1], good + b"\0"):
            refused = await post(floor, session.trader, order, bad)
            assert refused == (400, {"error": "invalid signature"})
        late = await session_of(floor, 51, until_s=floor.hand.schedule.now_ms // 1_000 + 20)
        floor.hand.wait(60_000)
        status, _ = await post(floor, late.trader, order, late.sign(order, listing))
        assert status == 400
        assert (await post(floor, session.trader, order, good))[0] == 200


async def test_a_proxy_or_safe_must_be_the_owners(tmp_path: Path):
    """A maker that is another's wallet, or the owner himself under a wallet's type, is refused."""
    async with trading_floor(tmp_path) as floor:
        for kind in (WalletKind.PROXY, WalletKind.SAFE):
            trader = floor.traders[kind]
            for maker in (floor.traders[WalletKind.DEPOSIT].wallet.address, trader.owner):
                order = order_of(floor, trader, floor.standard, maker=maker)
                signature = sign(trader, order, floor.standard)
                status, answer = await post(floor, trader, order, signature)
                assert (status, answer["error"]) == (
                    400,
                    "maker address not allowed, please use the deposit wallet flow",
                )
            order = order_of(floor, trader, floor.standard, signature_type=7)
            status, answer = await post(floor, trader, order, sign(trader, order, floor.standard))
            assert (status, answer) == (400, {"error": "Invalid order payload"})


async def test_another_generations_signature_is_a_version_mismatch(tmp_path: Path):
    """Signed for the other exchange by the right key: the venue asks for another version."""
    async with trading_floor(tmp_path) as floor:
        for kind in (WalletKind.EOA, WalletKind.DEPOSIT):
            trader = floor.traders[kind]
            order = order_of(floor, trader, floor.v3)
            signature = sign(trader, order, floor.standard)
            assert await post(floor, trader, order, signature) == (
                400,
                {"error": "order_version_mismatch"},
            )
