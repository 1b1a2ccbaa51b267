"""Armed takes: when they leave, what they reserve meanwhile, and what disarms them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arming import BOTH, sniper
from core_driver import (
    DOWN,
    LIMITS,
    SECOND,
    UP,
    Driver,
    book,
    feed_status,
    instrument,
    levels,
    of_kind,
    report,
    status,
)

from engine.core.orders import ids
from engine.core.world.orders import OrderState
from engine.math.units import MICROS
from engine.wire.codes import Connection, Kind, MarketStatus, Reason, Side, Source, Tif
from engine.wire.records import new

AT_LIMIT = book(UP, {"0.43": "100"}, {"0.45": "100"})
NEAR = book(UP, {"0.44": "100"}, {"0.46": "100"})
NOTIONAL = 4_500_000


def armed(*strategies: Any, **limits: int) -> tuple[Driver, list[np.void]]:
    """Return a driver whose sniper has just been asked for the first time, and what was said."""
    chosen = type(LIMITS)(**{name: getattr(LIMITS, name) for name in LIMITS.__slots__} | limits)
    driver = Driver(*(strategies or (sniper(),)), limits=chosen)
    return driver, driver.open_market()


def arms(records: list[np.void]) -> list[tuple[int, int]]:
    """Return (engaged, reason) of each ARM."""
    return [(int(r["engaged"]), int(r["reason"])) for r in of_kind(records, Kind.ARM)]


def gauge(driver: Driver, name: str) -> int:
    """Return one of the core's gauges."""
    return driver.engine.gauges()[name]


def test_arming_tells_the_signer_and_sends_nothing() -> None:
    """One ARM with everything that is signed but salt and time; no order and no decision yet."""
    driver, said = armed()
    assert [int(r["kind"]) for r in of_kind(said, Kind.ARM)] == [r["kind"] for r in said]
    (arm,) = said
    told = {name: int(arm[name]) for name in ("instrument", "price", "size", "budget", "tick")}
    assert told == {
        "instrument": UP,
        "price": 450_000,
        "size": 10 * MICROS,
        "budget": NOTIONAL,
        "tick": 10_000,
    }
    assert (arm["side"], arm["tif"], arm["strategy"], arm["engaged"]) == (Side.BUY, Tif.FOK, 1, 1)
    assert not driver.engine.is_unasked


def test_what_is_armed_is_reserved_but_not_open() -> None:
    """It is exposure and holds cash and a place among the orders; nothing waits for its end."""
    driver, _ = armed()
    assert gauge(driver, "exposure_micros") == NOTIONAL
    assert driver.engine.world.reserved_cash() == NOTIONAL
    assert (gauge(driver, "orders_armed"), gauge(driver, "orders_open")) == (1, 0)
    assert gauge(driver, "orders_opened") == 0


def test_asking_for_what_is_armed_changes_nothing() -> None:
    """The same wish again says nothing and reserves nothing more."""
    driver, _ = armed()
    assert driver.step(NEAR) == []
    assert gauge(driver, "exposure_micros") == NOTIONAL


def test_it_leaves_when_the_ask_comes_to_its_limit() -> None:
    """A DECISION and its NEW_ORDER, caused by the row that moved the ask, and nobody was asked."""
    driver, _ = armed()
    row = driver.sequence + 1
    decision, order = driver.step(AT_LIMIT)
    assert driver.engine.is_unasked
    order_id = ids.order_id(7, 1, row, 0, 0)
    assert (decision["order_id"], order["order_id"]) == (order_id, order_id)
    assert order["salt"] == ids.salt(order_id)
    assert (decision["trace"], order["trace"]) == (row, row)
    told = {name: int(order[name]) for name in ("price", "size", "budget", "tick", "side", "tif")}
    assert told == {
        "price": 450_000,
        "size": 10 * MICROS,
        "budget": NOTIONAL,
        "tick": 10_000,
        "side": Side.BUY,
        "tif": Tif.FOK,
    }
    stamps = ("local_ns", "trigger_ns", "decided_ns")
    assert {int(order[name]) for name in stamps} == {driver.now_ns}
    assert order["timestamp_ms"] == driver.now_ns // 1_000_000
    seen = {name: int(decision[name]) for name in ("bid", "ask", "reason", "edge", "book_age_ns")}
    assert seen == {"bid": 430_000, "ask": 450_000, "reason": 0, "edge": 7, "book_age_ns": 0}


