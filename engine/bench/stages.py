"""The stamps of the bench's orders, from its tape: which tick, and when it passed each stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.backoffice.ledger import Ledger
from engine.backoffice.orders import OrderTable
from engine.bench import market
from engine.tape.reader import TapeReader

# Columns of `stamps_of` after the tick, as `engine.backoffice.orders.OrderFacts` names them.
STAMPS = (
    "trigger_ns",
    "decided_ns",
    "published_ns",
    "polled_ns",
    "signed_ns",
    "logged_ns",
    "sent_ns",
)
# Stages between the venue's own stamp of the frame, STAMPS, and its stamp of the request.
STAGES = (
    "frame_to_received",
    "received_to_polled",
    "polled_to_published",
    "published_to_signer",
    "signed",
    "logged",
    "sent",
    "sent_to_arrived",
)
# Of them, what is done between a frame's receipt and the call that sends the order.
IN_PROCESS = slice(STAGES.index("received_to_polled"), STAGES.index("logged") + 1)


def stamps_of(tape: Path, clock_offset_ns: int) -> np.ndarray:
    """Return int64[n, 8], a row an order that was sent: its tick modulo TICKS, then STAMPS.

    Stamps are monotonic nanoseconds, as the venue's are. Raises TapeError.
    """
    orders = OrderTable()
    with TapeReader(tape) as reader:
        ledger = Ledger(reader.header)
        for piece in reader.slices():
            orders.apply(ledger.apply(piece))
    rows = [
        [market.tick_of(order.size), *(getattr(order, name) for name in STAMPS)]
        for order in orders.by_id.values()
        if order.sent_ns
    ]
    stamps = np.array(rows, np.int64).reshape(-1, 1 + len(STAMPS))
    stamps[:, 1:] -= clock_offset_ns
    return stamps
