"""The small parts of the private feed: memory of what was told, outbox, L2 headers, numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.host.secrets import Account, ApiCredentials
from engine.wire.codes import OrderStatus, Settlement
from feeds.connection import Pace
from feeds.dedupe import Fills, Moment, Orders, Told
from feeds.l2 import l2_headers
from feeds.numbers import (
    bytes32,
    micros_floor,
    micros_of_number,
    token_number,
    venue_ns,
    venue_ns_lenient,
)
from feeds.outbox import OFFER_ROWS_MAX, WAITING_RECORDS_MAX, Outbox

HASH = bytes(32)


def test_orders_only_move_forward():
    """Repeats, smaller matched sizes and a life that is older than the end are not news."""
    orders = Orders()
    assert orders.news(HASH, OrderStatus.LIVE, 0) == Told(OrderStatus.LIVE, 0)
    assert orders.news(HASH, OrderStatus.LIVE, 0) is None
    assert orders.news(HASH, OrderStatus.LIVE, 5) == Told(OrderStatus.LIVE, 5)
    assert orders.news(HASH, OrderStatus.LIVE, 3) is None
    assert orders.live() == [HASH]
    end = orders.news(HASH, OrderStatus.CANCELED, None, Moment(known_ns=2))
    assert end == Told(OrderStatus.CANCELED, 5)
    assert orders.news(HASH, OrderStatus.LIVE, 9, Moment(known_ns=1)) is None
    assert orders.live() == []


def test_a_full_memory_forgets_what_has_ended_first():
    """Live orders outlast ended ones, however old."""
    orders = Orders(entries_max=2)
    names = [bytes([k]) * 32 for k in range(3)]
    orders.news(names[0], OrderStatus.LIVE, 0)
    orders.news(names[1], OrderStatus.CANCELED, 0)
    orders.news(names[2], OrderStatus.LIVE, 0)
    assert orders.live() == [names[0], names[2]]


def test_trades_are_read_again_from_the_oldest_unsettled():
    """Whatever may still change is read again, with an overlap; everything if nothing is known."""
    fills = Fills()
    assert fills.read_from_s(300) == 0
    fills.is_news((b"a", HASH, 0), Settlement.MATCHED, 1_000)
    fills.is_news((b"b", HASH, 0), Settlement.CONFIRMED, 5_000)
    assert fills.read_from_s(300) == 700
    fills.is_news((b"a", HASH, 0), Settlement.CONFIRMED, 1_000)
    assert fills.read_from_s(300) == 4_700


class FullQueue:
    """A queue with room for so many records, and what it took."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[int] = []

    def offer(self, rows: np.ndarray) -> bool:
        """Take all or nothing."""
        if len(rows) > self.room:
            return False
        self.room -= len(rows)
        self.taken += rows[:, 0].tolist()
        return True


def test_a_full_queue_delays_and_never_drops():
    """Records wait while the queue is full and arrive in order, whatever became of the array."""
    queue = FullQueue(room=100)
    outbox = Outbox(queue)
    rows = np.zeros((250, 16), np.int64)
    rows[:, 0] = np.arange(250)
    outbox.put(rows)
    rows[:] = -1
    assert outbox.waiting > 0
    assert outbox.times_full == 1
    queue.room = 10_000
    outbox.flush()
    assert queue.taken == list(range(250))
    assert outbox.waiting == 0


def test_an_overlong_wait_asks_the_source_to_hold_back():
    """Past its bound the outbox says so, and is fine again once the queue has moved."""
    queue = FullQueue(room=0)
    outbox = Outbox(queue)
    while outbox.waiting < WAITING_RECORDS_MAX:
        assert not outbox.is_congested
        outbox.put(np.zeros((OFFER_ROWS_MAX, 16), np.int64))
    assert outbox.is_congested
    queue.room = WAITING_RECORDS_MAX
    outbox.flush()
    assert not outbox.is_congested


def test_l2_headers_equal_the_published_vectors(shared_dir: Path):
    """Our HMAC over a bodyless GET is the one of the venue's own clients."""
    vectors = json.loads((shared_dir / "vectors/auth_l2.json").read_text())["vectors"]
    cases = [case for case in vectors if case["method"] == "GET" and not case.get("body")]
    assert cases
    for case in cases:
        api = ApiCredentials(case["api_key"], case["secret"], case["passphrase"])
        address = case["headers"]["POLY_ADDRESS"]
        account = Account(address=address, funder=address, api=api)
        assert l2_headers(account, "GET", case["path"], case["timestamp"]) == case["headers"]


def test_secrets_may_come_without_padding():
    """A secret without its trailing equals signs signs the same."""
    padded = ApiCredentials("k", "c2VjcmV0cw==", "p")
    bare = ApiCredentials("k", "c2VjcmV0cw", "p")
    signatures = {
        l2_headers(Account("0x1", "0x1", each), "GET", "/data/orders", 1)["POLY_SIGNATURE"]
        for each in (padded, bare)
    }
    assert len(signatures) == 1


def test_stamps_are_believed_in_their_unit_only():
    """Milliseconds are milliseconds; seconds pass only where both are known to occur."""
    assert venue_ns("1777366994943") == 1_777_366_994_943_000_000
    for wrong in ("0", "1777366994", "1777366994943000", "-1", "", "٣777366994943"):
        with pytest.raises(ValueError, match="timestamp"):
            venue_ns(wrong)
    assert venue_ns_lenient("1777366994") == 1_777_366_994_000_000_000
    assert venue_ns_lenient(None) == venue_ns_lenient("") == 0


def test_numbers_are_exact_or_refused():
    """Floats go through their text, quotients round down, ids must be canonical."""
    assert micros_of_number(0.001) == 1_000
    assert micros_of_number("5") == 5_000_000
    assert micros_floor("0.0030000000012") == 3_000
    for wrong in (True, None, float("inf"), "1e20", [], -0.1):
        with pytest.raises(ValueError, match="number"):
            micros_of_number(wrong)
    for wrong in ("00", "-1", "1.0", "", str(1 << 256)):
        with pytest.raises(ValueError, match="uint256"):
            token_number(wrong)
    assert bytes32("0x" + "ab" * 31) == b"\xab" * 31 + b"\0"


def test_backoff_has_full_jitter_between_its_bounds():
    """The bound of the wait doubles with every failure and stays between its ends."""
    pace = Pace(100, 1_000, 30_000, 10_000)
    assert pace.backoff_ms(1, 0.0) == 100
    assert pace.backoff_ms(1, 0.5) == 150
    assert pace.backoff_ms(2, 0.999) <= 400
    assert pace.backoff_ms(500, 0.999) <= 1_000
