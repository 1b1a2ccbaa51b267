"""Every order on a tape: what was wanted, when it passed each stage, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.backoffice.ledger import Step
from engine.wire.codes import Kind, Reason

_STAGES = ("polled_ns", "signed_ns", "logged_ns", "sent_ns", "answered_ns")


@dataclass(slots=True)
class OrderFacts:
    """One order. Stamps are local nanoseconds, 0 = did not get there."""

    order_id: int
    sequence: int
    instrument: int
    strategy: int
    side: int
    price: int
    size: int
    trigger_ns: int
    decided_ns: int
    published_ns: int = 0
    polled_ns: int = 0
    signed_ns: int = 0
    logged_ns: int = 0
    sent_ns: int = 0
    answered_ns: int = 0
    order_hash: bytes = b""
    is_acked: bool = False
    is_rejected: bool = False
    was_unknown: bool = False
    is_canceled: bool = False


@dataclass(slots=True)
class OrderTable:
    """The orders of a tape by id and by the venue's hash."""

    by_id: dict[int, OrderFacts] = field(default_factory=dict)
    by_hash: dict[bytes, OrderFacts] = field(default_factory=dict)

    def apply(self, step: Step) -> None:
        """Add what a step of the ledger says of orders. A report of an unknown order is ignored."""
        for record, sequence in step.of(Kind.NEW_ORDER):
            order = _opened(record, sequence)
            self.by_id.setdefault(order.order_id, order)
        for order_id, published_ns in step.published:
            self.by_id[order_id].published_ns = published_ns
        for record, _ in step.of(Kind.SIGNED):
            if (known := self._order(record)) is not None:
                known.order_hash = record["order_hash"].tobytes()
                self.by_hash[known.order_hash] = known
        for kind in (Kind.ACK, Kind.REJECT, Kind.UNKNOWN):
            for record, _ in step.of(kind):
                if (known := self._order(record)) is not None:
                    known.is_acked |= kind is Kind.ACK
                    known.is_rejected |= kind is Kind.REJECT
                    known.was_unknown |= kind is Kind.UNKNOWN
                    _stamp(known, record)
        for record, _ in step.of(Kind.DONE):
            if (known := self._order(record)) is not None:
                known.is_canceled |= int(record["reason"]) == Reason.CANCELED

    def _order(self, record: np.void) -> OrderFacts | None:
        return self.by_id.get(int(record["order_id"]))


def _opened(record: np.void, sequence: int) -> OrderFacts:
    return OrderFacts(
        order_id=int(record["order_id"]),
        sequence=sequence,
        instrument=int(record["instrument"]),
        strategy=int(record["strategy"]),
        side=int(record["side"]),
        price=int(record["price"]),
        size=int(record["size"]),
        trigger_ns=int(record["trigger_ns"]),
        decided_ns=int(record["decided_ns"]),
    )


def _stamp(order: OrderFacts, record: np.void) -> None:
    """Take the stages of the first report that saw the order leave."""
    if not order.sent_ns:
        for name in _STAGES:
            setattr(order, name, int(record[name]))
