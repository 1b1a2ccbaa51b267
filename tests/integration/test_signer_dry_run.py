"""Dry runs of the signer: they go the whole way of an order and leave no trace."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from signer_harness import API, PRIVATE_KEY, RUN_ID, settings

from engine.bus.ring import Discipline, QueueReader, create_ring
from engine.host.clock import Clock
from engine.host.duty import create_counters
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials
from signer import tally
from signer.duty import SignerDuty
from signer.ecdsa import SigningKey
from signer.wallets import SignatureType, Wallet
from signer.warm_up import ROUNDS, DryRun

STEPS = 400
NONCES = 8


@pytest.mark.parametrize("kind", SignatureType)
@pytest.mark.parametrize("with_nonces", [False, True])
def test_a_dry_run_goes_the_whole_way(kind: SignatureType, with_nonces: bool) -> None:
    """Every kind of wallet and signature: the curve is one slice, all else another."""
    run = DryRun(kind, with_nonces=with_nonces)
    run.warm_up()
    assert run.walked == (ROUNDS if with_nonces else ROUNDS // 2)
    run.close()


@pytest.mark.parametrize("with_nonces", [False, True])
def test_dry_runs_keep_no_memory(with_nonces: bool) -> None:
    """However often they are repeated, no object is left behind."""
    run = DryRun(with_nonces=with_nonces)
    run.warm_up()
    before = sys.getallocatedblocks()
    for _ in range(STEPS):
        run.step()
    assert sys.getallocatedblocks() - before <= 10


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
        assert reports.poll(np.zeros((64, 16), np.int64)) == 0
        assert key.address not in signed_by
    finally:
        reports.close()
        duty.close()
        counters.close()
        await asyncio.sleep(0)
