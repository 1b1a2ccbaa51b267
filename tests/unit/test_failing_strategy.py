"""A strategy that raises costs the market it was asked about, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from arming import BOTH, sniper
from core_driver import (
    DUTCH,
    SPREAD,
    Driver,
    account,
    book,
    fill,
    of_kind,
    params,
    report,
)
from listings import books, listing, status
from raising import raiser

from engine.core.orders.planner import Planner
from engine.core.params import StrategyParams
from engine.core.rehearsal import Rehearsal
from engine.core.world.orders import Order
from engine.math.units import MICROS
from engine.wire.codes import (
    Kind,
    Liquidity,
    MarketStatus,
    OrderStatus,
    Reason,
    Tif,
)
from engine.wire.records import new

UP, DOWN, OTHER_UP = 1, 2, 3
FAILED = int(Reason.STRATEGY_FAILED)
LOWER = {"0.46": "100"}, {"0.48": "100"}
TOO_LOW = book(UP, {"0.28": "100"}, {"0.30": "100"})


def begun(*strategies: StrategyParams) -> Driver:
    """Return a driver whose two markets have been opened."""
    driver = Driver(*strategies)
    driver.step(*account())
    for number in (0, 1):
        driver.step(*listing(number), *books(number))
    return driver


def acked(order: Order) -> np.ndarray:
    """Return the ACK of an order that rests."""
    return report(Kind.ACK, order.order_id, status=OrderStatus.LIVE)


def halt(engaged: int) -> np.ndarray:
    """Return the HALT of an operator, or its end."""
    record = new(Kind.HALT)
    record["reason"], record["engaged"] = Reason.HALT_OPERATOR, engaged
    return record


def working(driver: Driver, instrument: int) -> list[Order]:
    """Return the orders of one instrument that may still fill."""
    return list(driver.engine.world.orders.working(instrument))


def cancels(said: list[np.void]) -> list[tuple[int, int]]:
    """Return (order id, reason) of each CANCEL."""
    return [(int(c["order_id"]), int(c["reason"])) for c in of_kind(said, Kind.CANCEL)]


def test_a_failure_is_a_decision_on_the_tape() -> None:
    """It names strategy, market and the record that caused it, and is about no order."""
    driver = begun(raiser(), SPREAD)
    cause = driver.sequence + 1
    said = driver.step(TOO_LOW)
    (decision,) = of_kind(said, Kind.DECISION)
    told = {name: int(decision[name]) for name in ("instrument", "strategy", "reason", "trace")}
    assert told == {"instrument": UP, "strategy": 1, "reason": FAILED, "trace": cause}
    assert not any(int(decision[name]) for name in ("order_id", "price", "size", "edge", "leg"))


def test_a_failure_is_kept_for_whoever_steps_the_engine() -> None:
    """With a text that names the strategy and the market, by numbers found on the tape."""
    driver = begun(SPREAD, raiser(instrument=OTHER_UP))
    driver.step(TOO_LOW)
    assert driver.engine.failures == []
    driver.step(book(OTHER_UP, {"0.28": "100"}, {"0.30": "100"}))
    ((where, error),) = driver.engine.failures
    assert where == "strategy=raiser, market=1, instruments=3,4"
    assert isinstance(error, ZeroDivisionError)
    assert str(error) == "cannot live with this price: ask=300000"


def test_what_rests_in_the_market_is_cancelled_whoever_quoted_it() -> None:
    """At once what was acknowledged, anything else as soon as it is; each of them once."""
    driver = begun(raiser(), SPREAD)
    (up,), (down,) = working(driver, UP), working(driver, DOWN)
    driver.step(acked(up))
    assert cancels(driver.step(TOO_LOW)) == [(up.order_id, FAILED)]
    assert cancels(driver.step(acked(down))) == [(down.order_id, FAILED)]
    assert cancels(driver.step(after_ns=10**9)) == []
    for order in (up, down):
        said = driver.step(report(Kind.DONE, order.order_id, matched=0, reason=Reason.CANCELED))
        assert said == [], "nothing takes its place"
    assert driver.engine.world.market_exposure(driver.engine.world.instruments.markets[0]) == 0


def test_quotes_are_pulled_when_a_rejection_has_made_their_strategy_forget_them() -> None:
    """Who quotes is not asked what to do with the other half of its ladder: it goes as well."""
    driver = begun(raiser(), SPREAD)
    (up,) = working(driver, UP)
    driver.step(TOO_LOW)
    driver.engine._planner._desired.clear()
    assert cancels(driver.step(acked(up))) == [(up.order_id, FAILED)]


def test_a_quote_of_the_very_step_is_pulled_too() -> None:
    """A strategy asked before the one that fails has its order on the way: its ACK is its end."""
    driver = Driver(SPREAD, raiser(limit=990_000))
    driver.step(*account())
    said = driver.step(*listing(0), *books(0))
    assert len(of_kind(said, Kind.NEW_ORDER)) == 2
    assert said[-1]["reason"] == FAILED
    orders = working(driver, UP) + working(driver, DOWN)
    said = driver.step(*(acked(order) for order in orders))
    assert sorted(cancels(said)) == sorted((order.order_id, FAILED) for order in orders)


def test_other_markets_are_traded_on_by_everybody() -> None:
    """Also by the strategy that failed: it is asked about them, and about its own never again."""
    driver = begun(raiser(), SPREAD)
    driver.step(TOO_LOW)
    asked = driver.engine._strategies[0][1].memory
    asked.clear()
    for order in working(driver, OTHER_UP):
        driver.step(acked(order))
    said = driver.step(book(UP, *LOWER), book(OTHER_UP, *LOWER))
    assert {int(c["instrument"]) for c in of_kind(said, Kind.CANCEL)} == {OTHER_UP}
    assert set(asked) == {1}
    assert driver.engine.gauges()["markets_halted"] == 1


def test_an_armed_take_is_disarmed_and_never_fires() -> None:
    """The signer is told so, and the tick that comes to its limit finds nothing."""
    driver = begun(raiser(limit=480_000), sniper())
    for ask, engaged in (("0.48", 0), ("0.45", None), ("0.30", None)):
        said = driver.step(book(UP, {"0.20": "100"}, {ask: "100"}))
        told = [(int(arm["engaged"]), int(arm["reason"])) for arm in of_kind(said, Kind.ARM)]
        assert told == ([] if engaged is None else [(engaged, FAILED)])
        assert of_kind(said, Kind.NEW_ORDER) == []
    gauges = driver.engine.gauges()
    assert gauges["orders_armed"] == gauges["orders_open"] == gauges["exposure_micros"] == 0


def test_a_take_that_left_in_the_step_before_is_an_order_like_any_other() -> None:
    """It fires, its strategies are asked in the next step, and there one fails: it still fills."""
    driver = begun(raiser(limit=450_000), sniper(is_armed=BOTH))
    said = driver.step(book(UP, {"0.20": "100"}, {"0.45": "100"}))
    (order,) = of_kind(said, Kind.NEW_ORDER)
    said = driver.step()
    assert [int(r["reason"]) for r in of_kind(said, Kind.DECISION)] == [FAILED]
    assert of_kind(said, Kind.ARM) == of_kind(said, Kind.CANCEL) == []
    driver.step(report(Kind.SIGNED, int(order["order_id"]), order_hash=b"1" * 32))
    driver.step(fill(b"1" * 32, "0.45", "10"))
    assert driver.engine.world.lots.size(UP) == 10 * MICROS


def test_the_venue_does_not_reopen_it() -> None:
    """The market is halted for the run: that it accepts orders by now makes nobody quote."""
    driver = Driver(raiser(), SPREAD)
    driver.step(*account())
    up, down, is_open = listing(0)
    driver.step(up, down, TOO_LOW)
    driver.step(is_open)
    (market,) = driver.engine.world.instruments.markets
    assert market.status == MarketStatus.OPEN
    assert not market.is_open
    assert driver.step(*books(0)) == []
    assert driver.step(up, down, is_open, *books(0))[0]["kind"] == Kind.INSTRUMENT
    assert driver.engine.gauges()["orders_opened"] == 0


def test_a_halt_and_its_end_do_not_reopen_it() -> None:
    """What an operator resumes is all the rest."""
    driver = begun(raiser(), SPREAD)
    driver.step(TOO_LOW)
    for engaged in (1, 0):
        driver.step(halt(engaged))
    for index in (UP, DOWN, OTHER_UP, OTHER_UP + 1):
        for order in working(driver, index):
            done = {"matched": 0, "reason": Reason.CANCELED}
            driver.step(report(Kind.DONE, order.order_id, **done))
    driver.step(*(book(index, *LOWER) for index in (UP, OTHER_UP)))
    assert {len(working(driver, index)) for index in (UP, DOWN)} == {0}
    assert {len(working(driver, index)) for index in (OTHER_UP, OTHER_UP + 1)} == {1}


def test_the_gates_refuse_what_the_planner_itself_would_send() -> None:
    """A basket of which one leg filled is not repaired: the market counts as closed."""
    driver = begun(DUTCH, raiser(limit=450_000))
    out = driver.step(
        book(UP, {"0.44": "100"}, {"0.45": "40"}), book(DOWN, {"0.46": "100"}, {"0.48": "40"})
    )
    first, second = (int(order["order_id"]) for order in of_kind(out, Kind.NEW_ORDER))
    driver.step(report(Kind.SIGNED, first, order_hash=b"1" * 32))
    driver.step(fill(b"1" * 32, "0.45", "40"))
    (refusal,) = driver.step(report(Kind.REJECT, second, reason=Reason.VENUE_KILLED))
    assert (refusal["kind"], refusal["reason"]) == (Kind.DECISION, Reason.MARKET_CLOSED)


def test_what_is_held_is_paid_out() -> None:
    """Resolution goes its way: holdings become money, what still rests ends."""
    driver = begun(raiser(), SPREAD)
    (order,) = working(driver, UP)
    driver.step(report(Kind.SIGNED, order.order_id, order_hash=b"1" * 32))
    driver.step(acked(order), fill(b"1" * 32, "0.48", "20", liquidity=Liquidity.MAKER))
    driver.step(TOO_LOW)
    driver.step(status(0, MarketStatus.RESOLVED, MICROS))
    world = driver.engine.world
    assert world.cash.redeemable == 20 * MICROS
    assert world.equity() == 20 * MICROS - 20 * 480_000
    assert working(driver, UP) == working(driver, DOWN) == []
    gauges = driver.engine.gauges()
    assert (gauges["markets_open"], gauges["markets_halted"]) == (1, 1)


def test_each_market_is_halted_by_itself() -> None:
    """A strategy that fails everywhere ends with every market halted, one failure each."""
    driver = begun(raiser(limit=300_000), raiser(instrument=OTHER_UP), SPREAD)
    driver.step(TOO_LOW, book(OTHER_UP, {"0.28": "100"}, {"0.30": "100"}))
    driver.step(*books(0), *books(1))
    assert [where for where, _ in driver.engine.failures] == [
        "strategy=raiser, market=0, instruments=1,2",
        "strategy=raiser, market=1, instruments=3,4",
    ]
    assert driver.engine.gauges()["markets_halted"] == 2


def test_the_same_rows_fail_in_the_same_way() -> None:
    """An exception is a function of the inputs, as a decision is: the same bytes come out."""

    def said() -> list[bytes]:
        driver = begun(raiser(), SPREAD, sniper(limit=200_000))
        quotes = [o for index in (UP, DOWN) for o in working(driver, index) if o.tif == Tif.GTC]
        batches = [(TOO_LOW,), tuple(acked(quote) for quote in quotes), tuple(books(1)), ()]
        return [record.tobytes() for batch in batches for record in driver.step(*batch)]

    assert said() == said()
    assert len(said()) >= 4


def test_an_error_of_the_core_itself_is_not_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner that breaks may have lost count of orders: nobody trades on with it."""
    driver = begun(SPREAD)

    def broken(*_: object) -> None:
        raise AssertionError("lost count")

    monkeypatch.setattr(Planner, "apply", broken)
    with pytest.raises(AssertionError, match="lost count"):
        driver.step(book(UP, *LOWER))
    assert driver.engine.failures == []


def test_a_dry_run_raises_what_a_strategy_raises() -> None:
    """There is no run to be saved in it, and whoever makes it is to know; again and again."""
    rehearsal = Rehearsal(params(SPREAD, raiser(limit=410_000)))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="cannot live"):
            rehearsal.run()
