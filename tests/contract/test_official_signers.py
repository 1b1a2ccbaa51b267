"""Random orders and headers, side by side with the official clients in their own environments.

Each client is one long-lived process that signs what it is given. Signatures are deterministic, so
bodies are compared byte for byte, or field by field where two clients order their keys differently.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from clients.environments import NoEnvironment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers.client import Client
from peers.lines import counted
from py_clob_client.config import get_contract_config
from py_clob_client.utilities import order_to_json
from py_order_utils.builders import OrderBuilder
from py_order_utils.model import OrderData
from py_order_utils.signer import Signer as FirstSigner
from signing import FULL, SECRET, TOKEN_ID, Desk

from engine.wire.codes import Side, Tif
from signer import order_v1, order_v2
from signer.address import ZERO_ADDRESS, to_checksum
from signer.auth import ApiCredentials, L2Signer, l1_headers
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.session_keys import wrap_session_signature
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

ORDERS = 2_200
HEADERS = 400
OWNER = "11111111-2222-3333-4444-555555555555"
GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
POSITION_MASK = ~((2**64 - 1) << 40)

secrets = st.integers(1, GROUP_ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
micros = st.one_of(st.integers(1, 10**12), st.integers(1, 2**62))


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Any order a client can sign: wallet types, generations, sides, order types, both chains."""
    generation = draw(st.sampled_from([1, 2, 3]))
    kinds = list(SignatureType)[: 3 if generation == 1 else 4]
    kind = draw(st.sampled_from(kinds))
    key = SigningKey(secret := draw(secrets))
    funder = key.address
    if kind is not SignatureType.EOA:
        funder = to_checksum(draw(st.binary(min_size=20, max_size=20)))
    token_id = draw(st.integers(1 << 104, 2**256 - 1))
    token_id = token_id & POSITION_MASK if generation == 3 else token_id | 1 << 50
    tif = draw(st.sampled_from(Tif))
    chain_id = draw(st.sampled_from([137, 80002]))
    return {
        "private_key": "0x" + secret.hex(),
        "generation": generation,
        "chain_id": chain_id,
        "neg_risk": draw(st.booleans()),
        "signature_type": int(kind),
        "maker": funder,
        "signer": funder if kind is SignatureType.POLY_1271 else key.address,
        "token_id": token_id,
        "maker_amount": draw(micros),
        "taker_amount": draw(micros),
        "side": int(draw(st.sampled_from(Side))),
        "salt": draw(st.integers(1, order_v2.SALT_MAX)),
        "timestamp_ms": draw(st.integers(1, 2**45)),
        "tif": tif.name,
        "post_only": draw(st.booleans()) and tif in (Tif.GTC, Tif.GTD),
        "expires_s": draw(st.integers(1, 2**33)) if tif is Tif.GTD else 0,
        "builder": "0x" + draw(st.binary(min_size=32, max_size=32)).hex(),
        "fee_rate_bps": draw(st.integers(0, 1_000)),
        "nonce": draw(st.integers(0, 2**32)),
        "owner": OWNER,
    }


def running(name: str) -> Iterator[Client]:
    """A client process; skips, saying why, where its environment cannot be made."""
    try:
        client = Client(name)
    except NoEnvironment as error:
        pytest.skip(f"{name} is not to be had: {error}")
    with client:
        yield client


@pytest.fixture(scope="module")
def second() -> Iterator[Client]:
    """py-clob-client-v2."""
    yield from running("py-clob-client-v2")


@pytest.fixture(scope="module")
def unified() -> Iterator[Client]:
    """polymarket-client."""
    yield from running("polymarket-client")


def check_first_generation(values: dict[str, Any], second: Client) -> None:
    """Ours, py-clob-client and py-clob-client-v2 sign the same bytes."""
    wallet = Wallet.of(
        SigningKey.from_hex(values["private_key"]), values["signature_type"], values["maker"]
    )
    theirs = json.loads(second.ask("order", values=values)["body"])
    order = order_v1.OrderV1(
        values["salt"],
        wallet.maker,
        wallet.signer,
        values["token_id"],
        values["maker_amount"],
        values["taker_amount"],
        values["side"],
        values["signature_type"],
        expires_s=values["expires_s"],
        nonce=values["nonce"],
        fee_rate_bps=values["fee_rate_bps"],
    )
    # On the test chain the two clients name different contracts: each is held to its own.
    first = get_contract_config(values["chain_id"], values["neg_risk"]).exchange
    digest = order_v1.order_hash(
        order, exchange_domain(1, values["chain_id"], values["neg_risk"], first).separator()
    )
    oracle = OrderBuilder(
        first, values["chain_id"], FirstSigner(values["private_key"]), lambda: values["salt"]
    ).build_signed_order(
        OrderData(
            maker=wallet.maker,
            signer=wallet.signer,
            taker=ZERO_ADDRESS,
            tokenId=str(values["token_id"]),
            makerAmount=str(values["maker_amount"]),
            takerAmount=str(values["taker_amount"]),
            side=values["side"],
            feeRateBps=str(values["fee_rate_bps"]),
            nonce=str(values["nonce"]),
            expiration=str(values["expires_s"]),
            signatureType=values["signature_type"],
        )
    )
    ours = json.loads(
        order_v1.body(
            order,
            wallet.key.sign(digest),
            OWNER,
            Tif[values["tif"]],
            post_only=values["post_only"],
        )
    )
    assert ours == order_to_json(oracle, OWNER, values["tif"], values["post_only"])
    theirs.pop("deferExec")
    if values["chain_id"] == 137 or not values["neg_risk"]:
        assert ours == theirs


