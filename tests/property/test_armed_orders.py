"""Armed and unarmed are two ways to the same order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arming import sniper
from core_driver import UP, Driver, book, of_kind, report
from hypothesis import given
from hypothesis import strategies as st

from engine.core import armed_kernel
from engine.core.orders import ids
from engine.core.outbox import Outbox
from engine.core.world.books import ASK, BID, CERTIFIED, LIVE, LOCAL_NS, STATE, TOP_COLUMNS, TRACE
from engine.math.units import MICROS, text_from_micros
from engine.wire.codes import Kind, Reason, Side, Tif

# What is not a function of the wish alone: ids follow from the trace, stamps from the time.
CAUSED = {"order_id", "salt", "trace", "timestamp_ms", "local_ns", "trigger_ns", "decided_ns"}

cents = st.integers(2, 98)


def moves(asks: list[int]) -> list[np.ndarray]:
    """Return a snapshot for each ask in cents, the bid one below."""
    texts = [(text_from_micros(10_000 * (a - 1)), text_from_micros(10_000 * a)) for a in asks]
    return [book(UP, {bid: "100"}, {ask: "100"}) for bid, ask in texts]


def orders_of(asks: list[int], **wish: int) -> list[dict[str, Any]]:
    """Return what a sniper's orders say, each killed by the venue as soon as it is there."""
    driver = Driver(sniper(**wish))
    driver.engine.world.position(1, UP).size = 100 * MICROS
    driver.open_market(({"0.01": "100"}, {"0.99": "100"}))  # at nobody's limit
    found = []
    for move in moves(asks):
        out = driver.step(move)
        while driver.engine.is_unasked:
            out += driver.step()
        orders = of_kind(out, Kind.NEW_ORDER)
        for order in orders:
            assert int(order["order_id"]) == ids.order_id(7, 1, int(order["trace"]), 0, 0)
            assert int(order["salt"]) == ids.salt(int(order["order_id"]))
            driver.step(report(Kind.REJECT, int(order["order_id"]), reason=Reason.VENUE_KILLED))
        assert driver.engine.world.orders.working_count == wish["is_armed"]
        found += orders
    return [
        {name: int(order[name]) for name in order.dtype.names if name[0] != "_"} for order in found
    ]


@given(
    st.lists(cents, min_size=1, max_size=12).map(
        lambda asks: [a for a, before in zip(asks, [0, *asks], strict=False) if a != before]
    ),
    cents,
    st.sampled_from(Side),
)
def test_an_armed_take_is_the_order_that_would_have_been_sent(
    asks: list[int], limit: int, side: Side
) -> None:
    """Whatever way the touch goes: as many orders, on the same touches, equal but for the cause."""
    wish = {"limit": 10_000 * limit, "side": side}
    now, later = (orders_of(asks, **wish, is_armed=is_armed) for is_armed in (1, 0))
    assert [
        {name: value for name, value in order.items() if name not in CAUSED} for order in now
    ] == [{name: value for name, value in order.items() if name not in CAUSED} for order in later]


@given(st.integers(0, 2**64 - 1))
def test_the_jitted_finaliser_is_the_plain_one(x: int) -> None:
    """Both give the same 64 bits."""
    assert armed_kernel.splitmix64(x) == ids.splitmix64(x)


