"""What an order costs on the hot path, counted and not timed: the same on every machine."""

from __future__ import annotations

import gc
import sys

import pytest
from peers.lines import counted
from signing import AHEAD, FULL, NONCES, ORDERS, Desk

from signer.ladder import Rungs
from signer.templates import Rung
from signer.wallets import SignatureType

BYTECODES_MAX = 400
CALLS_MAX = 40
KEPT_BLOCKS_MAX = 10

ladders = pytest.mark.parametrize(
    ("rungs", "rung"),
    [(FULL, Rung.FULL), (NONCES, Rung.NONCE), (AHEAD, Rung.AHEAD)],
    ids=["full", "nonce", "ahead"],
)


@ladders
@pytest.mark.parametrize("kind", [SignatureType.EOA, SignatureType.POLY_1271])
def test_an_order_costs_few_bytecodes_and_calls(
    rungs: Rungs, rung: Rung, kind: SignatureType
) -> None:
    """From amounts to the bytes of the whole request: at most 400 bytecodes and 40 calls."""
    desk = Desk(rungs, kind)
    desk.prepare()
    desk.request()
    before = desk.ladder.signed[rung]
    cost = counted(desk.request)
    assert desk.ladder.signed[rung] == before + 2
    assert cost["bytecodes"] <= BYTECODES_MAX
    assert cost["calls"] <= CALLS_MAX


@ladders
def test_orders_leave_no_objects_behind(rungs: Rungs, rung: Rung) -> None:
    """A round of orders keeps at most ten blocks of memory: the hot path feeds no collector."""
    desk = Desk(rungs)
    desk.prepare()
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
    assert desk.ladder.signed[rung] >= ORDERS - 4
    assert kept <= KEPT_BLOCKS_MAX
