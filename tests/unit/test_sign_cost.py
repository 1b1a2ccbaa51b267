"""What an order costs on the hot path, counted and not timed: the same on every machine."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass

import pytest
from peers.lines import counted
from signing import AHEAD, FULL, NONCES, ORDERS, Desk

from signer.ladder import Rungs
from signer.templates import Rung
from signer.wallets import SignatureType
from signer.warm_up import DryRun

KEPT_BLOCKS_MAX = 10
WHOLE_WAY_BYTECODES_MAX = 1_420
WHOLE_WAY_CALLS_MAX = 90


@dataclass(frozen=True, slots=True)
class Case:
    """A way to a signed request, and what it may cost."""

    name: str
    rungs: Rungs
    rung: Rung
    bytecodes_max: int
    calls_max: int
    is_armed: bool = False

    def desk(self, kind: SignatureType = SignatureType.EOA) -> Desk:
        """Return a desk whose orders are prepared for this way."""
        desk = Desk(self.rungs, kind, is_armed=self.is_armed)
        desk.prepare()
        return desk


CASES = (
    Case("full", FULL, Rung.FULL, 380, 31),
    Case("nonce", NONCES, Rung.NONCE, 400, 34),
    Case("ahead", AHEAD, Rung.AHEAD, 285, 26),
    Case("ahead, request ready", AHEAD, Rung.AHEAD, 210, 15, is_armed=True),
)
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@cases
@pytest.mark.parametrize("kind", [SignatureType.EOA, SignatureType.POLY_1271])
def test_an_order_costs_few_bytecodes_and_calls(case: Case, kind: SignatureType) -> None:
    """From amounts to the bytes of the whole request, each way has its budget."""
    desk = case.desk(kind)
    desk.request()
    before = desk.ladder.signed[case.rung]
    cost = counted(desk.request)
    assert desk.ladder.signed[case.rung] == before + 2
    assert cost["bytecodes"] <= case.bytecodes_max
    assert cost["calls"] <= case.calls_max


def test_an_armed_order_costs_little_on_its_whole_way() -> None:
    """From its record to its answer: policy, a look-up, log entry, SIGNED, send, and the answer."""

    def cost_after(steps: int) -> dict[str, int]:
        run = DryRun(with_nonces=True, with_presigned=True)
        run.warm_up()
        for _ in range(steps):
            run.step()
        cost = counted(run.step)
        run.close()
        return cost

    # Asked for after four slices of idle time. Of two steps in a row the bytecodes of the first are
    # counted and the calls of the second.
    assert cost_after(4)["bytecodes"] <= WHOLE_WAY_BYTECODES_MAX
    assert cost_after(3)["calls"] <= WHOLE_WAY_CALLS_MAX


@cases
def test_orders_leave_no_objects_behind(case: Case) -> None:
    """A round of orders keeps at most ten blocks of memory: the hot path feeds no collector."""
    desk = case.desk()
    gc.disable()  # a collection would empty the interpreter's free lists, which then grow again
    try:
        for _ in range(ORDERS // 2):
            desk.request()
        before = sys.getallocatedblocks()
        for _ in range(ORDERS // 2):
            desk.request()
        kept = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert desk.ladder.signed[case.rung] >= ORDERS - 4
    assert kept <= KEPT_BLOCKS_MAX
