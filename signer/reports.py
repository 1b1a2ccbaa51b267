"""What the signer tells the core: execution reports, packed straight into ring rows.

`struct` fills a row several times faster than a structured array does; a unit test compares every
report with the dtypes of `engine.wire.records`. A full ring loses nothing: reports wait here.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from engine.wire.codes import Kind, Source
from engine.wire.records import RECORD_BYTES, RECORD_WORDS

_HEADER = struct.Struct("<HBBIQqq")
_ACK = struct.Struct("<QqqqqqqqB7x")
_REFUSAL = struct.Struct("<QHH12xqqqqq")
_DONE = struct.Struct("<QqH6x")
_RAIL = struct.Struct("<B7xqq")
_RECOVERED = struct.Struct("<Q32sqqBBBBB3x")
_HALT = struct.Struct("<HB5x")
_BODY = _HEADER.size
_SIGNED = struct.Struct(_HEADER.format + "Q32sqqqqqB15x")
_SIGNED_KIND, _ACK_KIND, _SOURCE = int(Kind.SIGNED), int(Kind.ACK), int(Source.SIGNER)
WAITING_MAX = 1 << 16


class Stamps(NamedTuple):
    """When an order passed each stage, local nanoseconds; 0 = it did not get there."""

    polled_ns: int
    signed_ns: int = 0
    logged_ns: int = 0
    sent_ns: int = 0
    answered_ns: int = 0


class Ring(Protocol):
    """Where reports go: the `exec` ring."""

    def offer(self, rows: np.ndarray) -> bool:
        """Put rows in; False = full, and none is in. Hot path."""
        ...


class Reporter:
    """The writer of the `exec` ring."""

    __slots__ = ("_now_ns", "_ring", "_row", "_view", "_waiting", "_waiting_max")

    def __init__(self, ring: Ring, now_ns: Callable[[], int]) -> None:
        self._ring = ring
        self._now_ns = now_ns
        self._row = np.zeros((1, RECORD_WORDS), np.int64)
        self._view = self._row.data.cast("B")
        self._waiting: deque[np.ndarray] = deque()
        self._waiting_max = WAITING_MAX

    @property
    def waiting(self) -> int:
        """Reports the ring had no room for yet."""
        return len(self._waiting)

    def signed(
        self,
        instrument: int,
        trace: int,
        order_id: int,
        order_hash: bytes,
        maker_amount: int,
        taker_amount: int,
        stamps: Stamps,
        attempt: int,
    ) -> bool:
        """SIGNED: in the order log, and not sent yet. False = the ring is full; tell nobody.

        Hot path.
        """
        polled_ns, signed_ns, logged_ns, _, _ = stamps
        # The whole record at once: nothing of the last one is left.
        _SIGNED.pack_into(
            self._view,
            0,
            _SIGNED_KIND,
            _SOURCE,
            0,
            instrument,
            trace,
            0,
            self._now_ns(),
            order_id,
            order_hash,
            maker_amount,
            taker_amount,
            polled_ns,
            signed_ns,
            logged_ns,
            attempt,
        )
        return not self._waiting and self._ring.offer(self._row)

    def ack(
        self,
        instrument: int,
        trace: int,
        order_id: int,
        making: int,
        taking: int,
        stamps: Stamps,
        status: int,
    ) -> None:
        """ACK: the venue has the order. making / taking: micros matched at once."""
        self._begin(_ACK_KIND, instrument, trace)
        _ACK.pack_into(self._view, _BODY, order_id, making, taking, *stamps, status)
        self._publish()

    def refusal(
        self,
        kind: Kind,
        instrument: int,
        trace: int,
        order_id: int,
        reason: int,
        http_status: int,
        stamps: Stamps,
    ) -> None:
        """REJECT (certainly not live) or UNKNOWN (not seen)."""
        self._begin(kind, instrument, trace)
        _REFUSAL.pack_into(self._view, _BODY, order_id, reason, http_status, *stamps)
        self._publish()

    def done(self, instrument: int, trace: int, order_id: int, matched: int, reason: int) -> None:
        """DONE: the order is over. matched: micro-shares, -1 = not said."""
        self._begin(Kind.DONE, instrument, trace)
        _DONE.pack_into(self._view, _BODY, order_id, matched, reason)
        self._publish()

    def rail_status(self, connection: int, connects: int, errors: int) -> None:
        """RAIL_STATUS: whether orders can reach the venue."""
        self._begin(Kind.RAIL_STATUS, 0, 0)
        _RAIL.pack_into(self._view, _BODY, connection, connects, errors)
        self._publish()

    def recovered(
        self,
        order_id: int,
        order_hash: bytes,
        price: int,
        size: int,
        strategy: int,
        side: int,
        tif: int,
        is_open: bool,
    ) -> None:
        """RECOVERED: an order of an earlier life of this process."""
        self._waiting_max += 1  # a start may have more to tell than a ring holds
        self._begin(Kind.RECOVERED, 0, 0)
        facts = (order_id, order_hash, price, size, strategy, side, tif, is_open)
        _RECOVERED.pack_into(self._view, _BODY, *facts, 0)
        self._publish()

    def all_recovered(self) -> None:
        """RECOVERED, the last: every order of earlier lives has been told."""
        self._begin(Kind.RECOVERED, 0, 0)
        _RECOVERED.pack_into(self._view, _BODY, 0, bytes(32), 0, 0, 0, 0, 0, 0, 1)
        self._publish()

    def halt(self, reason: int) -> None:
        """HALT: the core must stop trading."""
        self._begin(Kind.HALT, 0, 0)
        _HALT.pack_into(self._view, _BODY, reason, 1)
        self._publish()

    def flush(self) -> int:
        """Offer what waits; return how many reports went."""
        sent = 0
        while self._waiting and self._ring.offer(self._waiting[0]):
            self._waiting.popleft()
            sent += 1
        return sent

    def _begin(self, kind: int, instrument: int, trace: int) -> None:
        self._row.fill(0)
        _HEADER.pack_into(self._view, 0, kind, _SOURCE, 0, instrument, trace, 0, self._now_ns())

    def _publish(self) -> None:
        if self._waiting or not self._ring.offer(self._row):
            # The duty takes no orders while anything waits, so this is bounded by those in flight.
            assert len(self._waiting) < self._waiting_max, "execution reports pile up unread"
            self._waiting.append(self._row.copy())


assert _BODY == RECORD_BYTES - 96
assert _SIGNED.size == RECORD_BYTES
