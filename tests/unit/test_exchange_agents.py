"""The exchange's own day: windows that open, trade, resolve and pay, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.exchange.accounts import Accounts
from engine.exchange.btc_path import BtcPath, up_probability
from engine.exchange.central_book import CentralBook
from engine.exchange.drivers import open_day, standing_markets
from engine.exchange.events import Silence
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Schedule
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.exchange.windows import Windows
from signer.contracts import is_position_id


def day(
    path: Path, seed: str, windows: int | None = 2, step_ms: int = 10_000_000, minutes: int = 5
) -> tuple[Venue, Windows]:
    """Live through the first windows of a day, `step_ms` at a time."""
    prices, schedule, truth = ReferencePrices(), Schedule(), TruthLedger(path)
    venue = Venue(
        VenueRules(pays_rebates=True),
        schedule,
        Accounts(seed),
        truth,
        Silence(),
        seed,
        CentralBook,
    )
    series = open_day(venue, prices, seed, minutes, windows)
    while not series.is_done:
        schedule.advance(schedule.now_ms + step_ms)
    truth.close()
    return venue, series


def rows(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the rows of one type."""
    return [row for row in map(json.loads, path.read_text().splitlines()) if row["type"] == kind]


def test_one_seed_is_one_day(tmp_path: Path):
    """The same seed writes the same ledger, byte for byte, in steps of any length."""
    day(tmp_path / "one", "7")
    day(tmp_path / "two", "7", step_ms=777)
    day(tmp_path / "other", "8")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()


def test_windows_trade_resolve_and_pay(tmp_path: Path):
    """Each window has fills before its end, resolves on the two means, and leaves no shares."""
    venue, series = day(tmp_path / "truth", "7", windows=3)
    fills = rows(tmp_path / "truth", "fill")
    assert len(series.all) == 3
    for window in series.all:
        market = window.listing.market
        own = [row["ts"] for row in fills if row["condition_id"] == market.condition_id]
        assert len(own) > 50
        assert max(own) < market.end_ms
        up = window.final >= window.strike > 0
        assert window.listing.payouts == ((1_000_000, 0) if up else (0, 1_000_000))
    assert not venue.desk.open
    assert not venue.desk.orders, "house orders are forgotten when they end"
    cash = sum(account.balance(0) for account in venue.accounts)
    given = sum(row["cash"] for row in rows(tmp_path / "truth", "fund"))
    assert cash + venue.fees - venue.rebates.paid == given


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_day_of_quarter_hours(tmp_path: Path):
    """All 96 windows open, trade, resolve and pay; both outcomes happen; no pUSD is lost."""
    venue, series = day(tmp_path / "truth", "7", windows=None, minutes=15)
    winners = [window.listing.payouts for window in series.all]
    assert len(winners) == 96
    assert set(winners) == {(1_000_000, 0), (0, 1_000_000)}
    cash = sum(account.balance(0) for account in venue.accounts)
    given = sum(row["cash"] for row in rows(tmp_path / "truth", "fund"))
    assert cash + venue.fees - venue.rebates.paid == given
    assert not venue.desk.orders


def test_books_of_a_window_follow_the_price(tmp_path: Path):
    """Shortly before the end the winner's token is dear: the crowd knows what it trades."""
    _, series = day(tmp_path / "truth", "7", windows=6)
    late: list[float] = []
    for window in series.all:
        market, payouts = window.listing.market, window.listing.payouts
        assert payouts is not None
        winner = str(market.tokens[payouts.index(1_000_000)])
        last = [
            row["price"]
            for row in rows(tmp_path / "truth", "fill")
            if row["token_id"] == winner and row["ts"] > market.end_ms - 5_000
        ]
        late += last[-1:]
    assert sum(price > 500_000 for price in late) >= len(late) * 0.8


def test_the_price_path_is_its_seed():
    """A path is a function of its seed alone, and moves like half a percent an hour."""
    one, two = BtcPath("a"), BtcPath("a")
    path = [one.step() for _ in range(3_600)]
    assert path == [two.step() for _ in range(3_600)]
    assert 50_000_000_000 < min(path) < max(path) < 200_000_000_000


@pytest.mark.parametrize(
    ("spot", "left_s", "mean", "low", "high"),
    [
        (100.0, 900, None, 0.499, 0.501),
        (100.1, 900, None, 0.6, 0.7),
        (100.0, 10, 100.05, 0.99, 1.0),
        (100.0, 0, 100.0, 1.0, 1.0),
        (100.0, 0, 99.9, 0.0, 0.0),
    ],
)
def test_the_last_minute_decides_early(
    spot: float, left_s: float, mean: float | None, low: float, high: float
):
    """What the mean already holds outweighs the spot, and a tie goes to Up."""
    assert low <= up_probability(spot, 100.0, left_s, mean=mean) <= high


def test_standing_markets_cover_the_other_kinds():
    """Beside windows there is a neg risk market, one of generation 3, and one that delays."""
    neg_risk, third, delayed = standing_markets("7", 0)
    assert neg_risk.neg_risk
    assert all(is_position_id(token) for token in third.tokens)
    assert int(third.condition_id, 16) >> 8 == third.tokens[0] >> 8
    assert delayed.seconds_delay
