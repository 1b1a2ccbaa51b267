"""Dry runs of the signer: they go the whole way of an order and leave no trace."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import signer_harness
from signer_harness import API, PRIVATE_KEY, RUN_ID, Venue, settings, trading
from test_signer_process import hash_of

from engine.bus.ring import Discipline, QueueReader, create_ring
from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.errors import Exit
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials
from engine.wire.codes import Kind
from signer import tally
from signer.duty import SignerDuty
from signer.ecdsa import SigningKey
from signer.log_format import scan
from signer.templates import Rung
from signer.wallets import SignatureType, Wallet
from signer.warm_up import ROUNDS, DryRun

STEPS = 400
NONCES = 8
ORDERS = 12
KEPT_MAX = 10
CYCLES = 420  # slices: whole rounds of every kind of dry run, for within one something is held


@pytest.mark.parametrize("kind", SignatureType)
@pytest.mark.parametrize("with_nonces", [False, True])
def test_a_dry_run_goes_the_whole_way(kind: SignatureType, with_nonces: bool) -> None:
    """Every kind of wallet and signature: the curve is one slice, all else another."""
    run = DryRun(kind, with_nonces=with_nonces)
    run.warm_up()
    assert run.walked == (ROUNDS if with_nonces else ROUNDS // 2)
    run.close()


@pytest.mark.parametrize("with_nonces", [False, True])
def test_every_other_order_of_a_dry_run_is_signed_ahead(with_nonces: bool) -> None:
    """With the rung on, one is signed before it is asked for, and the next one is not."""
    run = DryRun(with_nonces=with_nonces, with_presigned=True)
    run.warm_up()
    on_demand, ahead = sum(run._ladder.signed[:2]), run._ladder.signed[Rung.AHEAD]
    assert run.walked == on_demand + ahead
    assert on_demand - 2 <= ahead <= on_demand  # before the first order nothing is foreseen
    run.close()


@pytest.mark.parametrize("with_presigned", [False, True])
@pytest.mark.parametrize("with_nonces", [False, True])
def test_dry_runs_keep_no_memory(with_nonces: bool, with_presigned: bool) -> None:
    """However often they are repeated, no object is left behind, and no cycle for the collector.

    The interpreter's own free lists grow meanwhile; a collection empties them.
    """
    run = DryRun(with_nonces=with_nonces, with_presigned=with_presigned)
    run.warm_up()
    gc.collect()
    gc.disable()
    try:
        blocks = sys.getallocatedblocks()
        for _ in range(CYCLES):
            run.step()
        objects = len(gc.get_objects())
        for _ in range(CYCLES):
            run.step()
        kept = len(gc.get_objects()) - objects
        gc.collect()
        assert kept <= KEPT_MAX
        assert sys.getallocatedblocks() - blocks <= KEPT_MAX
    finally:
        gc.enable()


@pytest.fixture
def runtime(tmp_path: Path) -> RunFile:
    """A run whose venue is not there, with both of the signer's rings."""
    runtime_dir = tmp_path / "runtime"
    runtime_dir.mkdir(mode=0o700)
    chosen = settings(9, nonces=NONCES, presigned=4)
    found = RunFile(
        RUN_ID,
        Clock.anchored().offset_ns,
        chosen,
        str(tmp_path / "state"),
        runtime_dir=runtime_dir,
    )
    for name in ("orders", "exec"):
        create_ring(found.ring(name), Discipline.QUEUE, 64, RUN_ID)
    return found


async def test_dry_runs_touch_nothing_of_the_signer(
    runtime: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the key, not a nonce, not the order log, not a ring, not a limit, not a counter.

    Everything a real order changes is looked at before and after some hundred slices.
    """
    key = SigningKey.from_hex(PRIVATE_KEY)
    account = Account(key.address, key.address, ApiCredentials(**API), 0, PRIVATE_KEY)
    counters = create_counters(runtime.counters("signer"), tally.NAMES)
    duty = SignerDuty(runtime, account, Wallet.of(key, SignatureType.EOA, key.address), counters)
    signed_by = set()
    sign = SigningKey.sign

    def watch(self: SigningKey, digest: object) -> bytes:
        signed_by.add(self.address)
        return sign(self, digest)

    duty.start()
    reports = QueueReader(runtime.ring("exec"), RUN_ID)
    try:
        monkeypatch.setattr(SigningKey, "sign", watch)
        pool = duty._ladder._nonces
        assert pool is not None
        nonces, spent = list(pool._nonces), duty._policy.spending.today
        credit, counted = duty._limits._credit, counters.snapshot()
        for _ in range(STEPS):
            duty.keep_warm()
        assert counters.snapshot() == counted
        assert pool._nonces == nonces
        assert len(nonces) == NONCES
        assert duty._policy.spending.today == spent
        assert duty._limits._credit == credit
        assert duty._ladder.signed == [0, 0, 0]
        assert duty._orders.open_count == 0
        assert duty._rail.in_flight == 0
        assert duty._log.bytes_written == 0
        assert runtime.state("orders.log").stat().st_size == 32
        said = np.zeros((64, 16), np.int64)
        assert reports.poll(said) == 1, "the start says that there were no earlier orders"
        assert int(said[0, 0]) & 0xFFFF == Kind.RECOVERED
        assert key.address not in signed_by
    finally:
        reports.close()
        duty.close()
        counters.close()
        await asyncio.sleep(0)


async def test_orders_between_dry_runs_are_the_only_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spinning signer rehearses all the time; venue, log and core see the real orders alone.

    Orders come one by one, with dry runs before each, and equal orders have equal bytes as ever.
    """

    def spinning(port: int, **signer: Any) -> dict[str, Any]:
        chosen = settings(port, **signer)
        chosen["run"]["profile"] = "pipeline"
        chosen["host"]["warm_us"] = 1
        return chosen

    monkeypatch.setattr(signer_harness, "settings", spinning)
    venue = Venue()
    venue.hash_of = hash_of
    order_ids = range(1, ORDERS + 1)
    async with trading(tmp_path, venue) as desk:
        for order_id in order_ids:
            rehearsed = desk.count("dry_runs")
            await desk.until(lambda n=rehearsed: desk.count("dry_runs") > n, "dry runs")  # type: ignore[misc]
            desk.order(order_id)
            await desk.until(lambda n=order_id: desk.report(Kind.ACK, n), "ACK")  # type: ignore[misc]
        log = scan(desk.order_log.read_bytes(), "orders.log")
        assert desk.kinds() == ["SIGNED", "ACK"] * ORDERS
        assert venue.look_ups == [], "a stop may ask how much was filled of what it cancels"
        assert await desk.stop() == Exit.CLEAN
    bodies = [placed.entry.body for placed in log.entries if placed.entry.body]
    assert bodies == venue.orders
    assert [placed.entry.order_id for placed in log.entries[::2]] == list(order_ids)
    key = SigningKey.from_hex(PRIVATE_KEY)
    for body in bodies:
        content = json.loads(body)["order"]
        digest = bytes.fromhex(hash_of(body)[2:])
        assert content["signature"] == "0x" + key.sign(digest).hex()
