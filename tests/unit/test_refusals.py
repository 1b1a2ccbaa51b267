"""A strategy hears why it was refused, and why an order of its market has ended."""

from __future__ import annotations

from collections.abc import Sequence

from core_driver import MICROS, SECOND, UP, Driver, cash, of_kind, report

from engine.core.intents import Intent, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.wire.codes import Kind, Reason, Side

AGAIN = (Reason.INSUFFICIENT_CASH, Reason.ORDER_NOTIONAL)
TAKE = Take(UP, Side.BUY, 500_000, 10 * MICROS, True)


class OneTry:
    """Wants one take, once; keeps the reasons it is asked with."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """Take no parameters."""

    def initial(self) -> list[int]:
        """Return the reasons so far: none."""
        return []

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Try the first time, and again after a refusal for want of cash."""
        if not state.world.touch(UP).usable:
            return ()
        is_first = not state.memory
        state.memory.append(event.reason)
        return (TAKE,) if is_first or event.reason in AGAIN else ()


def driver_of(balance: int) -> tuple[Driver, list[int], list[int]]:
    """Return a driver that has asked once, the reasons, and how many orders left."""
    driver = Driver(StrategyParams("one", "test_refusals:OneTry"))
    orders = of_kind(driver.open_market(balance=balance), Kind.NEW_ORDER)
    reasons = driver.engine._strategies[0][1].memory
    return driver, reasons, [len(orders)]


def test_a_gates_refusal_is_told_and_tried_again_when_it_can_be_otherwise() -> None:
    """The first try finds no cash; asked with that reason, the strategy tries until there is."""
    driver, reasons, left = driver_of(MICROS)
    assert left == [0]
    seen = len(reasons)
    driver.step(after_ns=SECOND)
    assert reasons[seen:] == [Reason.INSUFFICIENT_CASH]
    driver.step(cash(100 * MICROS))
    driver.step(cash(100 * MICROS))
    out = driver.step(after_ns=2 * SECOND)
    assert len(of_kind(out, Kind.NEW_ORDER)) == 1


def test_one_that_is_refused_again_and_again_is_asked_once_a_second() -> None:
    """Not at every look at the market, and not never."""
    driver, reasons, _ = driver_of(MICROS)
    for _ in range(50):
        driver.step(after_ns=SECOND // 10)
    told = reasons.count(Reason.INSUFFICIENT_CASH)
    assert 4 <= told <= 6


def test_the_end_of_an_order_is_told_with_its_reason() -> None:
    """What the venue refused is heard of as such."""
    driver = Driver(StrategyParams("one", "test_refusals:OneTry"))
    (order,) = of_kind(driver.open_market(), Kind.NEW_ORDER)
    driver.step(report(Kind.REJECT, int(order["order_id"]), reason=Reason.VENUE_KILLED))
    assert driver.engine._strategies[0][1].memory[-1] == Reason.VENUE_KILLED
