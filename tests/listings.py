"""Markets by number: market n has the instruments 2n + 1 (Up) and 2n + 2 (Down)."""

from __future__ import annotations

import numpy as np
from core_driver import NOW_NS, SECOND, book, instrument

from engine.wire.codes import Kind, MarketStatus
from engine.wire.records import new

BIDS, ASKS = {"0.48": "100"}, {"0.50": "100"}


def listing(number: int) -> list[np.ndarray]:
    """Return the INSTRUMENT records of a market, and that it is open."""
    records = []
    for outcome in (0, 1):
        record = instrument(1 + outcome)
        record["instrument"] = 2 * number + 1 + outcome
        record["complement"] = 2 * number + 2 - outcome
        record["close_s"] = NOW_NS // SECOND + 1_000_000
        records.append(record)
    return [*records, status(number, MarketStatus.OPEN)]


def status(number: int, what: MarketStatus, payout: int = -1) -> np.ndarray:
    """Return a STATUS of a market; payout: of Up, micros."""
    record = new(Kind.STATUS)
    record["instrument"], record["status"], record["payout"] = 2 * number + 1, what, payout
    return record


def books(number: int) -> list[np.ndarray]:
    """Return a snapshot of both books."""
    return [book(2 * number + 1 + outcome, BIDS, ASKS) for outcome in (0, 1)]
