"""The jitted gates against their own sentences in plain Python, over made-up worlds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_driver import LIMITS
from hypothesis import example, given
from hypothesis import strategies as st

from engine.core.orders import candidates as c
from engine.core.orders import submission
from engine.core.reflex import WAITS, fire
from engine.core.risk import gates
from engine.core.world import books as b
from engine.core.world import facts as f
from engine.math.units import MICROS, SIZE_STEP
from engine.wire.codes import Reason, Side

NOW_NS, SECOND = 1_800_000_000_000_000_000, 1_000_000_000
AGE_NS_MAX, RATE = LIMITS.book_age_ns_max, 3
SIGN_NS_MAX, READ_NS_MAX = SECOND // 2, 10 * SECOND
Row = dict[str, int]

cents = st.integers(0, 100).map(lambda n: n * 10_000)
small = st.integers(0, 4).map(lambda n: n * 10 * MICROS)
flags = st.integers(0, 1)

CANDIDATES = st.fixed_dictionaries(
    {
        "STRATEGY": st.sampled_from([1, 2]),
        "INSTRUMENT": st.sampled_from([1, 2]),
        "SIDE": st.sampled_from([0, 1]),
        "PRICE": cents | st.just(455_000),
        "SIZE": small | st.just(SIZE_STEP + 1),
        "POST_ONLY": flags,
        "NOTIONAL": small,
        "SPENDS": small,
        "FEE": st.sampled_from([0, MICROS]),
        "TERMS": flags,
    }
)
TOPS = st.fixed_dictionaries(
    {
        "BID": cents,
        "ASK": cents,
        "STATE": st.sampled_from([b.LIVE, b.LIVE, b.LIVE, b.LOADING]),
        "CERTIFIED": st.sampled_from([1, 1, 1, 0]),
        "LOCAL_NS": st.sampled_from([NOW_NS, NOW_NS, NOW_NS - AGE_NS_MAX, NOW_NS - AGE_NS_MAX - 1]),
        "TRACE": st.integers(1, 99),
        "TICK": st.sampled_from([10_000, 10_000, 10_000, 0]),
    }
)
mostly = st.sampled_from([1, 1, 1, 1, 1, 0])
FACTS = st.fixed_dictionaries(
    {
        "IS_OPEN": mostly,
        "IS_FEE_KNOWN": mostly,
        "MIN_SIZE": st.sampled_from([0, 5 * MICROS]),
        "TERMS": flags,
        "BUYS": small,
        "SELLS": small,
        "BEST_BUY": cents,
        "BEST_SELL": cents | st.just(f.NO_SELL),
        "EXPOSURE": small,
        "HELD": small,
        "IS_DISPUTED": st.sampled_from([0, 0, 0, 1]),
        "OWN 1": small,
        "OWN 2": small,
        "OWN_SELLS 1": small,
        "OWN_SELLS 2": small,
    }
)
ACCOUNT = st.fixed_dictionaries(
    {
        "HALTED": st.sampled_from([0, 0, 0, 5]),
        "SEES_FILLS": mostly,
        "IS_RECOVERED": mostly,
        "SIGN_NS": st.sampled_from([NOW_NS, NOW_NS, NOW_NS - SIGN_NS_MAX, NOW_NS - SECOND]),
        "READ_BACK_NS": st.sampled_from([NOW_NS, NOW_NS, NOW_NS - READ_NS_MAX, 0]),
        "SIGN_AGE_NS_MAX": st.just(SIGN_NS_MAX),
        "READ_BACK_AGE_NS_MAX": st.just(READ_NS_MAX),
        "CASH_KNOWN": mostly,
        "CASH_OPENING": st.sampled_from([0, 100 * MICROS, 100 * MICROS]),
        "CASH_FLOW": st.sampled_from([0, 0, -60 * MICROS]),
        "RESERVED": small,
        "WORKING": st.integers(0, 3),
        "TOTAL_EXPOSURE": small,
        "ORDER_NOTIONAL_MAX": st.just(35 * MICROS),
        "MARKET_NOTIONAL_MAX": st.just(65 * MICROS),
        "TOTAL_NOTIONAL_MAX": st.just(65 * MICROS),
        "ORDERS_OPEN_MAX": st.just(3),
        "CASH_MIN": st.sampled_from([0, MICROS]),
        "RATE_MAX": st.just(RATE),
    }
)
OPENED = st.lists(st.sampled_from([NOW_NS, NOW_NS - SECOND + 1, NOW_NS - SECOND, 0]), max_size=4)
WORLDS = st.tuples(
    CANDIDATES, st.tuples(TOPS, TOPS), st.tuples(FACTS, FACTS), ACCOUNT, OPENED.map(sorted)
)
World = tuple[Row, tuple[Row, Row], tuple[Row, Row], Row, list[int]]


def arrays(world: World) -> dict[str, Any]:
    """Return a world as the kernels see it."""
    wish, tops, known, account, opened = world
    facts = f.Facts(3, LIMITS, 2)
    rows = np.zeros((1, c.COLUMNS), np.int64)
    touches = np.zeros((3, b.TOP_COLUMNS), np.int64)
    for name, value in wish.items():
        rows[0, getattr(c, name)] = value
    for index in (1, 2):
        for name, value in tops[index - 1].items():
            touches[index, getattr(b, name)] = value
        for name, value in known[index - 1].items():
            name, _, strategy = name.partition(" ")
            column = getattr(f, name) + f.OWN_COLUMNS * int(strategy or 0)
            facts.instruments[index, column] = value
        facts.instruments[index, [f.COMPLEMENT, f.MARKET]] = 3 - index, 1
    for name, value in account.items():
        facts.account[getattr(f, name)] = value
    for opened_ns in opened:
        facts.account[f.RING + facts.account[f.OPENED] % RATE] = opened_ns
        facts.account[f.OPENED] += 1
    return {"rows": rows, "tops": touches, "facts": facts.instruments, "account": facts.account}


def refusals(world: World) -> dict[str, Reason]:
    """Return what each gate says, OK or not, as its sentence has it."""
    wish, tops, known, account, opened = world
    i = wish["INSTRUMENT"] - 1
    top, fact, other, market = tops[i], known[i], known[1 - i], known[0]
    is_buy = wish["SIDE"] == Side.BUY
    own, offered = (fact[f"{name} {wish['STRATEGY']}"] for name in ("OWN", "OWN_SELLS"))
    reduces = not is_buy and wish["SIZE"] <= own - offered
    free = account["CASH_OPENING"] + account["CASH_FLOW"] - account["RESERVED"]
    free -= account["CASH_MIN"]
    believed = top["STATE"] == b.LIVE and top["CERTIFIED"] == 1
    tick = top["TICK"]
    if is_buy:
        crosses = fact["BEST_SELL"] <= wish["PRICE"]
        across = other["BEST_BUY"]
        crosses |= wish["POST_ONLY"] == 1 and across > 0 and across + wish["PRICE"] >= MICROS
    else:
        crosses = fact["BEST_BUY"] >= wish["PRICE"] and fact["BEST_BUY"] > 0
    is_covered = wish["FEE"] <= free if is_buy else offered <= own
    passes = {
        "halt": account["HALTED"] == 0 or reduces,
        "recovered": account["IS_RECOVERED"] == 1,
        "private_stream": account["SEES_FILLS"] == 1,
        "fills_seen": NOW_NS - account["SIGN_NS"] <= SIGN_NS_MAX
        and NOW_NS - account["READ_BACK_NS"] <= READ_NS_MAX,
        "explained": fact["IS_DISPUTED"] == 0,
        "market_open": fact["IS_OPEN"] == 1,
        "stale_book": believed and NOW_NS - top["LOCAL_NS"] <= AGE_NS_MAX,
        "fee_known": wish["POST_ONLY"] == 1 or fact["IS_FEE_KNOWN"] == 1,
        "price_on_tick": tick > 0
        and wish["PRICE"] % tick == 0
        and tick <= wish["PRICE"] <= MICROS - tick,
        "size_min": wish["SIZE"] % SIZE_STEP == 0 and wish["SIZE"] >= fact["MIN_SIZE"],
        "order_notional": wish["NOTIONAL"] <= 35 * MICROS,
        "market_notional": not is_buy or market["EXPOSURE"] + wish["NOTIONAL"] <= 65 * MICROS,
        "total_notional": not is_buy or account["TOTAL_EXPOSURE"] + wish["NOTIONAL"] <= 65 * MICROS,
        "order_rate": sum(opened_ns > NOW_NS - SECOND for opened_ns in opened) < RATE,
        "cash": not is_buy
        or (account["CASH_KNOWN"] == 1 and wish["NOTIONAL"] + wish["FEE"] <= free),
        "shares": is_buy or reduces,
        "crosses_own": not crosses,
        "orders_open": account["WORKING"] < 3,
        "same_terms": wish["TERMS"] == fact["TERMS"],
        "covered": is_covered,
    }
    reasons = {
        "halt": Reason.HALTED,
        "fee_known": Reason.FEE_UNKNOWN,
        "price_on_tick": Reason.PRICE_OFF_TICK,
        "size_min": Reason.SIZE_TOO_SMALL,
        "market_open": Reason.MARKET_CLOSED,
        "recovered": Reason.NOT_RECOVERED,
        "private_stream": Reason.PRIVATE_STREAM_LOST,
        "fills_seen": Reason.FILLS_UNSEEN,
        "explained": Reason.UNEXPLAINED,
        "cash": Reason.INSUFFICIENT_CASH,
        "shares": Reason.INSUFFICIENT_SHARES,
        "crosses_own": Reason.WOULD_CROSS_OWN,
        "orders_open": Reason.ORDERS_OPEN_MAX,
        "same_terms": Reason.SUPERSEDED,
        "covered": Reason.INSUFFICIENT_CASH if is_buy else Reason.INSUFFICIENT_SHARES,
    }
    return {
        name: Reason.OK if ok else reasons.get(name) or Reason[name.upper()]
        for name, ok in passes.items()
    }


MOVING = ["halt", "private_stream", "fills_seen", "explained", "market_open", "same_terms"]
OPENING = [
    "halt",
    "private_stream",
    "recovered",
    "fills_seen",
    "explained",
    "market_open",
    "stale_book",
    "fee_known",
    "price_on_tick",
    "size_min",
    "order_notional",
    "market_notional",
    "total_notional",
    "order_rate",
    "cash",
    "shares",
    "crosses_own",
    "orders_open",
]
GOOD: World = (
    dict(
        zip(
            ["STRATEGY", "INSTRUMENT", "SIDE", "PRICE", "SIZE", "POST_ONLY"],
            [1, 1, 0, 450_000, 10 * MICROS, 0],
            strict=True,
        ),
        NOTIONAL=4_500_000,
        SPENDS=4_500_000,
        FEE=0,
        TERMS=0,
    ),
    tuple(
        {
            "BID": 430_000,
            "ASK": 450_000,
            "STATE": b.LIVE,
            "CERTIFIED": 1,
            "LOCAL_NS": NOW_NS,
            "TRACE": 7,
            "TICK": 10_000,
        }
        for _ in range(2)
    ),  # type: ignore[assignment]
    tuple(
        {
            "IS_OPEN": 1,
            "IS_FEE_KNOWN": 1,
            "MIN_SIZE": 0,
            "TERMS": 0,
            "BUYS": 0,
            "SELLS": 0,
            "BEST_BUY": 0,
            "BEST_SELL": f.NO_SELL,
            "EXPOSURE": 0,
            "HELD": 0,
            "IS_DISPUTED": 0,
            "OWN 1": 0,
            "OWN 2": 0,
            "OWN_SELLS 1": 0,
            "OWN_SELLS 2": 0,
        }
        for _ in range(2)
    ),  # type: ignore[assignment]
    {
        "HALTED": 0,
        "SEES_FILLS": 1,
        "IS_RECOVERED": 1,
        "SIGN_NS": NOW_NS,
        "READ_BACK_NS": NOW_NS,
        "SIGN_AGE_NS_MAX": SIGN_NS_MAX,
        "READ_BACK_AGE_NS_MAX": READ_NS_MAX,
        "CASH_KNOWN": 1,
        "CASH_OPENING": 100 * MICROS,
        "CASH_FLOW": 0,
        "RESERVED": 0,
        "WORKING": 0,
        "TOTAL_EXPOSURE": 0,
        "ORDER_NOTIONAL_MAX": 35 * MICROS,
        "MARKET_NOTIONAL_MAX": 65 * MICROS,
        "TOTAL_NOTIONAL_MAX": 65 * MICROS,
        "ORDERS_OPEN_MAX": 3,
        "CASH_MIN": 0,
        "RATE_MAX": RATE,
    },
    [],
)


def first(said: dict[str, Reason], names: list[str]) -> int:
    """Return the first answer that is not OK."""
    return next((int(said[name]) for name in names if said[name]), 0)


@given(WORLDS)
def test_every_gate_does_what_its_sentence_says(world: World) -> None:
    """Each by itself, whatever the others would say; in Python, for compiling each takes long."""
    at = arrays(world)
    for name, reason in refusals(world).items():
        gate = getattr(gates, name).py_func
        said = gate(at["rows"], 0, at["tops"], at["facts"], at["account"], NOW_NS)
        assert Reason(said) == reason, name


@given(WORLDS)
@example(GOOD)
def test_the_first_gate_that_refuses_stops_the_order(world: World) -> None:
    """In their order; what passes is exposure at once, what does not changes nothing."""
    at = arrays(world)
    before = at["facts"].copy(), at["account"].copy()
    row = submission.admit(at["rows"], 1, NOW_NS, at["tops"], at["facts"], at["account"])
    reason = first(refusals(world), OPENING)
    if reason:
        assert (row, at["rows"][0, c.REASON]) == (0, reason)
        assert (at["facts"] == before[0]).all()
        assert (at["account"] == before[1]).all()
        return
    assert row == 1
    wish, i = world[0], world[0]["INSTRUMENT"]
    is_buy = wish["SIDE"] == Side.BUY
    spent, sold = (wish["NOTIONAL"], 0) if is_buy else (0, wish["SIZE"])
    more = at["facts"] - before[0]
    assert (more[i, f.BUYS], more[i, f.SELLS], more[1, f.EXPOSURE]) == (spent, sold, spent)
    assert more[i, f.OWN_SELLS + f.OWN_COLUMNS * wish["STRATEGY"]] == sold
    grown = at["account"] - before[1]
    assert (grown[f.WORKING], grown[f.RESERVED], grown[f.TOTAL_EXPOSURE]) == (1, spent, spent)
    bests = at["facts"][i, [f.BEST_BUY, f.BEST_SELL]].tolist()
    known = world[2][i - 1]
    if is_buy:
        assert bests == [max(known["BEST_BUY"], wish["PRICE"]), known["BEST_SELL"]]
    else:
        assert bests == [known["BEST_BUY"], min(known["BEST_SELL"], wish["PRICE"])]


@given(WORLDS)
@example(GOOD)
def test_an_armed_take_stands_and_fires_by_the_gates_that_may_have_moved(world: World) -> None:
    """What passed once and cannot change is not asked again."""
    at, said = arrays(world), refusals(world)
    args = at["rows"], 0, at["tops"], at["facts"], at["account"], NOW_NS
    assert gates.standing(*args) == first(said, [*MOVING, "stale_book", "covered"])
    assert gates.firing.py_func(*args) == first(said, [*MOVING, "order_rate", "covered"])


@given(WORLDS, st.integers(0, 1))
@example(GOOD, 1)
def test_it_fires_where_the_touch_has_come_to_its_limit(world: World, is_dirty: int) -> None:
    """Only on a live, certified, fresh and changed book; what is refused then leaves nothing."""
    at, said = arrays(world), refusals(world)
    wish, top = world[0], world[1][world[0]["INSTRUMENT"] - 1]
    at["rows"][0, c.REASON] = WAITS
    dirty = np.zeros(3, np.int64)
    dirty[wish["INSTRUMENT"]] = is_dirty
    is_buy = wish["SIDE"] == Side.BUY
    comes = top["ASK"] <= wish["PRICE"] if is_buy else top["BID"] >= wish["PRICE"]
    is_hit = bool(is_dirty and comes and not said["stale_book"])
    reason = first(said, [*MOVING, "order_rate", "covered"])
    out = np.full((3, 16), -1, np.int64)
    left = fire(at["rows"], 1, at["tops"], dirty, 9, NOW_NS, at["facts"], at["account"], out, 1)
    if not is_hit:
        assert (left, at["rows"][0, c.REASON]) == (0, WAITS)
    elif reason:
        assert (left, at["rows"][0, c.REASON]) == (-1, reason)
    else:
        assert (left, at["rows"][0, c.REASON]) == (1, 0)
    has_left = is_hit and not reason
    assert (out[1:] == -1).all() == (not has_left)
    assert at["account"][f.OPENED] == len(world[4]) + has_left


def test_no_orders_a_second_is_a_way_to_trade_not_at_all() -> None:
    """A limit of 0 refuses the first."""
    at = arrays((GOOD[0], GOOD[1], GOOD[2], GOOD[3] | {"RATE_MAX": 0}, []))
    said = gates.order_rate.py_func(at["rows"], 0, at["tops"], at["facts"], at["account"], NOW_NS)
    assert said == Reason.ORDER_RATE


@pytest.mark.parametrize("limit", [-1, 0, 1, f.RATE_SEEN_MAX, f.RATE_SEEN_MAX + 1, 1 << 60])
def test_a_rate_beyond_what_is_counted_is_held_to_it(limit: int) -> None:
    """Never to more than was asked for, and there is room for as many stamps."""
    facts = f.Facts(2, replace(LIMITS, orders_per_second_max=limit), 1)
    held = facts.account[f.RATE_MAX]
    assert held == max(0, min(limit, f.RATE_SEEN_MAX))
    assert len(facts.account) >= f.RING + held
