"""Fees: `fees`, the documentation's tables and the amount of a market BUY that pays them too.

The tables are printed to a few decimals and nobody says how they are rounded, so a fee agrees when
it is within half a unit of the last printed decimal, and one quantum of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial

from engine.math.fees import CURVE_LEGACY, CURVE_V2, fee_micros
from engine.vectors.case import (
    Case,
    Fact,
    NotComputed,
    Row,
    VectorFileError,
    cases_of,
    rows_of,
    sections_of,
)
from engine.vectors.values import decimal, exact_micros, exponent
from signer.amounts import ONE
from signer.budget import pre_fee_amount

_SHARES = 100 * ONE  # of every table
_CURVES = {"C*rate*p*(1-p)": CURVE_V2, "C*p*rate*(p*(1-p))^2": CURVE_LEGACY}
_QUANTUM = {CURVE_V2: Decimal("0.00001"), CURVE_LEGACY: Decimal("0.0001")}


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each printed fee and each amount."""
    for section in sections_of(document, _SECTIONS):
        yield from _SECTIONS[section](document)


def _table_cases(document: Row) -> Iterator[Case]:
    for table in rows_of(document, "tables"):
        rows = table.get("rows")
        if not isinstance(rows, list):
            raise VectorFileError("tables.rows is a list")
        for row in rows:
            yield Case(f"{table.get('label')} {row}", partial(_table_facts, table, row))


def _amount_cases(document: Row) -> Iterator[Case]:
    adjustment = document["buy_amount_adjustment"]
    if not isinstance(adjustment, dict):
        raise VectorFileError("buy_amount_adjustment is an object")
    yield from cases_of(adjustment, "vectors", _amount_facts, prefix="buy_amount_adjustment")


def _table_facts(table: Row, row: list[str]) -> Iterable[Fact]:
    price, printed = row
    power = exponent(table["exponent"])
    if table["formula"] not in _CURVES or power is None:
        raise NotComputed
    curve = _CURVES[table["formula"]]
    fee = fee_micros(_SHARES, exact_micros(price), curve, exact_micros(table["fee_rate"]), power)
    got = Decimal(fee) / ONE
    expected = decimal(printed)
    half_unit = Decimal(5).scaleb(int(expected.as_tuple().exponent) - 1)
    is_near = abs(got - expected) <= half_unit + _QUANTUM[curve]
    yield "fee", printed, printed if is_near else str(got)


def _amount_facts(row: Row) -> Iterable[Fact]:
    got = pre_fee_amount(
        amount=decimal(row["amount"]),
        price=decimal(row["price"]),
        spend_max=decimal(row["max_spend"]),
        rate=decimal(row["fee_rate"]),
        exponent=decimal(str(row["exponent"])),
        builder_rate=decimal(row["builder_taker_fee_rate"]),
    )
    yield "adjusted_amount", decimal(row["adjusted_amount"]), got


_SECTIONS: dict[str, Callable[[Row], Iterator[Case]]] = {
    "tables": _table_cases,
    "buy_amount_adjustment": _amount_cases,
}
