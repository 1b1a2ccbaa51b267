"""Armed and unarmed are two ways to the same order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arming import ALONE, BOTH, UNARMED, sniper
from core_driver import DUTCH, UP, Driver, book, of_kind, report
from hypothesis import given
from hypothesis import strategies as st

from engine.core.orders import ids
from engine.math.units import MICROS, text_from_micros
from engine.wire.codes import Kind, Reason, Side

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
    driver.hold(UP, 100 * MICROS)
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


@given(
    st.lists(cents, min_size=1, max_size=8),
    cents,
    st.sampled_from(Side),
    st.sampled_from([ALONE, BOTH]),
)
def test_what_is_put_off_until_orders_are_on_their_way_changes_nothing(
    asks: list[int], limit: int, side: Side, is_armed: int
) -> None:
    """Settled at once or by the next step: the same records, byte for byte, and the same world."""
    told = []
    for settles in (True, False):
        driver = Driver(
            sniper(limit=10_000 * limit, side=side, is_armed=is_armed),
            sniper(limit=10_000 * limit, side=side, is_armed=UNARMED),
            DUTCH,
        )
        driver.settles = settles
        driver.hold(UP, 100 * MICROS)
        driver.open_market(({"0.01": "100"}, {"0.99": "100"}))
        said = []
        for move in moves(asks):
            out = driver.step(move)
            for order in of_kind(out, Kind.NEW_ORDER)[:1]:
                out += driver.step(report(Kind.UNKNOWN, int(order["order_id"])))
            said += [record.tobytes() for record in out]
        driver.engine.settle()
        told.append((said, driver.engine.gauges()))
    assert told[0] == told[1]


@pytest.mark.parametrize("side", Side)
def test_the_property_has_orders_to_speak_of(side: Side) -> None:
    """A touch that comes to the limit twice makes two orders of either kind."""
    asks = [60, 40, 60, 40] if side == Side.BUY else [40, 60, 40, 60]
    assert len(orders_of(asks, limit=500_000, side=side, is_armed=1)) == 2