def test_it_leaves_once_and_its_strategy_is_asked_in_the_next_step() -> None:
    """The order is pending under its id; the step after it, due at once, arms the next."""
    driver, _ = armed()
    _, order = driver.step(AT_LIMIT)
    assert gauge(driver, "orders_armed") == 0
    working = driver.engine.world.orders.by_id[int(order["order_id"])]
    assert working.state == OrderState.PENDING
    assert arms(driver.step()) == [(1, 0)]
    assert not driver.engine.is_unasked
    assert gauge(driver, "exposure_micros") == 2 * NOTIONAL
    assert driver.step() == []


def test_another_order_for_the_same_cause_is_another_leg() -> None:
    """A strategy that takes at a tick that has fired already gets an order with its own id."""
    driver, _ = armed(sniper(is_armed=BOTH))
    out = driver.step(AT_LIMIT)
    assert len(of_kind(out, Kind.NEW_ORDER)) == 1
    orders = of_kind(out + driver.step(), Kind.NEW_ORDER)
    assert [int(order["leg"]) for order in orders] == [0, 1]
    assert len({int(order["trace"]) for order in orders}) == 1
    assert len({int(order["order_id"]) for order in orders}) == 2


def test_an_order_that_left_armed_lives_like_any_other() -> None:
    """A refusal by the venue ends it and frees what it held."""
    driver, _ = armed()
    _, order = driver.step(AT_LIMIT)
    driver.step(report(Kind.REJECT, int(order["order_id"]), reason=Reason.VENUE_KILLED))
    assert gauge(driver, "orders_open") == 0
    assert gauge(driver, "exposure_micros") == NOTIONAL  # what is armed by now


def test_a_sale_leaves_when_the_bid_comes_to_its_limit() -> None:
    """Shares are reserved instead of money."""
    driver = Driver(sniper(side=Side.SELL, limit=520_000))
    driver.hold(UP, 10 * MICROS)
    assert arms(driver.open_market()) == [(1, 0)]
    assert driver.engine.world.orders.working_sell_size(UP) == 10 * MICROS
    assert driver.step(book(UP, {"0.51": "9"}, {"0.53": "9"})) == []
    _, order = driver.step(book(UP, {"0.52": "9"}, {"0.54": "9"}))
    assert (order["side"], order["price"], order["budget"]) == (Side.SELL, 520_000, 0)
    assert gauge(driver, "orders_armed") == 0


def test_an_unfinished_book_fires_nothing() -> None:
    """A touch that is not the venue's own claim may be half a frame."""
    driver, _ = armed()
    half = levels(UP, [("0.45", "9", Side.SELL)], 430_000, 460_000)
    assert not of_kind(driver.step(half), Kind.NEW_ORDER)


def test_a_touch_that_is_there_already_fires_with_the_next_change_of_the_book() -> None:
    """What is armed is looked at when the book changes, not when it is armed."""
    driver = Driver(sniper(limit=500_000))
    assert arms(driver.open_market()) == [(1, 0)]
    assert driver.step() == []
    assert driver.step(book(DOWN, {"0.49": "9"}, {"0.52": "9"})) == []
    assert of_kind(driver.step(NEAR), Kind.NEW_ORDER)


def test_several_leave_in_one_step_in_the_order_they_were_armed() -> None:
    """Two strategies and two books: three orders, and each is asked again."""
    third = sniper(instrument=DOWN, limit=450_000)
    driver, said = armed(sniper(), sniper(limit=460_000), third)
    assert len(arms(said)) == 3
    out = driver.step(AT_LIMIT, book(DOWN, {"0.43": "9"}, {"0.45": "9"}))
    orders = of_kind(out, Kind.NEW_ORDER)
    assert [(int(o["strategy"]), int(o["instrument"])) for o in orders] == [
        (1, UP),
        (2, UP),
        (3, DOWN),
    ]
    assert len({int(o["order_id"]) for o in orders}) == 3
    assert arms(driver.step()) == [(1, 0)] * 3


