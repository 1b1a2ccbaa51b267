"""Money formulas: the functions of the `quant_*` files that the engine has so far.

A row whose function, or whose variant of it, does not exist here is counted as not computed.
Texts of digits are exact decimals; numbers are floats and compared with the row's tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from engine.math.fees import (
    CURVE_LEGACY,
    CURVE_V2,
    breakeven_probability,
    fee_micros,
    fee_micros_ceil,
)
from engine.math.ladder import cap_pair, post_only_bid
from engine.math.sweep import Outcome, buy_set
from engine.math.units import MICROS, SIZE_STEP
from engine.vectors.case import Case, Fact, NotComputed, Row, rows_of
from engine.vectors.quant_latency import LATENCY
from engine.vectors.quant_paper import paper_facts
from engine.vectors.quant_queue import queue_facts
from engine.vectors.values import decimal, exact_micros, exponent

_REL_TOL, _ABS_TOL = 1e-9, 1e-12
_CURVES = {"v2": CURVE_V2, "legacy": CURVE_LEGACY}
_FEE_DECIMALS = {CURVE_V2: 5, CURVE_LEGACY: 4}
_ROUNDED = {"down": fee_micros, "up": fee_micros_ceil}
_HALF_CENT = Decimal("0.005")


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each row of a `quant_*` file."""
    tolerance = (document.get("rel_tol", _REL_TOL), document.get("abs_tol", _ABS_TOL))
    for index, row in enumerate(rows_of(document, "cases")):
        yield Case(str(row.get("id", f"cases[{index}]")), partial(_facts, row, tolerance))


def _facts(row: Row, tolerance: tuple[float, float]) -> Iterable[Fact]:
    function = _FUNCTIONS.get(row["fn"])
    if function is None:
        raise NotComputed
    rel_tol, abs_tol = row.get("rel_tol", tolerance[0]), row.get("abs_tol", tolerance[1])
    expected: Any
    for field, expected, got in function(row["in"], row["out"]):
        if isinstance(got, float):
            wanted = float(decimal(expected) if isinstance(expected, str) else expected)
            if math.isclose(got, wanted, rel_tol=rel_tol, abs_tol=abs_tol):
                continue
        yield field, expected, got


def _dollars(micros: int) -> Decimal:
    return Decimal(micros) / MICROS


def _curve(given: Row) -> tuple[int, int, int]:
    """Return curve, rate in ppm and exponent; an exponent that is no whole number is not ours."""
    curve, power = _CURVES.get(given["curve"]), exponent(given["exponent"])
    if curve is None or power is None:
        raise NotComputed
    return curve, exact_micros(given["rate"]), power


def _fee(given: Row, want: Row) -> Iterable[Fact]:
    curve, rate_ppm, power = _curve(given)
    rounded = _ROUNDED.get(given["rounding"])
    ours = {"decimals": _FEE_DECIMALS[curve], "liquidity": "TAKER"}
    if rounded is None or any(given.get(name) != value for name, value in ours.items()):
        raise NotComputed
    got = rounded(
        exact_micros(given["shares"]), exact_micros(given["price"]), curve, rate_ppm, power
    )
    yield "fee", decimal(want["fee"]), _dollars(got)


def _fee_doc_table(given: Row, want: Row) -> Iterable[Fact]:
    """The unrounded fee of a table's row cut to our decimals, and as printed: to half a cent."""
    curve, rate_ppm, power = _curve(given)
    got = fee_micros(
        exact_micros(given["shares"]), exact_micros(given["price"]), curve, rate_ppm, power
    )
    unit = Decimal(1).scaleb(-_FEE_DECIMALS[curve])
    raw = decimal(want["raw"])
    yield "raw, rounded down", raw - raw % unit, _dollars(got)
    printed = decimal(want["table_usd"])
    is_near = abs(_dollars(got) - printed) <= _HALF_CENT + unit
    yield "table_usd", printed, printed if is_near else _dollars(got)


