"""Fills that cannot be are not booked; their market is halted, and the rest trades on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from core_driver import DOWN, MICROS, SPREAD, UP, Driver, book, fill, of_kind, report

from engine.core.world.orders import OrderState
from engine.wire.codes import Kind, Liquidity, OrderStatus, Reason, Settlement, Side

HASH = bytes(range(32))
BOOKS = book(UP, {"0.46": "100"}, {"0.48": "100"}), book(DOWN, {"0.50": "100"}, {"0.52": "100"})


def resting() -> tuple[Driver, int]:
    """Return a driver whose bid for 20 Up at 0.48 rests, and the bid's id."""
    driver = Driver(SPREAD)
    order_id = int(of_kind(driver.open_market(), Kind.NEW_ORDER)[0]["order_id"])
    driver.step(
        report(Kind.SIGNED, order_id, order_hash=HASH),
        report(Kind.ACK, order_id, status=OrderStatus.LIVE),
    )
    return driver, order_id


def maker(price: str = "0.48", size: str = "20", **fields: Any) -> np.ndarray:
    """Return a fill of the bid."""
    return fill(HASH, price, size, liquidity=Liquidity.MAKER, **fields)


IMPOSSIBLE = {
    "larger than its order": maker(size="20.5"),
    "above the limit": maker("0.49"),
    "no size": maker(size="0"),
    "negative size": maker(size="-20"),
    "more than there is": maker(size="2000000000"),
    "no price": maker("0"),
    "price of one": maker("1"),
    "another side": maker(side=Side.SELL),
    "another token": maker(instrument=DOWN),
    "unknown word": maker(settlement=Settlement.UNKNOWN),
    "settlement of no name": maker(settlement=77),
}


@pytest.mark.parametrize("record", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_fill_that_cannot_be_is_not_booked(record: np.ndarray) -> None:
    """It is counted and told, its market is halted for a reason of its own, money stays."""
    driver, _ = resting()
    said = driver.step(record)
    gauges = driver.engine.gauges()
    assert (gauges["fills"], gauges["cash_flow_micros"]) == (0, 0)
    assert (gauges["contradictions"], gauges["markets_halted"]) == (1, 1)
    assert [int(d["reason"]) for d in of_kind(said, Kind.DECISION)] == [Reason.CONTRADICTION]
    ((where, error),) = driver.engine.failures
    assert "market=0" in where
    assert HASH.hex() in str(error)
    assert not of_kind(driver.step(*BOOKS), Kind.NEW_ORDER)


def test_a_fill_told_again_with_another_size_is_not_believed() -> None:
    """What was booked stays booked once; the second word halts the market."""
    driver, _ = resting()
    driver.step(maker(size="5"))
    assert driver.engine.world.lots.size(UP) == 5 * MICROS
    driver.step(maker(size="6", settlement=Settlement.MINED))
    assert driver.engine.world.lots.size(UP) == 5 * MICROS
    assert driver.engine.gauges()["contradictions"] == 1


def test_what_rests_in_a_contradicted_market_is_cancelled_and_its_order_ends() -> None:
    """CANCEL goes out; a final size that includes the fill not booked does not hold it open."""
    driver, order_id = resting()
    said = driver.step(maker(size="20.5"))
    cancels = [(int(c["order_id"]), int(c["reason"])) for c in of_kind(said, Kind.CANCEL)]
    assert (order_id, Reason.CONTRADICTION) in cancels
    driver.step(report(Kind.DONE, order_id, matched=20 * MICROS, reason=Reason.FILLED))
    order = driver.engine.world.orders.by_id[order_id]
    assert order.state == OrderState.DONE


def test_what_may_be_held_of_a_fill_not_believed_counts_at_its_worst() -> None:
    """Up to the size of its order, at 1 a share, until the venue's balance tells."""
    driver, order_id = resting()
    before = driver.engine.world.total_exposure()
    driver.step(maker("0.49"))
    driver.step(report(Kind.DONE, order_id, matched=20 * MICROS, reason=Reason.FILLED))
    spent = 480_000 * 20
    assert driver.engine.world.total_exposure() == before - spent + 20 * MICROS