@given(
    run_seed=st.integers(0, 2**63 - 1),
    strategy=st.integers(1, 255),
    trace=st.integers(1, 2**40 - 1),
    now_ns=st.integers(10**18, 2 * 10**18),
    age_ns=st.integers(0, 10**9),
    touch=st.tuples(st.integers(0, 98), st.integers(1, 100)),
)
def test_what_leaves_is_what_the_outbox_would_have_written(
    run_seed: int, strategy: int, trace: int, now_ns: int, age_ns: int, touch: tuple[int, int]
) -> None:
    """Records that were written when it was armed and completed when it fires, byte for byte."""
    bid, ask = (10_000 * cent for cent in touch)
    order_id = ids.order_id(run_seed, strategy, trace, 0, 0)

    def write(outbox: Outbox, trace: int, order_id: int, seen: dict[str, int]) -> np.ndarray:
        terms = {"price": 450_000, "size": 10**7, "strategy": strategy, "side": 0, "leg": 0}
        decided = {name: seen[name] for name in ("bid", "ask", "book_age_ns")}
        outbox.decision(3, trace, order_id=order_id, edge=-5, reason=Reason.OK, **terms, **decided)
        outbox.new_order(
            3,
            trace,
            order_id=order_id,
            budget=4_500_000,
            salt=ids.salt(order_id),
            trigger_ns=seen["trigger_ns"],
            tick=10_000,
            tif=Tif.FOK,
            post_only=False,
            **terms,
        )
        return outbox.rows

    then, now = Outbox(), Outbox()
    then.clear(17)
    now.clear(now_ns)
    nothing = {"bid": 1, "ask": 2, "book_age_ns": 3, "trigger_ns": 4}
    records = write(then, 5, 6, nothing)[np.newaxis].copy()
    seen = {"bid": bid, "ask": ask, "book_age_ns": age_ns, "trigger_ns": now_ns - age_ns}
    tops = np.zeros((4, TOP_COLUMNS), np.int64)
    tops[3, [BID, ASK, TRACE, LOCAL_NS]] = bid, ask, trace, now_ns - age_ns
    out = np.full((5, 16), -1, np.int64)
    seed = ids.splitmix64(run_seed)
    left = armed_kernel.leave(records, 0, tops, 3, strategy, seed, now_ns, out, 2)
    assert left == order_id
    assert out[2:4].tolist() == write(now, trace, order_id, seen).tolist()
    assert (out[[0, 1, 4]] == -1).all()


OLDEST_NS = 5


def look(armed: list[tuple[int, int, int]], tops: np.ndarray, dirty: np.ndarray) -> list[list[int]]:
    """Return what `armed_kernel.look` returns, in plain Python."""
    return [
        [k, tops[index, TRACE], tops[index, LOCAL_NS]]
        for k, (index, side, limit) in enumerate(armed)
        if dirty[index]
        and tops[index, STATE] == LIVE
        and tops[index, CERTIFIED]
        and tops[index, LOCAL_NS] >= OLDEST_NS
        and (tops[index, ASK] <= limit if side == Side.BUY else tops[index, BID] >= limit)
    ]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(Side), cents), max_size=8),
    st.lists(
        st.tuples(
            st.tuples(cents, cents, st.integers(0, 2), st.integers(0, 1), st.integers(4, 6)),
            st.integers(0, 1),
        ),
        min_size=3,
        max_size=3,
    ),
)
def test_the_look_finds_what_plain_python_finds(
    armed: list[tuple[int, int, int]], books: list[tuple[tuple[int, ...], int]]
) -> None:
    """Only live, certified, fresh and changed books, and limits that the touch has come to."""
    tops, dirty = np.zeros((4, TOP_COLUMNS), np.int64), np.zeros(4, np.int64)
    for index, (top, is_dirty) in enumerate(books, 1):
        tops[index, [BID, ASK, STATE, CERTIFIED, LOCAL_NS]] = top
        tops[index, TRACE], dirty[index] = 100 + index, is_dirty
    rows = np.array([*armed, (0, 0, 0)], np.int64)
    hits = np.full((len(rows), 3), -1, np.int64)
    count = armed_kernel.look(rows, len(armed), tops, dirty, OLDEST_NS, hits)
    assert hits[:count].tolist() == look(armed, tops, dirty)


@pytest.mark.parametrize("side", Side)
def test_the_property_has_orders_to_speak_of(side: Side) -> None:
    """A touch that comes to the limit twice makes two orders of either kind."""
    asks = [60, 40, 60, 40] if side == Side.BUY else [40, 60, 40, 60]
    assert len(orders_of(asks, limit=500_000, side=side, is_armed=1)) == 2
