"""The order log's disk fails under a running signer."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

import pytest
from signer_harness import Venue, trading
from test_signer_process import hash_of

from engine.wire.codes import Kind, Reason

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["group", "strict"])
async def test_a_disk_that_fails_stops_orders_and_is_told(tmp_path: Path, mode: str) -> None:
    """Nothing is sent that is not in the log, for good; counter and error log name the errno."""
    venue = Venue()
    venue.hash_of = hash_of
    async with trading(tmp_path, venue, order_log=mode) as desk:
        for order_id in range(1, 11):
            desk.order(order_id)
            await desk.until(lambda n=order_id: desk.report(Kind.ACK, n), "ACK")
        assert desk.process is not None
        pid, full = desk.process.pid, desk.order_log.stat().st_size
        usual = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, usual[1]))
        desk.order(11)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 11), "REJECT")
        assert reject["reason"] == Reason.ORDER_LOG
        await desk.until(lambda: desk.count("log_failed_errno") == errno.EFBIG, "the errno")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)
        desk.order(12)
        reject = await desk.until(lambda: desk.report(Kind.REJECT, 12), "REJECT")
        assert reject["reason"] == Reason.ORDER_LOG
        assert len(venue.orders) == 10
        errors = desk.runtime.log("signer").with_suffix(".errors.json")
        await desk.until(errors.exists, "the error log")
        assert f"order log's disk failed: file={desk.order_log}, errno=EFBIG" in errors.read_text()
        desk.cancel(1)
        await desk.until(lambda: desk.report(Kind.DONE, 1), "cancels go on")
