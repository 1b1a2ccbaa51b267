"""Signing: from a decided order to the bytes that leave.

Everything here is between a decision and the socket, on the one path nobody can shorten by adding
machines. At the touch, whoever signs in 40 µs instead of 900 µs is first in the queue; a template
that costs twice the curve floor has given the gain back in copying.

The paths run in one process, so their ratios travel between machines; their microseconds do not.
`extra_info` has p50 and p99 in microseconds of single calls, which the round means would hide. The
official clients run in processes of their own, in turn with ours: a round each, and again.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from clients.environments import NoEnvironment
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from peers.client import Client
from peers.lines import timed
from signing import AHEAD, FULL, NONCES, ORDERS, OWNER, SECRET, TIMESTAMP_MS, TOKEN_ID, Desk

from engine.wire.codes import Side, Tif
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.ladder import Rungs
from signer.log_format import Entry, EntryKind
from signer.order_log import OrderLog
from signer.order_v2 import Order, body
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet
from signer.warm_up import DryRun

CALLS = 400
ROUNDS = 7
CLIENT_CALLS = 60
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


@pytest.mark.parametrize("rungs", [FULL, NONCES, AHEAD], ids=["full", "nonce", "ahead"])
@pytest.mark.parametrize("what", ["body", "request"])
def test_rung(benchmark: Any, rungs: Rungs, what: str) -> None:
    """Each rung of the ladder, to the body and to the whole request; a µs here is one at the touch.

    Each round has as many orders as were made ahead, so that no rung falls through.
    """
    play(benchmark, Desk(rungs), what)


def test_signed_ahead_request_ready(benchmark: Any) -> None:
    """An armed order with its whole request: two look-ups, and nothing is hashed or formatted.

    It is what a tick waits for where the order was foreseen. A regression means that idle time no
    longer writes the requests, or that something is computed between the tick and the socket again.
    """
    play(benchmark, Desk(AHEAD, is_armed=True), "pick")


def play(benchmark: Any, desk: Desk, what: str) -> None:
    """Run rounds of orders, each after as much idle time as they need."""
    call = desk.calls[what]
    benchmark.pedantic(lambda: timed(call, ORDERS - 4), setup=lambda: desk.prepare(), rounds=ROUNDS)
    benchmark.extra_info["units"] = ORDERS - 4


def test_whole_way(benchmark: Any) -> None:
    """From a polled command to its request: policy, a nonce's signature, log entry, SIGNED, L2.

    It is what a dry run does in idle rounds too: as long as it takes, a tick may have to wait.
    """
    run = DryRun(with_nonces=True)
    run.warm_up()
    measure(benchmark, run.step)
    run.close()


class Contender:
    """Something that signs, timed a round at a time."""

    def __init__(self, spent_ns: Callable[[], list[int]]) -> None:
        self._spent_ns = spent_ns
        self._p50: list[float] = []
        self._p99: list[float] = []

    def play(self) -> None:
        """One round."""
        spent = sorted(self._spent_ns())
        self._p50.append(spent[len(spent) // 2] / 1_000)
        self._p99.append(spent[len(spent) * 99 // 100] / 1_000)

    @property
    def p50_us(self) -> float:
        """The median round's median."""
        return statistics.median(self._p50)

    @property
    def p99_us(self) -> float:
        """The median round's 99th percentile."""
        return statistics.median(self._p99)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and those it starts on one core: two cores may differ in speed twofold."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def ours(rungs: Rungs, what: str, *, is_armed: bool = False) -> Contender:
    """A rung of the ladder."""
    desk = Desk(rungs, is_armed=is_armed)
    call = desk.calls[what]

    def spent_ns() -> list[int]:
        desk.prepare()
        return timed(call, ORDERS - 4)

    return Contender(spent_ns)


def theirs(client: Client, calls: int) -> Contender:
    """A client in its process."""
    order = {"private_key": "0x" + SECRET.hex(), "token_id": str(TOKEN_ID), "owner": OWNER}
    return Contender(lambda: client.ask("time", count=calls, **order))


def test_the_ladder_beside_the_official_clients(
    benchmark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signing targets: what an order costs us and a stock bot, in turn, in one run.

    A full signature is to cost 1/15 of py-clob-client-v2's with coincurve, one with a nonce 1/60,
    and an order signed ahead 5 µs to the whole request. Past the gates below, the speed that the
    signer promises is gone; they leave room for a busy machine.
    """
    key = PrivateKey(SECRET)
    field = {
        "curve alone": Contender(
            lambda: timed(lambda: key.sign_recoverable(SECRET, hasher=None), CALLS)
        ),
        "full": ours(FULL, "body"),
        "nonce": ours(NONCES, "body"),
        "nonce, whole request": ours(NONCES, "request"),
        "ahead, pick to whole request": ours(AHEAD, "pick"),
        "ahead, request ready": ours(AHEAD, "pick", is_armed=True),
    }
    with one_core(), ExitStack() as clients:
        for name in ("py-clob-client-v2", "polymarket-client"):
            for also, calls in ((("coincurve",), CLIENT_CALLS), ((), CLIENT_CALLS // 4)):
                try:
                    client = clients.enter_context(Client(name, *also))
                except NoEnvironment as error:
                    pytest.skip(f"{name} is not to be had: {error}")
                field[" + ".join((name, *also))] = theirs(client, calls)

        def play() -> None:
            for contender in field.values():
                contender.play()

        benchmark.pedantic(play, rounds=1 if benchmark.disabled else ROUNDS, warmup_rounds=1)
    if benchmark.disabled:
        return
    stock_us = field["py-clob-client-v2 + coincurve"].p50_us
    with capsys.disabled():
        print(f"\n{'one order':32} {'p50 us':>9} {'p99 us':>9} {'to stock':>9}")
        for name, contender in field.items():
            ratio = stock_us / contender.p50_us
            print(f"{name:32} {contender.p50_us:9.1f} {contender.p99_us:9.1f} 1/{ratio:7.1f}")
            benchmark.extra_info[name] = {
                "p50_us": contender.p50_us,
                "p99_us": contender.p99_us,
                "stock_over_this": ratio,
            }
    assert stock_us / field["full"].p50_us >= 10
    assert stock_us / field["nonce"].p50_us >= 40


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
    assert not order_log.failed_errno