def test_what_stays_armed_is_not_mixed_up_when_others_go() -> None:
    """After the first of two has left, the second still leaves as itself."""
    driver, _ = armed(sniper(), sniper(limit=430_000, size=20 * MICROS))
    first = of_kind(driver.step(AT_LIMIT), Kind.NEW_ORDER)
    second = of_kind(driver.step(book(UP, {"0.41": "9"}, {"0.43": "9"})), Kind.NEW_ORDER)
    assert [(int(o["strategy"]), int(o["size"])) for o in first + second] == [
        (1, 10 * MICROS),
        (2, 20 * MICROS),
    ]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"order_notional_max": MICROS}, Reason.ORDER_NOTIONAL),
        ({"market_notional_max": MICROS}, Reason.MARKET_NOTIONAL),
        ({"total_notional_max": MICROS}, Reason.TOTAL_NOTIONAL),
        ({"orders_per_second_max": 0}, Reason.ORDER_RATE),
        ({"orders_open_max": 0}, Reason.ORDERS_OPEN_MAX),
        ({"cash_min": 1_000 * MICROS}, Reason.INSUFFICIENT_CASH),
    ],
)
def test_every_gate_is_asked_before_anything_is_armed(
    limits: dict[str, int], reason: Reason
) -> None:
    """A refused wish is decided once, by its reason, and reserves nothing."""
    driver, said = armed(**limits)
    assert [int(d["reason"]) for d in said] == [reason]
    assert gauge(driver, "exposure_micros") == 0
    assert driver.step(NEAR) == []
    assert not of_kind(driver.step(AT_LIMIT), Kind.NEW_ORDER)


def test_what_is_armed_counts_in_the_limits_of_others() -> None:
    """Two of five micros each do not both fit under eight."""
    driver, said = armed(sniper(), sniper(limit=440_000), market_notional_max=8 * MICROS)
    assert arms(said) == [(1, 0)]
    assert [int(d["reason"]) for d in of_kind(said, Kind.DECISION)] == [Reason.MARKET_NOTIONAL]
    assert gauge(driver, "orders_armed") == 1


def wishes(driver: Driver, **values: int) -> None:
    """Change what the first sniper wants."""
    driver.engine._strategies[0][0].values.update(values)  # type: ignore[attr-defined]


def test_another_wish_takes_the_place_of_the_first() -> None:
    """The old one is disarmed before the new one is gated: both together need not fit."""
    driver, _ = armed(market_notional_max=5 * MICROS)
    wishes(driver, limit=440_000)
    assert arms(driver.step(NEAR)) == [(0, Reason.SUPERSEDED), (1, 0)]
    assert gauge(driver, "exposure_micros") == 4_400_000
    assert not of_kind(driver.step(AT_LIMIT), Kind.NEW_ORDER)


def test_none_disarms() -> None:
    """Nothing is reserved any more, and the limit means nothing."""
    driver, _ = armed()
    wishes(driver, size=0)
    assert arms(driver.step(NEAR)) == [(0, Reason.SUPERSEDED)]
    assert gauge(driver, "exposure_micros") == 0
    assert driver.step(AT_LIMIT) == []


def halt() -> np.ndarray:
    """Return a HALT by the operator."""
    record = new(Kind.HALT)
    record["reason"], record["engaged"] = Reason.HALT_OPERATOR, 1
    return record


def new_tick() -> np.ndarray:
    """Return a STATUS with a finer tick."""
    record = status(MarketStatus.UNKNOWN)
    record["tick"] = 1_000
    return record


LOST_BOOK = feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED, UP)
LOST_FEED = feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED)
LOST_FILLS = feed_status(Source.CLOB_USER, Connection.DISCONNECTED)
OTHER_FEE = instrument(UP, 50_000)

NEWS = pytest.mark.parametrize(
    ("news", "reason"),
    [
        (halt(), Reason.HALT_OPERATOR),
        (new(Kind.GAP), Reason.STALE_BOOK),
        (feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED), Reason.STALE_BOOK),
        (feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED, UP), Reason.STALE_BOOK),
        (new_tick(), Reason.SUPERSEDED),
        (instrument(UP, 50_000), Reason.SUPERSEDED),
        (status(MarketStatus.CLOSED), Reason.MARKET_CLOSED),
        (status(MarketStatus.RESOLVED, MICROS), Reason.MARKET_CLOSED),
        (feed_status(Source.CLOB_USER, Connection.DISCONNECTED), Reason.PRIVATE_STREAM_LOST),
    ],
    ids=["halt", "gap", "feed", "book", "tick", "fee", "closed", "resolved", "private stream"],
)


