"""The signer killed at random instants, under load: what the venue has, the order log had before.

A core that never rests asks for new orders and asks again for old ones; a venue answers at once,
late or never; and SIGKILL comes at any instant, in the middle of a start too. The seed of a failing
run is in its name.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signer_harness import API, PRIVATE_KEY, Desk, Venue, order_answer, trading
from signer_nursery import Nursery

from engine.host.config.signing import Rates
from engine.host.duty import HEARTBEAT_NS
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.log_format import Entry, EntryKind, scan
from signer.order_v2 import order_from_json, order_hash

SEPARATOR = exchange_domain(2, 137, False).separator()
MANY = 100_000
UNLIMITED = {
    "orders_per_second_max": MANY,
    "daily_notional_usd_max": "0",
    "rates": Rates(
        orders_per_second=MANY, orders_burst=MANY, post_order_per_10s=MANY, look_up_per_10s=MANY
    ).model_dump(mode="json"),
}
KEY = SigningKey.from_hex(PRIVATE_KEY)
ACCOUNT = {
    "private_key": PRIVATE_KEY,
    "address": KEY.address,
    "signature_type": 0,
    "funder": KEY.address,
    "api": API,
}
RUNGS = {"full": {}, "ladder": {"nonces": 16, "presigned": 32, "presigned_levels": 1}}
FINAL = (EntryKind.ACKED, EntryKind.REJECTED, EntryKind.DONE)


def hash_of(body: bytes) -> str:
    """The order id the venue computes from a body."""
    return "0x" + order_hash(order_from_json(json.loads(body)["order"]), SEPARATOR).hex()


class Witness(Venue):
    """A venue that looks into the order log at each order it gets."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.order_log = Path()
        self.live: set[str] = set()
        self.unlogged: list[bytes] = []
        self._chance = chance
        self.on_order = self._take
        self.on_look_up = self._show
        self.hash_of = hash_of

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if body not in self.order_log.read_bytes():
            self.unlogged.append(body)
        digits = hash_of(body)
        self.live.add(digits)
        await asyncio.sleep(self._chance.choice((0, 0, 0, 0.002, 0.02)))
        if self._chance.random() < 0.1 and request.transport is not None:
            request.transport.abort()  # taken, and nobody is told
        return order_answer(digits)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        digits = request.match_info["id"]
        if digits not in self.live:
            return web.json_response({"error": "Order not found"}, status=404)
        return web.json_response({"id": digits, "status": "LIVE", "size_matched": "0"})


class Load:
    """A core that asks for orders, new ones and ones it has asked for before."""

    def __init__(self, desk: Desk, chance: random.Random) -> None:
        self._desk = desk
        self._chance = chance
        self._last = 0

    async def press(self, seconds: float) -> None:
        """Ask for an order or two each millisecond, for so long."""
        desk = self._desk
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            desk.core.set(HEARTBEAT_NS, desk.clock.now_ns())
            self._last += 1
            price = 10_000 * self._chance.randint(48, 50)
            desk.orders.offer(desk.row(self._last, price=price))
            if self._chance.random() < 0.3:
                desk.orders.offer(desk.row(self._chance.randint(1, self._last)))
            desk._drain()
            await asyncio.sleep(0.001)


def entries_of(desk: Desk) -> list[Entry]:
    """The order log's entries; a torn tail is what a kill may leave."""
    return [placed.entry for placed in scan(desk.order_log.read_bytes(), "orders.log").entries]


def hashes_by_order(desk: Desk) -> dict[int, set[bytes]]:
    """What was signed for each intent."""
    found: dict[int, set[bytes]] = defaultdict(set)
    for entry in entries_of(desk):
        if entry.kind == EntryKind.SIGNED:
            found[entry.order_id].add(entry.order_hash)
    return found


def all_are_settled(desk: Desk) -> bool:
    """Whether the last word on every order is evidence."""
    last = {entry.order_hash: entry.kind for entry in entries_of(desk)}
    return all(kind in FINAL for kind in last.values())


async def kill_again_and_again(
    directory: Path, nursery: Nursery, seed: int, kills: int, rungs: dict[str, Any]
) -> None:
    """Kill a signer so many times; check what must hold whenever it dies, and once it lives on."""
    chance = random.Random(seed)
    venue = Witness(chance)
    async with trading(directory, venue, **UNLIMITED, **rungs) as desk:
        venue.order_log = desk.order_log
        load = Load(desk, chance)
        for kill in range(kills):
            await load.press(chance.uniform(0, 0.03))
            await desk.stop(9)
            assert venue.unlogged == []
            desk.reports.clear()
            desk.process = nursery.launch(desk.runtime.runtime_dir, ACCOUNT)  # type: ignore[assignment]
            if kill < kills - 1 and chance.random() < 0.2:
                await asyncio.sleep(chance.uniform(0, 0.1))  # the next kill finds it starting
            else:
                await desk.ready()
                desk.announce()
        await desk.until(lambda: all_are_settled(desk), "evidence of every order")

        assert venue.unlogged == []
        signed = hashes_by_order(desk)
        assert {order: len(hashes) for order, hashes in signed.items() if len(hashes) > 1} == {}
        logged = {digest.hex() for hashes in signed.values() for digest in hashes}
        assert {digits[2:] for digits in venue.live} <= logged
        bodies = {entry.body for entry in entries_of(desk) if entry.kind == EntryKind.SIGNED}
        assert set(venue.orders) <= bodies
        assert len(venue.live) > kills


@pytest.fixture(scope="module")
def nursery():
    """Where signers come from."""
    with Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("rungs", RUNGS.values(), ids=list(RUNGS))
async def test_a_killed_signer_has_logged_what_it_sent(
    tmp_path: Path, nursery: Nursery, rungs: dict[str, Any]
) -> None:
    """Fifteen kills: each order at the venue is in the log, and no intent has two hashes."""
    await kill_again_and_again(tmp_path, nursery, seed=15, kills=15, rungs=rungs)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10))
async def test_five_hundred_kills(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    """Ten times fifty kills, with the whole ladder and without: the same holds."""
    rungs = tuple(RUNGS.values())[seed % 2]
    await kill_again_and_again(tmp_path, nursery, seed, kills=50, rungs=rungs)
