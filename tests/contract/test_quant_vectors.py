"""The money formulas against the golden vectors of the quantitative reference."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.math.fees import CURVE_LEGACY, CURVE_V2, breakeven_probability, fee_micros
from engine.math.ladder import cap_pair, post_only_bid
from engine.math.sweep import Outcome, buy_set
from engine.math.units import MICROS, micros_from_text


def cases(shared_dir: Path, topic: str, fn: str) -> list[dict[str, Any]]:
    """Return the cases of one function; the file must have some."""
    loaded = json.loads((shared_dir / "vectors" / f"quant_{topic}.json").read_text())
    found = [c for c in loaded["cases"] if c["fn"] == fn]
    assert found, f"no cases for {fn}"
    return found


def ppm(rate: str) -> int:
    """Return a rate as parts per million; it must be exact."""
    return micros_from_text(rate)


def test_fees_equal_the_golden_fees(shared_dir: Path) -> None:
    """Every fee rounded down as the venue rounds equals the vector, on both curves."""
    checked = 0
    for case in cases(shared_dir, "fees", "fee"):
        given, want = case["in"], case["out"]
        curve = CURVE_V2 if given["curve"] == "v2" else CURVE_LEGACY
        decimals = 5 if curve == CURVE_V2 else 4
        exponent = Decimal(given["exponent"])
        if "fee" not in want or given.get("liquidity") != "TAKER" or exponent % 1:
            continue
        if (given["rounding"], given["decimals"]) != ("down", decimals):
            continue
        got = fee_micros(
            micros_from_text(given["shares"]),
            micros_from_text(given["price"]),
            curve,
            ppm(given["rate"]),
            int(exponent),
        )
        assert Decimal(got) / MICROS == Decimal(want["fee"]), case
        checked += 1
    assert checked > 10


def test_fees_stay_within_half_a_cent_of_the_published_tables(shared_dir: Path) -> None:
    """Every published row of every table is met to half a cent."""
    for case in cases(shared_dir, "fees", "fee_doc_table"):
        given = case["in"]
        exponent = Decimal(given["exponent"])
        if exponent % 1:
            continue
        curve = CURVE_V2 if given["curve"] == "v2" else CURVE_LEGACY
        got = fee_micros(
            micros_from_text(given["shares"]),
            micros_from_text(given["price"]),
            curve,
            ppm(given["rate"]),
            int(exponent),
        )
        error = abs(Decimal(got) / MICROS - Decimal(case["out"]["table_usd"]))
        assert error <= Decimal("0.0051"), case


def test_order_fees_are_rounded_fill_by_fill(shared_dir: Path) -> None:
    """An order's fee is the sum of its fills' fees, each rounded on its own."""
    for case in cases(shared_dir, "fees", "order_fee"):
        given = case["in"]
        if given["rounding"] != "down":
            continue
        got = sum(
            fee_micros(micros_from_text(s), micros_from_text(p), CURVE_V2, ppm(given["rate"]), 1)
            for s, p in given["fills_shares_price"]
        )
        assert Decimal(got) / MICROS == Decimal(case["out"]["fee"]), case


def test_breakeven_probability_equals_the_vectors(shared_dir: Path) -> None:
    """The win probability that pays the fee is price plus fee a share."""
    for case in cases(shared_dir, "fees", "breakeven_prob"):
        given = case["in"]
        got = breakeven_probability(
            float(given["price"]), float(given["rate"]), float(given["exponent"])
        )
        assert got == pytest.approx(float(case["out"]["q"]), rel=1e-9), case


def test_cap_pair_equals_the_vectors(shared_dir: Path) -> None:
    """Both bids give way tick by tick exactly as the reference does."""
    for case in cases(shared_dir, "market_making", "cap_pair"):
        given = {k: micros_from_text(v) for k, v in case["in"].items()}
        got = cap_pair(
            given["bid_up"],
            given["bid_down"],
            given["target_total"],
            given["tick"],
            given["pos_up"],
            given["pos_down"],
        )
        want = tuple(micros_from_text(v) if v else 0 for v in case["out"].values())
        assert got == want, case


def test_post_only_bid_equals_the_vectors(shared_dir: Path) -> None:
    """A post-only bid is on tick and strictly below the ask, or there is none."""
    for case in cases(shared_dir, "market_making", "post_only_bid"):
        given = {k: micros_from_text(v) for k, v in case["in"].items() if v is not None}
        got = post_only_bid(given["bid"], given.get("best_ask", MICROS), given["tick"])
        want = case["out"]["bid"]
        assert got == (micros_from_text(want) if want else 0), case


def test_buying_a_set_equals_the_vectors(shared_dir: Path) -> None:
    """The depth walk buys the same sets at the same limits, fees and profit."""
    checked = 0
    for case in cases(shared_dir, "dutch", "buy_all"):
        given, want = case["in"], case["out"]
        if not given["exhaustive"]:
            continue
        books = [
            [(micros_from_text(p), micros_from_text(s)) for p, s in leg if Decimal(s)]
            for leg in given["asks"]
        ]
        got = buy_set(
            books,
            curve=CURVE_V2,
            rate_ppm=ppm(given["rate"]),
            edge_min=micros_from_text(given["min_edge"]),
            size_max=-1 if given["max_n"] is None else micros_from_text(given["max_n"]),
            min_size=micros_from_text(given["min_size"]),
            notional_min=micros_from_text(given["min_notional"]),
            gas=micros_from_text(given["gas"]),
            budget=-1 if given["budget"] is None else micros_from_text(given["budget"]),
        )
        assert got.outcome.name == want["reason"], case
        if got.outcome == Outcome.OK:
            assert Decimal(got.size) / MICROS == Decimal(want["n"]), case
            assert Decimal(got.profit) / MICROS == Decimal(want["profit"]), case
            for leg, expected in zip(got.legs, want["legs"], strict=True):
                assert Decimal(leg.limit) / MICROS == Decimal(expected["limit"]), case
                assert Decimal(leg.fee) / MICROS == Decimal(expected["fee"]), case
        checked += 1
    assert checked >= 20
