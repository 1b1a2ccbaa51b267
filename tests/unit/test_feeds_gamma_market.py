"""What a Gamma object must say before its market may be traded."""

from __future__ import annotations

import json

import pytest

from engine.wire.codes import FeeCurve, MarketStatus
from feeds.gamma_market import parse_market
from feeds.port import MarketRefused

V1_IDS = [str((1 << 200) + (1 << 50) + k) for k in (1, 2)]
V2_IDS = [str((1 << 248) + (7 << 120) + k) for k in (0, 1)]  # bits 40..103 are zero


def raw(**over: object) -> dict[str, object]:
    """Return a Gamma object of a plain open market."""
    plain: dict[str, object] = {
        "slug": "window",
        "conditionId": "0x" + "ab" * 32,
        "outcomes": json.dumps(["Up", "Down"]),
        "clobTokenIds": json.dumps(V1_IDS),
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "acceptingOrders": True,
        "closed": False,
        "feesEnabled": True,
        "feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2},
        "eventStartTime": "2026-07-23T23:55:00Z",
        "endDate": "2026-07-24 00:00:16+00",
    }
    return {**plain, **over}


def test_down_listed_first_is_turned_round():
    """Up (or Yes) comes first whatever the order on the wire, with its own token and payout."""
    market = parse_market(
        raw(
            outcomes='["No", "Yes"]',
            closed=True,
            automaticallyResolved=True,
            outcomePrices='["1", "0"]',
        )
    )
    assert market.outcomes == ("Yes", "No")
    assert list(market.tokens) == V1_IDS[::-1]
    assert market.payouts == (0, 1_000_000)


def test_other_outcomes_keep_the_venues_order():
    """Names that are neither Up nor Down stay as listed."""
    assert parse_market(raw(outcomes=["Lakers", "Celtics"])).outcomes == ("Lakers", "Celtics")


def test_both_date_formats_are_read():
    """ISO with a Z and the short form with +00 are both epoch seconds."""
    market = parse_market(raw())
    assert (market.open_s, market.close_s) == (1_784_850_900, 1_784_851_216)


def test_missing_dates_are_zero():
    """A market without a window is still a market."""
    market = parse_market(raw(eventStartTime=None, endDate=""))
    assert (market.open_s, market.close_s) == (0, 0)


@pytest.mark.parametrize(
    ("version", "ids", "generation"), [(None, V1_IDS, 2), ("v1", V1_IDS, 2), ("v2", V2_IDS, 3)]
)
def test_version_decides_the_generation(version, ids, generation):
    """v1 (or nothing) signs for exchange V2 with clobTokenIds, v2 for V3 with positionIds."""
    market = parse_market(raw(version=version, positionIds=V2_IDS))
    assert market.generation == generation
    assert list(market.tokens) == ids


@pytest.mark.parametrize(
    "over",
    [
        {"clobTokenIds": json.dumps(V2_IDS)},
        {"version": "v2", "positionIds": V1_IDS},
        {"version": "v2", "positionIds": None},
        {"version": "v3"},
        {"clobTokenIds": json.dumps([V1_IDS[0]] * 2)},
        {"clobTokenIds": json.dumps([str(1 << 256), "1"])},
        {"clobTokenIds": json.dumps(["007", "1"])},
        {"clobTokenIds": "[1, 2]"},
        {"clobTokenIds": "not json"},
        {"outcomes": json.dumps(["A", "B", "C"])},
        {"conditionId": "0x12"},
        {"conditionId": None},
        {"orderPriceMinTickSize": None},
        {"orderPriceMinTickSize": 0},
        {"orderPriceMinTickSize": float("nan")},
        {"orderPriceMinTickSize": 1e-9},
        {"orderMinSize": -1},
        {"orderMinSize": True},
        {"endDate": "soon"},
        {"endDate": "9999-01-01T00:00:00Z"},
    ],
)
def test_unclear_markets_are_refused_by_name(over):
    """Contradicting ids, odd outcomes, absent ticks and impossible numbers are refused."""
    with pytest.raises(MarketRefused, match="slug=window"):
        parse_market(raw(**over))


@pytest.mark.parametrize(
    ("over", "fee"),
    [
        ({}, (FeeCurve.V2, 70_000, 1)),
        ({"feesEnabled": False}, (FeeCurve.FREE, 0, 1)),
        ({"feesEnabled": False, "feeSchedule": None}, (FeeCurve.FREE, 0, 1)),
        ({"feesEnabled": None, "feeSchedule": None}, (FeeCurve.UNKNOWN, 0, 1)),
        ({"feeSchedule": None}, (FeeCurve.UNKNOWN, 0, 1)),
        ({"feeSchedule": {"rate": 0.07}}, (FeeCurve.UNKNOWN, 0, 1)),
        ({"feeSchedule": {"rate": 0.07, "exponent": 0.5}}, (FeeCurve.UNKNOWN, 0, 1)),
        ({"feeSchedule": {"rate": 0.03, "exponent": 2}}, (FeeCurve.V2, 30_000, 2)),
        ({"feeSchedule": {"rate": "x", "exponent": 1}}, (FeeCurve.UNKNOWN, 0, 1)),
        (
            {"feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": False}},
            (FeeCurve.UNKNOWN, 0, 1),
        ),
    ],
)
def test_only_a_complete_fee_schedule_is_believed(over, fee):
    """Fees off is FREE, a complete schedule is V2, everything else forbids taking."""
    market = parse_market(raw(**over))
    assert (market.fee_curve, market.fee_rate_ppm, market.fee_exponent) == fee


@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({}, MarketStatus.OPEN),
        ({"acceptingOrders": None}, MarketStatus.UNKNOWN),
        ({"acceptingOrders": False}, MarketStatus.UNKNOWN),
        ({"closed": True}, MarketStatus.CLOSED),
        ({"closed": True, "outcomePrices": '["1", "0"]'}, MarketStatus.CLOSED),
        (
            {
                "closed": True,
                "outcomePrices": '["0.9995", "0.0005"]',
                "resolutionStatus": "resolved",
            },
            MarketStatus.CLOSED,
        ),
        (
            {"closed": True, "outcomePrices": '["0.5", "0.5"]', "umaResolutionStatus": "resolved"},
            MarketStatus.RESOLVED,
        ),
        ({"outcomePrices": '["1", "0"]', "automaticallyResolved": True}, MarketStatus.OPEN),
    ],
)
def test_only_final_whole_payouts_resolve(over, status):
    """A market is resolved when it is closed, called resolved, and pays whole or half shares."""
    assert parse_market(raw(**over)).status == status
