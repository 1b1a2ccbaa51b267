"""Random orders: ours equal the oracles', byte for byte."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from py_clob_client.config import get_contract_config
from py_clob_client.signing.hmac import build_hmac_signature
from py_order_utils.builders import OrderBuilder
from py_order_utils.model import OrderData
from py_order_utils.signer import Signer as OracleSigner

from engine.wire.codes import Side, Tif
from signer import order_v1, order_v2, poly1271
from signer.address import ZERO_ADDRESS, to_checksum
from signer.auth import ApiCredentials, L2Signer, l2_message, verify_l2
from signer.contracts import DOMAIN_NAME, exchange_domain, is_position_id
from signer.ecdsa import SigningKey, recover_address
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet

OWNER = "11111111-2222-3333-4444-555555555555"
FIELDS = [
    ("salt", "uint256"),
    ("maker", "address"),
    ("signer", "address"),
    ("tokenId", "uint256"),
    ("makerAmount", "uint256"),
    ("takerAmount", "uint256"),
    ("side", "uint8"),
    ("signatureType", "uint8"),
    ("timestamp", "uint256"),
    ("metadata", "bytes32"),
    ("builder", "bytes32"),
]
ORDER_TYPE = [{"name": name, "type": kind} for name, kind in FIELDS]

secrets = st.binary(min_size=32, max_size=32).filter(
    lambda b: 0 < int.from_bytes(b, "big") < 2**255
)
amounts = st.integers(1, 2**62)
orders = st.fixed_dictionaries(
    {
        "secret": secrets,
        "funder": st.binary(min_size=20, max_size=20),
        "signature_type": st.sampled_from(SignatureType),
        "generation": st.sampled_from([2, 3]),
        "chain_id": st.sampled_from([137, 80002]),
        "neg_risk": st.booleans(),
        "token_id": st.integers(1, 2**256 - 1),
        "side": st.sampled_from(Side),
        "salt": st.integers(0, order_v2.SALT_MAX),
        "maker_amount": amounts,
        "taker_amount": amounts,
        "timestamp_ms": st.integers(1, 2**45),
        "tif": st.sampled_from(Tif),
        "post_only": st.booleans(),
        "expires_s": st.integers(0, 2**33),
        "metadata": st.binary(min_size=32, max_size=32),
        "builder": st.binary(min_size=32, max_size=32),
    }
)


def wallet_of(values: dict[str, Any]) -> Wallet:
    """The wallet of a random order; an EOA funds itself."""
    key = SigningKey(values["secret"])
    kind = values["signature_type"]
    funder = key.address if kind == SignatureType.EOA else to_checksum(values["funder"])
    return Wallet.of(key, kind, funder)


def order_of(values: dict[str, Any], wallet: Wallet) -> order_v2.Order:
    """The signed fields of a random order."""
    amounts = ("salt", "token_id", "maker_amount", "taker_amount", "timestamp_ms")
    names = (*amounts, "metadata", "builder")
    return order_v2.Order(
        maker=wallet.maker,
        signer=wallet.signer,
        side=values["side"],
        signature_type=wallet.signature_type,
        **{name: values[name] for name in names},
    )


def typed_data(order: order_v2.Order, values: dict[str, Any], contract: str) -> dict[str, Any]:
    """The same order as EIP-712 typed data for eth-account, wrapped for a deposit wallet."""
    contents = {
        "salt": order.salt,
        "maker": order.maker,
        "signer": order.signer,
        "tokenId": order.token_id,
        "makerAmount": order.maker_amount,
        "takerAmount": order.taker_amount,
        "side": int(order.side),
        "signatureType": int(order.signature_type),
        "timestamp": order.timestamp_ms,
        "metadata": order.metadata,
        "builder": order.builder,
    }
    domain = {
        "name": DOMAIN_NAME,
        "version": str(values["generation"]),
        "chainId": values["chain_id"],
        "verifyingContract": contract,
    }
    if order.signature_type != SignatureType.POLY_1271:
        return {"domain": domain, "primaryType": "Order", "message": contents}
    wrapper = {
        "contents": contents,
        "name": "DepositWallet",
        "version": "1",
        "chainId": values["chain_id"],
        "verifyingContract": order.maker,
        "salt": bytes(32),
    }
    return {"domain": domain, "primaryType": "TypedDataSign", "message": wrapper}


TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Order": ORDER_TYPE,
    "TypedDataSign": [
        {"name": "contents", "type": "Order"},
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
        {"name": "salt", "type": "bytes32"},
    ],
}


@settings(max_examples=150, deadline=None)
@given(orders)
def test_templates_sign_as_eth_account_does(values: dict[str, Any]) -> None:
    """All four wallet types, both generations: eth-account signs the same bytes."""
    wallet = wallet_of(values)
    order = order_of(values, wallet)
    domain = exchange_domain(values["generation"], values["chain_id"], values["neg_risk"])
    assert domain.contract is not None
    template = OrderTemplate(
        wallet,
        domain,
        order.token_id,
        order.side,
        OWNER,
        metadata=order.metadata,
        builder=order.builder,
    )
    # Whatever was signed before must not shine through.
    template.sign(order_v2.SALT_MAX, 2**62, 2**62, 2**45, 1, Tif.FAK, 0)
    signed = template.sign(
        order.salt,
        order.maker_amount,
        order.taker_amount,
        order.timestamp_ms,
        values["expires_s"],
        values["tif"],
        values["post_only"],
    )

    data = typed_data(order, values, domain.contract)
    types = dict(TYPES)
    if data["primaryType"] == "Order":
        del types["TypedDataSign"]
    message = encode_typed_data(full_message={**data, "types": types})
    oracle = bytes(Account.sign_message(message, values["secret"]).signature)
    signature = bytes.fromhex(json.loads(signed.body)["order"]["signature"][2:])
    assert signature[:65] == oracle
    if wallet.signature_type == SignatureType.POLY_1271:
        contents = order_v2.struct_hash(order)
        assert signature == poly1271.wrap_signature(oracle, domain.separator(), contents)
    else:
        assert recover_address(signed.order_hash, signature) == wallet.key.address

    assert signed.order_hash == order_v2.order_hash(order, domain.separator())
    assert signed.body == order_v2.body(
        order,
        signature,
        OWNER,
        values["tif"],
        expires_s=values["expires_s"],
        post_only=values["post_only"],
    )
    assert order_v2.order_from_json(json.loads(signed.body)["order"]) == order


@settings(max_examples=60, deadline=None)
@given(orders)
def test_generation_1_orders_equal_py_clob_client(values: dict[str, Any]) -> None:
    """The official first client signs the same struct to the same bytes."""
    if values["signature_type"] == SignatureType.POLY_1271:
        values["signature_type"] = SignatureType.POLY_PROXY
    wallet = wallet_of(values)
    contract = get_contract_config(values["chain_id"], values["neg_risk"]).exchange
    builder = OrderBuilder(
        contract,
        values["chain_id"],
        OracleSigner("0x" + values["secret"].hex()),
        lambda: values["salt"],
    )
    oracle = builder.build_signed_order(
        OrderData(
            maker=wallet.maker,
            signer=wallet.key.address,
            taker=ZERO_ADDRESS,
            tokenId=str(values["token_id"]),
            makerAmount=str(values["maker_amount"]),
            takerAmount=str(values["taker_amount"]),
            side=int(values["side"]),
            feeRateBps="0",
            nonce="0",
            expiration=str(values["expires_s"]),
            signatureType=int(wallet.signature_type),
        )
    )
    order = order_v1.OrderV1(
        values["salt"],
        wallet.maker,
        wallet.signer,
        values["token_id"],
        values["maker_amount"],
        values["taker_amount"],
        values["side"],
        wallet.signature_type,
        expires_s=values["expires_s"],
    )
    domain = exchange_domain(1, values["chain_id"], values["neg_risk"], contract)
    digest = order_v1.order_hash(order, domain.separator())
    assert "0x" + wallet.key.sign(digest).hex() == oracle.signature


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=96).map(base64.urlsafe_b64encode),
    st.integers(0, 2**33),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text("abcdefghijklmnopqrstuvwxyz/%-_0123456789", min_size=1, max_size=40),
    st.text(max_size=200).filter(lambda text: "'" not in text),
)
def test_l2_signatures_equal_py_clob_client(
    secret: bytes, timestamp_s: int, method: str, path: str, body: str
) -> None:
    """Any key length, any body: the official client's HMAC is ours, and verifies."""
    body = body.encode("utf-8", "replace").decode()
    signer = L2Signer(ApiCredentials("key", secret.decode(), ""), ZERO_ADDRESS)
    message = l2_message(timestamp_s, method, "/" + path, body.encode())
    signature = signer.sign(message).decode()
    oracle = build_hmac_signature(secret.decode(), timestamp_s, method, "/" + path, body)
    assert signature == oracle
    assert verify_l2(signature, secret.decode(), message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=90),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([name for name, _ in FIELDS]), json_values))
def test_a_hostile_order_object_is_a_value_error(fields: dict[str, Any]) -> None:
    """Whatever JSON a stranger sends, reading it gives an order or a ValueError."""
    with pytest.raises(ValueError, match=r"\w"):
        order_v2.order_from_json(fields)


@given(st.integers(0, 2**256 - 1), st.booleans())
def test_the_id_rule_looks_at_its_64_bits_only(token_id: int, clear: bool) -> None:
    """Bits 40…103 zero, and nothing else, make a position id."""
    mask = (2**64 - 1) << 40
    if clear:
        token_id &= ~mask
    assert is_position_id(token_id) == (token_id & mask == 0)
