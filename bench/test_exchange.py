"""The local exchange: what a snapshot, a frame, an order and a signature check cost.

The demo plays 640 snapshots a second and trades beside four other processes on the same cores. A
regression here does not slow a live trade, but the clock of every paper run slips, and a backtest
takes longer.
"""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import orjson
import pytest
from exchange_support import Hand, market
from percentiles import note_percentiles
from pytest_benchmark.fixture import BenchmarkFixture

from engine.exchange.books import Change, Levels
from engine.exchange.rules import VenueRules
from engine.exchange.server.frames import price_change_frame
from engine.exchange.server.verifier import OrderVerifier
from engine.wire.codes import Side
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.order_v2 import Order, body, order_hash

ROUNDS = 400
SNAPSHOTS = 64
DEPTH = 20


def ladders(seed: int) -> list[tuple[Levels, Levels]]:
    """Return snapshots of 2 × 20 levels of which about a third change from one to the next."""
    chance = random.Random(seed)
    sizes = {price * 10_000: chance.randint(1, 50_000) * 10_000 for price in range(1, 100)}
    out = []
    for _ in range(SNAPSHOTS):
        for price in chance.sample(sorted(sizes), 33):
            sizes[price] = chance.randint(1, 50_000) * 10_000
        mid = chance.randint(45, 55)
        bids = {price * 10_000: sizes[price * 10_000] for price in range(mid - DEPTH, mid)}
        asks = {price * 10_000: sizes[price * 10_000] for price in range(mid + 1, mid + 1 + DEPTH)}
        out.append((bids, asks))
    return out


@pytest.mark.benchmark(group="exchange: 64 snapshots of one market")
def test_show_snapshots(benchmark: BenchmarkFixture) -> None:
    """Showing books with ten orders resting: slower means the paper clock slips sooner."""
    hand = Hand()
    hand.show()
    for _ in range(10):
        hand.submit(Side.BUY, "0.05", "10", post_only=True)
    snapshots = ladders(1)

    def run() -> int:
        for bids, asks in snapshots:
            hand.venue.show(hand.listing, [(0, dict(bids), dict(asks))])
        return len(hand.venue.desk.open)

    assert benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=5) == 10
    note_percentiles(benchmark, units=SNAPSHOTS)


@pytest.mark.benchmark(group="exchange: one price_change frame")
def test_price_change_frame(benchmark: BenchmarkFixture) -> None:
    """Formatting and hashing one frame, once for all subscribers: part of every snapshot."""
    hand = Hand()
    (old_bids, old_asks), (bids, asks) = ladders(2)[:2]
    book = hand.listing.pool.books[0]
    book.replace(old_bids, old_asks, 0)
    changes: list[tuple[int, list[Change]]] = [(0, book.replace(bids, asks, 1))]

    text = benchmark.pedantic(
        price_change_frame, (hand.listing, changes, 1), rounds=ROUNDS, warmup_rounds=5
    )
    assert len(orjson.loads(text)["price_changes"]) == len(changes[0][1])
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="exchange: place and cancel one order")
def test_place_and_cancel(benchmark: BenchmarkFixture) -> None:
    """An order through rules, money and book and out again, without sockets or signatures."""
    hand = Hand(VenueRules(taker_delay_ms=0))
    hand.show()

    def run() -> int:
        hand.submit(Side.BUY, "0.45", "10", post_only=True)
        (order_hash,) = hand.venue.desk.open
        hand.venue.cancel(hand.account, [order_hash])
        return len(hand.venue.desk.open)

    assert benchmark.pedantic(run, rounds=ROUNDS, iterations=10, warmup_rounds=2) == 0
    note_percentiles(benchmark, units=1)


@pytest.mark.benchmark(group="exchange: verify one order body")
def test_verify_order(benchmark: BenchmarkFixture) -> None:
    """From JSON to a verified submission: the recovery of the signer's address dominates."""
    hand = Hand()
    hand.listing = hand.venue.open_market(market())
    verifier = OrderVerifier(hand.venue, 137)
    key = hand.accounts.create_key(hand.account.address, 1)
    assert key is not None
    signing = SigningKey.from_hex(hand.accounts.private_key(0))
    separator = exchange_domain(2, 137, False).separator()
    salts = count(1)

    def payload() -> tuple[tuple[Any, ...], dict[str, Any]]:
        token = hand.listing.market.tokens[0]
        address = signing.address
        order = Order(next(salts), address, address, token, 4_500_000, 10_000_000, Side.BUY, 0, 1)
        signature = signing.sign(order_hash(order, separator))
        return (key, orjson.loads(body(order, signature, key.key, 0))), {}

    submission = benchmark.pedantic(verifier.verify, setup=payload, rounds=ROUNDS, warmup_rounds=5)
    assert submission.maker_amount == 4_500_000
    note_percentiles(benchmark, units=1)