@NEWS
def test_news_disarms(news: np.ndarray, reason: Reason) -> None:
    """At once or in the next quiet step: the signer is told why, and nothing is reserved."""
    driver, _ = armed()
    out = driver.step(news) + driver.step(after_ns=SECOND)
    assert arms(out)[0] == (0, reason)
    wishes(driver, size=0)
    driver.step(after_ns=SECOND)
    assert (gauge(driver, "exposure_micros"), gauge(driver, "orders_armed")) == (0, 0)
    assert not of_kind(driver.step(AT_LIMIT), Kind.NEW_ORDER)


@NEWS
def test_news_in_the_same_batch_comes_first(news: np.ndarray, reason: Reason) -> None:
    """However fast the touch follows, what has happened before it is known when it fires.

    A book that comes whole after a loss is believed again, so that one may leave.
    """
    driver, _ = armed()
    out = driver.step(news, AT_LIMIT)
    if reason == Reason.STALE_BOOK:
        assert of_kind(out, Kind.NEW_ORDER)
        return
    assert not of_kind(out, Kind.NEW_ORDER)
    assert arms(out) == [(0, reason)]
    assert gauge(driver, "exposure_micros") == 0


def test_a_book_that_falls_silent_disarms() -> None:
    """No tick comes any more: once the book is too old, a quiet step releases what is armed."""
    driver, _ = armed()
    assert driver.step(after_ns=4 * SECOND) == []
    assert arms(driver.step(after_ns=2 * SECOND)) == [(0, Reason.STALE_BOOK)]
    assert gauge(driver, "exposure_micros") == 0


def test_money_that_is_gone_disarms() -> None:
    """When the balance no longer covers what is reserved and its fee, nothing stays armed."""
    driver, _ = armed()
    driver.engine.world.cash.flow -= 1_000 * MICROS - NOTIONAL
    assert arms(driver.step(after_ns=SECOND)) == [(0, Reason.INSUFFICIENT_CASH)]
    assert driver.engine.world.reserved_cash() == 0


def test_shares_that_are_gone_disarm() -> None:
    """A sale of shares that a failed fill has taken back is armed no longer."""
    driver = Driver(sniper(side=Side.SELL, limit=520_000))
    driver.hold(UP, 10 * MICROS)
    driver.open_market()
    driver.hold(UP, 5 * MICROS)
    assert arms(driver.step(after_ns=SECOND)) == [(0, Reason.INSUFFICIENT_SHARES)]


def test_money_that_is_gone_is_noticed_when_it_fires() -> None:
    """What has shrunk since the last look no longer covers it: disarmed, and nothing leaves."""
    driver, _ = armed()
    driver.engine.world.cash.flow -= 1_000 * MICROS - NOTIONAL
    out = driver.step(AT_LIMIT)
    assert arms(out) == [(0, Reason.INSUFFICIENT_CASH)]
    assert not of_kind(out, Kind.NEW_ORDER)


def test_shares_that_are_gone_are_noticed_when_it_fires() -> None:
    """Shares taken back since the last look, in the same batch even: disarmed, nothing leaves."""
    driver = Driver(sniper(side=Side.SELL, limit=520_000))
    driver.hold(UP, 10 * MICROS)
    driver.open_market()
    driver.hold(UP, 5 * MICROS)
    out = driver.step(book(UP, {"0.52": "9"}, {"0.54": "9"}))
    assert arms(out) == [(0, Reason.INSUFFICIENT_SHARES)]
    assert not of_kind(out, Kind.NEW_ORDER)


def test_the_order_rate_is_asked_again_when_it_fires() -> None:
    """Armed orders can all fire at once: beyond the rate they are disarmed instead."""
    driver, said = armed(sniper(), sniper(limit=460_000), orders_per_second_max=1)
    assert arms(said) == [(1, 0)] * 2
    out = driver.step(AT_LIMIT)
    assert [int(o["strategy"]) for o in of_kind(out, Kind.NEW_ORDER)] == [1]
    assert arms(out) == [(0, Reason.ORDER_RATE)]
    assert gauge(driver, "exposure_micros") == NOTIONAL


def test_who_follows_the_touch_is_asked_after_an_armed_order_has_left() -> None:
    """Another strategy hears of the same tick a step later; its order has an id of its own."""
    driver, _ = armed(sniper(), sniper(is_armed=0))
    first = of_kind(driver.step(AT_LIMIT), Kind.NEW_ORDER)
    second = of_kind(driver.step(), Kind.NEW_ORDER)
    assert [int(o["strategy"]) for o in first + second] == [1, 2]
    assert first[0]["trace"] == second[0]["trace"]
