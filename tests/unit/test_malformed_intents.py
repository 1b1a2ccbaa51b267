"""What a strategy returns is checked where it returns it: it costs its market, and not the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from core_driver import DOWN, SPREAD, UP, Driver, book, of_kind

from engine.core.intents import Arm, Basket, Quote, Take
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.wire.codes import Kind, Reason, Side

TAKE = Take(UP, Side.BUY, 500_000, 10_000_000, True)
MOVED = book(UP, {"0.46": "100"}, {"0.48": "100"})
SAID: list[Any] = []  # what the strategy returns next; it lives in this process


class Talker:
    """Returns what it is told to."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        """Take no parameters."""

    def initial(self) -> None:
        """Remember nothing."""

    def decide(self, state: State, event: Event) -> Sequence[Any]:
        """Return what a test wants to be returned."""
        return SAID.pop() if SAID else ()


MALFORMED = {
    "a text for a side": (TAKE._replace(side="BUY"),),
    "a side there is not": (TAKE._replace(side=7),),
    "a negative side": (TAKE._replace(side=-1),),
    "a float for a price": (TAKE._replace(limit=0.5),),
    "a float for a size": (TAKE._replace(size=10.0),),
    "nothing for a size": (TAKE._replace(size=None),),
    "an instrument there is not": (TAKE._replace(instrument=999),),
    "a text for an instrument": (TAKE._replace(instrument="up"),),
    "more than a word": (TAKE._replace(size=2**70),),
    "a budget beyond a word": (TAKE._replace(budget=-(2**70)),),
    "no sequence": TAKE,
    "a number": 5,
    "a number in a sequence": (5,),
    "nothing in a sequence": (None,),
    "a flat ladder": (Quote(UP, (480_000, 10_000_000)),),
    "a ladder of floats": (Quote(UP, ((0.48, 10_000_000),)),),
    "a ladder of three": (Quote(UP, ((480_000, 10_000_000, 1),)),),
    "no ladder": (Quote(UP, None),),
    "a quote of a float": (Quote(1.0, ((480_000, 10_000_000),)),),
    "a quote of nothing known": (Quote(999, ()),),
    "a basket of one thing": (Basket(TAKE, 0),),
    "a basket of three": (Basket((TAKE, TAKE, TAKE), 0),),
    "an arm of two instruments": (Arm(DOWN, TAKE),),
    "an arm of no take": (Arm(UP, (UP, 0, 500_000)),),
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_intents_halt_their_market_and_name_strategy_and_value(said: Any) -> None:
    """STRATEGY_FAILED on the tape, an error that shows what was returned, no order, no crash."""
    driver = Driver(StrategyParams("talker", "test_malformed_intents:Talker"), SPREAD)
    driver.open_market()
    SAID.append(said)
    out = driver.step(MOVED)
    SAID.clear()
    (decision,) = of_kind(out, Kind.DECISION)
    assert (int(decision["reason"]), int(decision["strategy"])) == (Reason.STRATEGY_FAILED, 1)
    assert not of_kind(out, Kind.NEW_ORDER)
    ((where, error),) = driver.engine.failures
    assert "strategy=talker" in where
    assert f"intents={said!r}"[:60] in str(error)
    assert driver.engine.gauges()["markets_halted"] == 1
    assert not of_kind(driver.step(book(UP, {"0.44": "100"}, {"0.46": "100"})), Kind.NEW_ORDER)
