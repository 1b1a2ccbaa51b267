"""Amounts and the price grid: `amounts_limit`, `amounts_market`, `price_grid`.

Compared are the exact-decimal columns; what binary floats made of them is not our arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.vectors.case import Case, Fact, Row, table_cases
from engine.vectors.values import integer, member, micros
from engine.wire.codes import Side
from signer.amounts import CENT, MARKET_TAKER_UNIT, is_on_tick, limit_amounts, market_amounts


def limit_cases(document: Row) -> Iterator[Case]:
    """Yield the cases of `amounts_limit`."""
    return table_cases(document, _limit_facts)


def market_cases(document: Row) -> Iterator[Case]:
    """Yield the cases of `amounts_market`."""
    return table_cases(document, _market_facts)


def price_grid_cases(document: Row) -> Iterator[Case]:
    """Yield the cases of `price_grid`."""
    return table_cases(document, _grid_facts)


def _limit_facts(row: Row) -> Iterable[Fact]:
    tick = micros(row["tick_size"])
    got = limit_amounts(member(Side, row["side"]), micros(row["price"]), micros(row["size"]), tick)
    yield "maker_amount", integer(row["maker_amount"]), got.maker
    yield "taker_amount", integer(row["taker_amount"]), got.taker


def _market_facts(row: Row) -> Iterable[Fact]:
    """The official amounts, and what we send: those with the taker's cut to the venue's ceiling."""
    maker, taker = integer(row["maker_amount"]), integer(row["taker_amount"])
    order = (
        member(Side, row["side"]),
        micros(row["price"]),
        micros(row["amount"]),
        micros(row["tick_size"]),
    )
    official = market_amounts(*order, taker_unit=1)
    yield "maker_amount", maker, official.maker
    yield "taker_amount", taker, official.taker
    sent = market_amounts(*order)
    yield "maker_amount sent", maker, sent.maker
    yield "taker_amount sent", taker - taker % MARKET_TAKER_UNIT, sent.taker
    is_precise = official.maker % CENT == 0 and official.taker % MARKET_TAKER_UNIT == 0
    yield "venue_precision_ok", row["venue_precision_ok"], is_precise


def _grid_facts(row: Row) -> Iterable[Fact]:
    got = is_on_tick(micros(row["price"]), micros(row["tick_size"]))
    yield "valid", row["valid"], got