def _order_fee(given: Row, want: Row) -> Iterable[Fact]:
    power = exponent(given["exponent"])
    rounded = _ROUNDED.get(given["rounding"])
    if power is None or rounded is None or given["decimals"] != _FEE_DECIMALS[CURVE_V2]:
        raise NotComputed
    rate_ppm = exact_micros(given["rate"])
    got = sum(
        rounded(exact_micros(shares), exact_micros(price), CURVE_V2, rate_ppm, power)
        for shares, price in given["fills_shares_price"]
    )
    yield "fee", decimal(want["fee"]), _dollars(got)


def _breakeven(given: Row, want: Row) -> Iterable[Fact]:
    price, rate, power = (float(decimal(given[name])) for name in ("price", "rate", "exponent"))
    yield "q", want["q"], float(breakeven_probability(price, rate, power))


def _cap_pair(given: Row, want: Row) -> Iterable[Fact]:
    names = ("bid_up", "bid_down", "target_total", "tick", "pos_up", "pos_down")
    _tick(given)
    got = cap_pair(*(exact_micros(given[name]) for name in names))
    yield "bid_up", _quote(want["bid_up"]), got[0]
    yield "bid_down", _quote(want["bid_down"]), got[1]


def _post_only_bid(given: Row, want: Row) -> Iterable[Fact]:
    best_ask = given["best_ask"]
    got = post_only_bid(
        exact_micros(given["bid"]),
        MICROS if best_ask is None else exact_micros(best_ask),
        _tick(given),
    )
    yield "bid", _quote(want["bid"]), got


def _tick(given: Row) -> int:
    tick = exact_micros(given["tick"])
    if tick <= 0:  # prices step by it: other ticks would step for ever
        raise ValueError(f"a tick is positive: tick={given['tick']}")
    return tick


def _quote(text: str | None) -> int:
    """No quote is null in the files and 0 here."""
    return 0 if text is None else exact_micros(text)


def _buy_all(given: Row, want: Row) -> Iterable[Fact]:
    is_ours = exponent(given["exponent"]) == 1 and exact_micros(given["size_step"]) == SIZE_STEP
    if not is_ours or not given["exhaustive"]:
        raise NotComputed
    books = [
        [(exact_micros(price), exact_micros(size)) for price, size in leg if decimal(size)]
        for leg in given["asks"]
    ]
    got = buy_set(
        books,
        curve=CURVE_V2,
        rate_ppm=exact_micros(given["rate"]),
        edge_min=exact_micros(given["min_edge"]),
        size_max=_unlimited(given["max_n"]),
        min_size=exact_micros(given["min_size"]),
        notional_min=exact_micros(given["min_notional"]),
        gas=exact_micros(given["gas"]),
        budget=_unlimited(given["budget"]),
    )
    yield "reason", want["reason"], got.outcome.name
    if got.outcome != Outcome.OK:
        return  # what a set would have cost is not told by all refusals
    yield "n", decimal(want["n"]), _dollars(got.size)
    yield "fees", decimal(want["fees"]), _dollars(sum(leg.fee for leg in got.legs))
    yield "profit", decimal(want["profit"]), _dollars(got.profit)
    yield "legs", len(want["legs"]), len(got.legs)
    for index, (expected, leg) in enumerate(zip(want["legs"], got.legs, strict=True)):
        yield f"legs[{index}].limit", decimal(expected["limit"]), _dollars(leg.limit)
        yield f"legs[{index}].gross", decimal(expected["gross"]), _dollars(leg.gross)
        yield f"legs[{index}].fee", decimal(expected["fee"]), _dollars(leg.fee)


def _unlimited(text: str | None) -> int:
    return -1 if text is None else exact_micros(text)


_FUNCTIONS: dict[str, Callable[[Any, Any], Iterable[Fact]]] = {
    "breakeven_prob": _breakeven,
    "buy_all": _buy_all,
    "cap_pair": _cap_pair,
    "fee": _fee,
    "fee_doc_table": _fee_doc_table,
    "order_fee": _order_fee,
    "paper_order": paper_facts,
    "post_only_bid": _post_only_bid,
    "queue_model": queue_facts,
    **LATENCY,
}
