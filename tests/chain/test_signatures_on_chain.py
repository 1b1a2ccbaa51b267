"""Our signatures before a contract: an order verifier of our own, and a wallet made of solady.

The verifier's code stands at the exchanges' real addresses, on the real chain ids, because both are
part of what is signed. What it accepts, an exchange with the venue's published rules accepts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chain.solidity import compiled
from clients.environments import NoEnvironment
from eth_abi import decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.client import Client, ClientError

from engine.wire.codes import Side, Tif
from signer import order_v1
from signer.address import parse_address, to_checksum
from signer.contracts import exchange_domain
from signer.ecdsa import GROUP_ORDER, SigningKey
from signer.eip712 import Domain, hash_text
from signer.nonce_pool import NoncePool
from signer.order_v2 import SALT_MAX
from signer.templates import OrderTemplate
from signer.wallet_addresses import factories_of, proxy_address, safe_address
from signer.wallets import SignatureType, Wallet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CHAIN_ID = 137
KEY = SigningKey(bytes.fromhex("42" * 32))
OWNER = "11111111-2222-3333-4444-555555555555"
ORDER = "(uint256,address,address,uint256,uint256,uint256,uint8,uint8,uint256,bytes32,bytes32)"
ORDER_V1 = (
    "(uint256,address,address,address,uint256,uint256,uint256,uint256,uint256,uint256,uint8,uint8)"
)
ZERO = "0x" + "00" * 20


class Chain:
    """An EVM with every exchange on it and one deposit wallet of our key."""

    def __init__(self, evm: Client) -> None:
        self._evm = evm
        contracts = compiled()
        evm.ask("start", chain_id=CHAIN_ID)
        for generation in (1, 2, 3):
            for neg_risk in (False, True):
                contract = exchange_domain(generation, CHAIN_ID, neg_risk).contract
                evm.ask("place", address=contract, deployed=contracts["OrderVerifier"]["deployed"])
        owner = encode(["address"], [KEY.address]).hex()
        wallet = evm.ask("deploy", code=contracts["DepositWallet"]["code"] + owner)
        factories = factories_of(CHAIN_ID)
        proxy = proxy_address(KEY.address, factories)
        assert proxy is not None
        self.makers = {
            SignatureType.EOA: KEY.address,
            SignatureType.POLY_PROXY: proxy,
            SignatureType.POLY_GNOSIS_SAFE: safe_address(KEY.address, factories),
            SignatureType.POLY_1271: to_checksum(parse_address(wallet)),
        }

    def verify(
        self, domain: Domain, order: tuple[Any, ...], signature: bytes, struct: str = ORDER
    ) -> tuple[bytes, bool]:
        """What the exchange at the domain's address makes of an order: its id, and whether valid.

        A call that reverts is an order that is not accepted.
        """
        name = "verify" if struct == ORDER else "verifyV1"
        types = [struct, "string", "bytes"]
        data = hash_text(f"{name}({','.join(types)})")[:4]
        data += encode(types, [order, domain.version, signature])
        try:
            returned = self._evm.ask("call", address=domain.contract, data=data.hex())
        except ClientError:
            return b"", False
        digest, valid = decode(["bytes32", "bool"], bytes.fromhex(returned))
        return digest, valid


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """The chain; skips, saying why, where there is no EVM or no compiler."""
    try:
        with Client("pyrevm") as evm:
            yield Chain(evm)
    except NoEnvironment as error:
        pytest.skip(f"no contracts can be run here: {error}")


micros = st.integers(1, 2**62)
orders = st.fixed_dictionaries(
    {
        "generation": st.sampled_from([2, 3]),
        "neg_risk": st.booleans(),
        "kind": st.sampled_from(SignatureType),
        "has_nonce": st.booleans(),
        "token_id": st.integers(1, 2**256 - 1),
        "side": st.sampled_from(Side),
        "salt": st.integers(0, SALT_MAX),
        "maker_amount": micros,
        "taker_amount": micros,
        "timestamp_ms": st.integers(1, 2**45),
        "builder": st.binary(min_size=32, max_size=32),
    }
)


def signed(values: dict[str, Any], maker: str) -> tuple[Domain, tuple[Any, ...], bytes, bytes]:
    """An order through a template: its domain, its fields, its signature and its id."""
    wallet = Wallet.of(KEY, values["kind"], maker)
    domain = exchange_domain(values["generation"], CHAIN_ID, values["neg_risk"])
    nonces = None
    if values["has_nonce"]:
        nonces = NoncePool(KEY, 1)
        assert nonces.fill() == 1
    template = OrderTemplate(
        wallet,
        domain,
        values["token_id"],
        values["side"],
        OWNER,
        builder=values["builder"],
        nonces=nonces,
    )
    changing = (values["salt"], values["maker_amount"], values["taker_amount"])
    ours = template.sign(*changing, values["timestamp_ms"], 0, Tif.GTC, 0)
    order = (
        values["salt"],
        wallet.maker,
        wallet.signer,
        values["token_id"],
        values["maker_amount"],
        values["taker_amount"],
        int(values["side"]),
        int(values["kind"]),
        values["timestamp_ms"],
        bytes(32),
        values["builder"],
    )
    return domain, order, ours.signature, ours.order_hash


def test_the_exchange_accepts_every_kind_of_order(chain: Chain) -> None:
    """Generations 2 and 3, all four wallets, both rungs: valid, and the id is the one we told."""

    @settings(max_examples=300, deadline=None, database=None)
    @given(orders)
    def check(values: dict[str, Any]) -> None:
        domain, order, signature, order_hash = signed(values, chain.makers[values["kind"]])
        assert chain.verify(domain, order, signature) == (order_hash, True)

    check()


def test_the_exchange_refuses_what_was_not_signed(chain: Chain) -> None:
    """Any field changed, any byte of the signature, another exchange or wallet: not valid."""

    @settings(max_examples=200, deadline=None, database=None)
    @given(orders, st.integers(0, 10), st.data())
    def check(values: dict[str, Any], field: int, data: st.DataObject) -> None:
        domain, order, signature, _ = signed(values, chain.makers[values["kind"]])
        assert not chain.verify(domain, changed(order, field), signature)[1]

        at = data.draw(st.integers(0, len(signature) - 1))
        broken = bytearray(signature)
        broken[at] ^= 1 << data.draw(st.integers(0, 7))
        assert not chain.verify(domain, order, bytes(broken))[1]

        other = exchange_domain(5 - values["generation"], CHAIN_ID, values["neg_risk"])
        assert not chain.verify(other, order, signature)[1]

        s = GROUP_ORDER - int.from_bytes(signature[32:64], "big")
        twin = signature[:32] + s.to_bytes(32, "big") + bytes((55 - signature[64],))
        if values["kind"] is not SignatureType.POLY_1271:
            assert not chain.verify(domain, order, twin + signature[65:])[1]

    check()


def changed(order: tuple[Any, ...], field: int) -> tuple[Any, ...]:
    """The order with another value in one field."""
    value = order[field]
    if isinstance(value, bytes):
        other: Any = bytes((value[0] ^ 1,)) + value[1:]
    elif isinstance(value, str):
        other = ZERO
    elif field in (6, 7):
        other = value ^ 1
    else:
        other = value + 1 if value < 2**255 else value - 1
    return (*order[:field], other, *order[field + 1 :])


def test_a_strangers_wallet_does_not_vouch(chain: Chain) -> None:
    """Orders of our deposit wallet, proxy or Safe signed by another key are refused."""
    stranger = SigningKey(bytes.fromhex("43" * 32))
    for kind, maker in chain.makers.items():
        if kind is SignatureType.EOA:
            continue
        wallet = Wallet.of(stranger, kind, maker)
        domain = exchange_domain(2, CHAIN_ID, False)
        ours = OrderTemplate(wallet, domain, 1, Side.BUY, OWNER).sign(1, 1, 1, 1, 0, Tif.GTC, 0)
        order = (1, maker, wallet.signer, 1, 1, 1, 0, int(kind), 1, bytes(32), bytes(32))
        assert not chain.verify(domain, order, ours.signature)[1]


def test_the_first_exchange_accepts_orders_of_the_first_generation(chain: Chain) -> None:
    """Generation 1, the three wallets it knows: valid, and the id is ours."""

    @settings(max_examples=100, deadline=None, database=None)
    @given(orders, st.integers(0, 2**33), st.integers(0, 10_000))
    def check(values: dict[str, Any], expires_s: int, fee_rate_bps: int) -> None:
        kind = SignatureType(values["kind"] % SignatureType.POLY_1271)
        wallet = Wallet.of(KEY, kind, chain.makers[kind])
        order = order_v1.OrderV1(
            values["salt"],
            wallet.maker,
            wallet.signer,
            values["token_id"],
            values["maker_amount"],
            values["taker_amount"],
            values["side"],
            kind,
            expires_s=expires_s,
            fee_rate_bps=fee_rate_bps,
        )
        domain = exchange_domain(1, CHAIN_ID, values["neg_risk"])
        digest = order_v1.order_hash(order, domain.separator())
        signature = KEY.sign(digest)
        fields = (
            order.salt, order.maker, order.signer, ZERO, order.token_id, order.maker_amount,
            order.taker_amount, expires_s, 0, fee_rate_bps, int(order.side), int(kind),
        )  # fmt: skip
        assert chain.verify(domain, fields, signature, ORDER_V1) == (digest, True)
        assert not chain.verify(domain, changed(fields, 4), signature, ORDER_V1)[1]

    check()
