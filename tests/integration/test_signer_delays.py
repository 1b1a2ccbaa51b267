"""A signer that is late, or whose disk is: nothing old leaves, and nothing leaves unrecorded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from signals import stop
from signer_harness import Desk, Venue, trading
from test_signer_process import hash_of, read_log

from engine.wire.codes import Kind, Reason
from signer.log_format import EntryKind

AGE_MS = 1_500
DISK = Path(__file__).with_name("slow_disk.c")


@pytest.fixture
def venue() -> Venue:
    """A venue that accepts orders and knows their ids."""
    venue = Venue()
    venue.hash_of = hash_of
    return venue


@pytest.fixture
def slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that makes the disk of signers started from now on stand still."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    library, switch = tmp_path / "slow_disk.so", tmp_path / "slow"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, DISK], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("SLOW_DISK", str(switch))
    return switch


async def rejected(desk: Desk, order_id: int) -> Reason:
    """Return why an order was refused."""
    reject = await desk.until(lambda: desk.report(Kind.REJECT, order_id), f"REJECT of {order_id}")
    return Reason(int(reject["reason"]))


async def accepted(desk: Desk, order_id: int) -> None:
    """Wait until the venue has accepted an order."""
    await desk.until(lambda: desk.report(Kind.ACK, order_id), f"ACK of {order_id}")


async def is_accepted(desk: Desk, order_id: int) -> bool:
    """Ask for an order and return whether the venue has accepted it."""
    desk.order(order_id)
    kinds = Kind.ACK, Kind.REJECT
    await desk.until(
        lambda: any(desk.report(kind, order_id) for kind in kinds), f"the fate of {order_id}"
    )
    return desk.report(Kind.ACK, order_id) is not None


async def open_again(desk: Desk) -> None:
    """Ask for orders until one is accepted."""
    order_id = 100
    while not await is_accepted(desk, order_id):
        order_id += 1


def entries_of(desk: Desk, order_id: int) -> list[int]:
    """Return the kinds of what the order log says of an order."""
    found = [placed.entry for placed in read_log(desk).entries]
    return [entry.kind for entry in found if entry.order_id == order_id]


async def test_an_order_that_waited_for_a_stopped_signer_is_not_sent(
    tmp_path: Path, venue: Venue
) -> None:
    """Its book was another one by then; cancels go whatever their age, and new orders too."""
    async with trading(tmp_path, venue, order_age_ms_max=AGE_MS) as desk:
        desk.order(1)
        await accepted(desk, 1)
        assert desk.process is not None
        stop(desk.process.pid)
        decided_ns = desk.clock.now_ns()
        desk.order(2)
        desk.cancel(1)
        late_ns = decided_ns + 2 * AGE_MS * 1_000_000
        await desk.until(lambda: desk.clock.now_ns() > late_ns, "twice the age")
        os.kill(desk.process.pid, signal.SIGCONT)
        assert await rejected(desk, 2) is Reason.ORDER_AGE
        await desk.until(lambda: desk.report(Kind.DONE, 1), "DONE")
        assert len(venue.orders) == 1
        assert entries_of(desk, 2) == []
        await open_again(desk)


async def test_new_orders_wait_for_a_disk_that_is_behind(
    tmp_path: Path, venue: Venue, slow_disk: Path
) -> None:
    """Orders that are not on disk for too long close admission; cancels go; it opens by itself."""
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await accepted(desk, 1)
        slow_disk.touch()
        desk.order(2)
        await accepted(desk, 2)
        await desk.until(lambda: desk.count("log_stalls"), "the stall")
        desk.order(3)
        assert await rejected(desk, 3) is Reason.ORDER_LOG
        assert entries_of(desk, 3) == []
        desk.cancel(2)
        await desk.until(lambda: desk.report(Kind.DONE, 2), "DONE")
        slow_disk.unlink()
        await open_again(desk)
        assert len(venue.orders) == 3


async def test_an_order_that_waited_for_a_strict_disk_is_not_sent(
    tmp_path: Path, venue: Venue, slow_disk: Path
) -> None:
    """On disk before the send, it says: too late by then, the order stays here and is over."""
    async with trading(tmp_path, venue, order_log="strict", order_age_ms_max=AGE_MS) as desk:
        desk.order(1)
        await accepted(desk, 1)
        slow_disk.touch()
        decided_ns = desk.clock.now_ns()
        desk.order(2)
        late_ns = decided_ns + 2 * AGE_MS * 1_000_000
        await desk.until(lambda: desk.clock.now_ns() > late_ns, "twice the age")
        slow_disk.unlink()
        assert await rejected(desk, 2) is Reason.ORDER_AGE
        assert entries_of(desk, 2) == [EntryKind.SIGNED, EntryKind.REJECTED]
        assert len(venue.orders) == 1
        await open_again(desk)