def check_later_generations(values: dict[str, Any], second: Client, unified: Client) -> None:
    """Ours, py-clob-client-v2 and polymarket-client sign and send the same."""
    key = SigningKey.from_hex(values["private_key"])
    wallet = Wallet.of(key, values["signature_type"], values["maker"])
    domain = exchange_domain(values["generation"], values["chain_id"], values["neg_risk"])
    template = OrderTemplate(
        wallet,
        domain,
        values["token_id"],
        values["side"],
        OWNER,
        builder=bytes.fromhex(values["builder"][2:]),
    )
    ours = template.sign(
        values["salt"],
        values["maker_amount"],
        values["taker_amount"],
        values["timestamp_ms"],
        values["expires_s"],
        Tif[values["tif"]],
        values["post_only"],
    )
    theirs = second.ask("order", values=values)
    assert ours.body == theirs["body"].encode()
    if wallet.signature_type is not SignatureType.POLY_1271:
        assert "0x" + ours.order_hash.hex() == theirs["order_hash"]

    others = unified.ask("order", values={**values, "contract": domain.contract})
    content = json.loads(ours.body)
    if not content["postOnly"]:
        del content["postOnly"]  # sent only when true
    assert content == json.loads(others["body"])
    session = wrap_session_signature(key.address, ours.signature)
    assert "0x" + session.hex() == others["session_signature"]


def test_random_orders_equal_the_official_clients(second: Client, unified: Client) -> None:
    """2,200 orders over every generation, wallet type, side and order type: not a byte differs."""
    seen: Counter[tuple[int, int]] = Counter()

    @settings(
        max_examples=ORDERS,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(orders())
    def check(values: dict[str, Any]) -> None:
        seen[values["generation"], values["signature_type"]] += 1
        if values["generation"] == 1:
            check_first_generation(values, second)
        else:
            check_later_generations(values, second, unified)

    check()
    assert sum(seen.values()) >= 2_000
    kinds = {(1, kind) for kind in range(3)} | {(g, k) for g in (2, 3) for k in range(4)}
    assert {combination for combination, count in seen.items() if count >= 20} == kinds


def test_an_order_costs_a_fiftieth_of_the_official_clients_bytecodes(second: Client) -> None:
    """From arguments to body, counted on both sides: no noise, whatever the machine."""
    order = {"private_key": "0x" + SECRET.hex(), "token_id": str(TOKEN_ID), "owner": OWNER}
    theirs = second.ask("cost", **order)
    desk = Desk(FULL)
    desk.sign()
    ours = counted(desk.sign)
    assert 50 * ours["bytecodes"] <= theirs["bytecodes"]
    assert 50 * ours["calls"] <= theirs["calls"]


def test_random_l1_headers_equal_the_official_clients(second: Client, unified: Client) -> None:
    """Any key, second and nonce: both clients make our four headers."""

    @settings(max_examples=HEADERS, deadline=None, database=None)
    @given(
        secrets, st.sampled_from([137, 80002]), st.integers(0, 2**33), st.integers(0, 2**256 - 1)
    )
    def check(secret: bytes, chain_id: int, timestamp_s: int, nonce: int) -> None:
        ours = l1_headers(SigningKey(secret), chain_id, timestamp_s, nonce)
        arguments = {
            "private_key": "0x" + secret.hex(),
            "chain_id": chain_id,
            "timestamp_s": timestamp_s,
            "nonce": nonce,
        }
        assert ours == second.ask("l1", **arguments)
        assert ours == unified.ask("l1", **arguments)

    check()


def test_random_l2_headers_equal_the_official_clients(second: Client, unified: Client) -> None:
    """Any API secret, route and body: both clients make our five headers."""

    @settings(max_examples=HEADERS, deadline=None, database=None)
    @given(
        secrets,
        st.binary(min_size=1, max_size=96),
        st.integers(0, 2**33),
        st.sampled_from(["GET", "POST", "DELETE"]),
        st.sampled_from(["/order", "/orders", "/cancel-all", "/data/order/0x12", "/time"]),
        # The second client turns every ' into a ", so a body of its own never has one.
        st.text(st.characters(exclude_characters="'", exclude_categories=["Cs"]), max_size=900),
    )
    def check(
        secret: bytes, api: bytes, timestamp_s: int, method: str, path: str, body: str
    ) -> None:
        key = SigningKey(secret)
        credentials = [OWNER, base64.urlsafe_b64encode(api).decode(), "phrase"]
        ours = L2Signer(ApiCredentials(*credentials), key.address).headers(
            timestamp_s, method, path, body.encode()
        )
        arguments = {
            "private_key": "0x" + secret.hex(),
            "credentials": credentials,
            "timestamp_s": timestamp_s,
            "method": method,
            "path": path,
            "body": body,
        }
        assert ours == second.ask("l2", **arguments)
        assert ours == unified.ask("l2", **arguments)

    check()
