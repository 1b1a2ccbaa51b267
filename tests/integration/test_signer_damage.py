"""A command is damaged on its way to the signer: it obeys nothing from there on and cancels all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from aiohttp import web
from signals import stop
from signer_harness import Venue, trading
from test_signer_process import hash_of

from engine.bus.ring import inspect_ring
from engine.bus.ring_header import SLOTS_WORD
from engine.wire.codes import Kind, Reason
from engine.wire.records import RECORD_WORDS

SIZE_WORD = 6  # of NEW_ORDER


async def test_a_damaged_command_is_not_obeyed_nor_any_after_it(tmp_path: Path) -> None:
    """What came before it is; then everything is cancelled, the core is told to halt, and neither
    that order nor the next one reaches the venue, though the core still beats."""
    venue = Venue()
    venue.hash_of = hash_of

    async def cancel(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"canceled": list(map(hash_of, venue.orders)), "not_canceled": {}})

    venue.on_cancel_all = cancel
    async with trading(tmp_path, venue) as desk:
        desk.order(1)
        await desk.until(lambda: desk.report(Kind.ACK, 1), "ACK")
        assert desk.process is not None
        stop(desk.process.pid)
        path = desk.runtime.ring("orders")
        file = np.memmap(path, np.int64, "r+")
        damaged = inspect_ring(path).head + 1
        desk.burst(2, 3, 4)
        file[SLOTS_WORD + damaged * RECORD_WORDS + SIZE_WORD] += 1 << 20
        os.kill(desk.process.pid, signal.SIGCONT)
        await desk.until(lambda: desk.report(Kind.HALT), "HALT")
        await desk.until(lambda: venue.cancel_alls, "DELETE /cancel-all")
        halt = desk.report(Kind.HALT)
        assert halt is not None
        assert (halt["reason"], halt["engaged"]) == (Reason.HALT_RECORD_DAMAGED, 1)
        desk.order(5)
        await desk.until(lambda: desk.count("orders_open") == 0, "nothing open")
        assert not any(desk.report(Kind.SIGNED, number) for number in (3, 4, 5))
        assert len(venue.orders) == len({1, 2})
        assert inspect_ring(path).tail == damaged
        assert desk.count("core_silent") == 1
