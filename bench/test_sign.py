"""Signing: from a decided order to the bytes that leave.

Everything here is between a decision and the socket, on the one path nobody can shorten by adding
machines. At the touch, whoever signs in 40 µs instead of 900 µs is first in the queue; a template
that costs twice the curve floor has given the gain back in copying.

The paths run in one process, so their ratios travel between machines; their microseconds do not.
`extra_info` has p50 and p99 in microseconds of single calls, which the round means would hide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data

from engine.wire.codes import Side, Tif
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.http import Endpoint
from signer.log_format import Entry, EntryKind
from signer.order_log import OrderLog
from signer.order_v2 import Order, body
from signer.request_writer import RequestWriter
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet

SECRET = bytes.fromhex("42" * 32)
OWNER = "11111111-2222-3333-4444-555555555555"
TOKEN_ID = 71321045679252212594626385532706912750332728571942532289631379312455583992563
TIMESTAMP_MS = 1_784_402_198_867
CALLS = 400
salts = count(1)


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    """An EOA of a throw-away key."""
    key = SigningKey(SECRET)
    return Wallet.of(key, SignatureType.EOA, key.address)


@pytest.fixture(scope="module")
def template(wallet: Wallet) -> OrderTemplate:
    """One side of one token, encoded ahead."""
    return OrderTemplate(wallet, exchange_domain(2, 137, False), TOKEN_ID, Side.BUY, OWNER)


def measure(benchmark: Any, call: Callable[[], object]) -> None:
    """Run the benchmark, and note the quantiles of single calls."""
    benchmark(call)
    spent_ns = []
    for _ in range(CALLS):
        began_ns = time.perf_counter_ns()
        call()
        spent_ns.append(time.perf_counter_ns() - began_ns)
    spent_ns.sort()
    benchmark.extra_info["p50_us"] = spent_ns[CALLS // 2] / 1_000
    benchmark.extra_info["p99_us"] = spent_ns[CALLS * 99 // 100] / 1_000


def test_template(benchmark: Any, template: OrderTemplate) -> None:
    """Our hot path: four words, both hashes, the curve, the body: it delays every order."""

    def sign() -> object:
        return template.sign(next(salts), 4_800_000, 10_000_000, TIMESTAMP_MS, 0, Tif.FOK, 0)

    assert b'"orderType":"FOK"' in sign().body  # type: ignore[attr-defined]
    measure(benchmark, sign)


def test_template_of_a_deposit_wallet(benchmark: Any, wallet: Wallet) -> None:
    """Type 3 hashes one struct more and signs 317 bytes: what new accounts pay for each order."""
    deposit = Wallet.of(wallet.key, SignatureType.POLY_1271, "0x" + "75" * 20)
    domain = exchange_domain(2, 137, False)
    template = OrderTemplate(deposit, domain, TOKEN_ID, Side.BUY, OWNER)
    measure(
        benchmark,
        lambda: template.sign(next(salts), 4_800_000, 10_000_000, TIMESTAMP_MS, 0, Tif.FOK, 0),
    )


def test_curve_floor_coincurve(benchmark: Any) -> None:
    """libsecp256k1 alone through its Python binding: no order can be signed faster than this."""
    key = PrivateKey(SECRET)
    digests = (next(salts).to_bytes(32, "big") for _ in iter(int, 1))
    measure(benchmark, lambda: key.sign_recoverable(next(digests), hasher=None))


def test_eth_account(benchmark: Any, wallet: Wallet) -> None:
    """The way a stock bot signs: typed data through eth-account, then a body through format."""
    domain = exchange_domain(2, 137, False)
    kinds = [("uint256", "salt"), ("address", "maker"), ("address", "signer")]
    kinds += [("uint256", "tokenId"), ("uint256", "makerAmount"), ("uint256", "takerAmount")]
    kinds += [("uint8", "side"), ("uint8", "signatureType"), ("uint256", "timestamp")]
    kinds += [("bytes32", "metadata"), ("bytes32", "builder")]
    types = {"Order": [{"name": name, "type": kind} for kind, name in kinds]}
    chain = {
        "name": domain.name,
        "version": domain.version,
        "chainId": domain.chain_id,
        "verifyingContract": domain.contract,
    }

    def sign() -> bytes:
        order = Order(
            next(salts), wallet.maker, wallet.signer, TOKEN_ID, 4_800_000, 10_000_000, 0, 0,
            TIMESTAMP_MS,
        )  # fmt: skip
        message = {
            "salt": order.salt,
            "maker": order.maker,
            "signer": order.signer,
            "tokenId": order.token_id,
            "makerAmount": order.maker_amount,
            "takerAmount": order.taker_amount,
            "side": order.side,
            "signatureType": order.signature_type,
            "timestamp": order.timestamp_ms,
            "metadata": order.metadata,
            "builder": order.builder,
        }
        signable = encode_typed_data(chain, types, message)
        signature = bytes(Account.sign_message(signable, SECRET).signature)
        return body(order, signature, OWNER, Tif.FOK)

    measure(benchmark, sign)


def test_request(benchmark: Any, wallet: Wallet, template: OrderTemplate) -> None:
    """The whole HTTP request around a signed body: the last thing before it is written."""
    l2 = L2Signer(ApiCredentials(OWNER, "c2VjcmV0LXNlY3JldA==", "phrase"), wallet.key.address)
    write = RequestWriter(Endpoint.of("http://localhost"), l2)
    signed = template.sign(1, 4_800_000, 10_000_000, TIMESTAMP_MS, 0, Tif.FOK, 0)
    measure(benchmark, lambda: write.order(signed.body, 1_784_402_198))


@pytest.fixture
def order_log(tmp_path: Path) -> Iterator[OrderLog]:
    """A log in mode `group` on whatever disk the tests have."""
    log = OrderLog(tmp_path / "orders.log")
    yield log
    log.close()


def test_order_log_append(benchmark: Any, template: OrderTemplate, order_log: OrderLog) -> None:
    """The SIGNED record is written before the send: each microsecond of it delays the order."""
    signed = template.sign(1, 4_800_000, 10_000_000, TIMESTAMP_MS, 0, Tif.FOK, 0)
    entry = Entry(EntryKind.SIGNED, 0, 1, 7, 1, 1, signed.order_hash, body=signed.body)
    measure(benchmark, lambda: order_log.append(entry))
    assert order_log.is_healthy
