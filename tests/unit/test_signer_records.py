"""Rows in and rows out agree with the wire's dtypes."""

from __future__ import annotations

import numpy as np

from engine.wire.codes import Connection, Kind, Reason, Source
from engine.wire.records import new, typed, words
from signer.commands import Arm, Cancel, Commands, NewOrder
from signer.reports import WAITING_MAX, Reporter, Stamps

STAMPS = Stamps(11, 12, 13, 14, 15)
BIG = (1 << 64) - 2


class Ring:
    """A queue that keeps what it is offered, while there is room."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.rows: list[np.ndarray] = []

    def offer(self, rows: np.ndarray) -> bool:
        """Keep the rows, or none when full."""
        if len(self.rows) >= self.room:
            return False
        self.rows.append(rows[0].copy())
        return True


def reporter(ring: Ring) -> Reporter:
    """A reporter that writes at 99 ns."""
    return Reporter(ring, lambda: 99)  # type: ignore[arg-type]


def test_commands_are_read_as_they_are_written() -> None:
    """Every field of NEW_ORDER, CANCEL and ARM survives, the largest ids included."""
    order = NewOrder(
        instrument=0xFFFF_FFFE,
        trace=5,
        order_id=BIG,
        price=480_000,
        size=10_000_000,
        budget=4_800_000,
        salt=(1 << 53) - 1,
        timestamp_ms=1_784_402_198_867,
        expires_s=1_795_120_847,
        decided_ns=1_784_402_198_867_000_001,
        tick=10_000,
        side=1,
        tif=3,
        post_only=1,
        strategy=255,
        attempt=9,
    )
    record = new(Kind.NEW_ORDER)
    for name, value in order._asdict().items():
        record[name] = value
    record["leg"] = 254
    cancel = new(Kind.CANCEL)
    cancel["instrument"], cancel["trace"], cancel["order_id"] = 3, 4, BIG
    cancel["reason"], cancel["strategy"] = 37, 200
    arms = new(Kind.ARM, 2)
    unborn = {"order_id": 0, "salt": 0, "timestamp_ms": 1, "expires_s": 0, "decided_ns": 0}
    unborn |= {"post_only": 0, "attempt": 0, "strategy": 0}
    for name, value in order._asdict().items():
        if name not in unborn:
            arms[name] = value
    arms["strategy"], arms["reason"], arms["engaged"] = 255, 40_000, (1, 0)
    commands = Commands(np.concatenate([words(record), words(cancel), words(arms)]))
    kinds = [Kind.NEW_ORDER, Kind.CANCEL, Kind.ARM, Kind.ARM]
    assert [commands.kind(index) for index in range(4)] == kinds
    assert commands.new_order(0) == order
    assert commands.cancel(1) == Cancel(3, 4, BIG, 37)
    assert commands.arm(2) == Arm(order._replace(**unborn), 255, True)
    assert commands.arm(3) == Arm(order._replace(**unborn), 255, False)


def test_reports_have_the_layout_of_the_wire() -> None:
    """Each packed report read through its dtype gives what went in."""
    ring = Ring()
    report = reporter(ring)
    order_hash = bytes(range(32))
    assert report.signed(1, 2, BIG, order_hash, 4_800_000, 10_000_000, STAMPS, 7)
    report.ack(1, 2, BIG, 3, 4, STAMPS, 2)
    report.refusal(Kind.REJECT, 1, 2, BIG, 100, 400, STAMPS)
    report.refusal(Kind.UNKNOWN, 1, 2, BIG, 129, 0, STAMPS)
    report.done(1, 2, BIG, -1, 160)
    report.rail_status(Connection.CONNECTED, 5, 6)
    report.halt(Reason.HALT_RECORD_DAMAGED)
    signed, ack, reject, unknown, done, rail, halt = (
        typed(row, Kind(int(row[0]) & 0xFFFF))[0] for row in ring.rows
    )
    for record in (signed, ack, reject, unknown, done):
        assert (record["source"], record["instrument"], record["trace"]) == (Source.SIGNER, 1, 2)
        assert (record["order_id"], record["local_ns"]) == (BIG, 99)
    assert bytes(signed["order_hash"]) == order_hash
    assert (signed["maker_amount"], signed["taker_amount"]) == (4_800_000, 10_000_000)
    assert (signed["polled_ns"], signed["signed_ns"], signed["logged_ns"]) == (11, 12, 13)
    assert signed["attempt"] == 7
    assert (ack["making"], ack["taking"], ack["status"]) == (3, 4, 2)
    for record in (ack, reject, unknown):
        names = ("polled_ns", "signed_ns", "logged_ns", "sent_ns", "answered_ns")
        assert tuple(record[name] for name in names) == STAMPS
    assert (reject["kind"], reject["reason"], reject["http_status"]) == (Kind.REJECT, 100, 400)
    assert (unknown["kind"], unknown["reason"]) == (Kind.UNKNOWN, 129)
    assert (done["matched"], done["reason"]) == (-1, 160)
    assert (rail["connection"], rail["connects"], rail["errors"]) == (2, 5, 6)
    assert (halt["reason"], halt["engaged"]) == (Reason.HALT_RECORD_DAMAGED, 1)


def test_earlier_orders_have_the_layout_of_the_wire() -> None:
    """RECOVERED read through its dtype gives what went in; the last names no order."""
    ring = Ring()
    report = reporter(ring)
    order_hash = bytes(range(32))
    report.recovered(BIG, order_hash, 480_000, 10_000_000, 255, 1, 3, True)
    report.all_recovered()
    one, last = (typed(row, Kind(int(row[0]) & 0xFFFF))[0] for row in ring.rows)
    assert (one["kind"], one["order_id"], one["local_ns"]) == (Kind.RECOVERED, BIG, 99)
    assert bytes(one["order_hash"]) == order_hash
    assert (one["price"], one["size"], one["strategy"]) == (480_000, 10_000_000, 255)
    assert (one["side"], one["tif"], one["is_open"], one["last"]) == (1, 3, 1, 0)
    assert (last["order_id"], last["is_open"], last["last"]) == (0, 0, 1)


def test_more_earlier_orders_than_any_ring_holds_wait_their_turn() -> None:
    """They come before everything else, however many; the outcomes' own bound stays."""
    ring = Ring(room=1)
    report = reporter(ring)
    count = WAITING_MAX + 10
    for order_id in range(1, count + 1):
        report.recovered(order_id, bytes(32), 1, 1, 0, 0, 0, False)
    report.all_recovered()
    report.done(0, 0, 7, -1, 160)
    assert report.waiting == count + 1
    ring.room = count + 2
    assert report.flush() == count + 1
    kinds = [int(row[0]) & 0xFFFF for row in ring.rows]
    assert kinds == [Kind.RECOVERED] * (count + 1) + [Kind.DONE]


def test_a_full_ring_delays_reports_and_refuses_to_announce() -> None:
    """Outcomes wait their turn in order; SIGNED says False, so that its order is not sent."""
    ring = Ring(room=1)
    report = reporter(ring)
    for order_id in (1, 2, 3):
        report.done(0, 0, order_id, -1, 160)
    assert report.waiting == 2
    assert not report.signed(0, 0, 4, bytes(32), 1, 1, STAMPS, 0)
    assert report.flush() == 0
    ring.room = 10
    assert not report.signed(0, 0, 4, bytes(32), 1, 1, STAMPS, 0), "reports before it wait"
    assert report.flush() == 2
    assert [int(row[4]) for row in ring.rows] == [1, 2, 3]
    assert report.waiting == 0
