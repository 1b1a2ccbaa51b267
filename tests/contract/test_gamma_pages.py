"""Recorded Gamma objects, of several years and spellings, to markets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine.wire.codes import FeeCurve, Kind, MarketStatus
from engine.wire.records import typed
from feeds.gamma_market import parse_market
from feeds.instruments import Instruments, instrument_rows
from feeds.port import MarketRefused


def _recorded(shared_dir: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_dir / "recordings/gamma/nautilus" / name).read_text())


@pytest.fixture(scope="module")
def windows(shared_dir: Path) -> list[dict[str, Any]]:
    """A day of BTC 5-minute markets: the recorder's own reading beside Gamma's raw object."""
    path = shared_dir / "recordings/gamma/BTC-5m-markets-2026-07-24.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_a_day_of_windows_is_read_whole(windows: list[dict[str, Any]]):
    """Slug, ids, window, fee, tick and payout of each window are what another reader found."""
    assert len(windows) == 292
    for line in windows:
        market = parse_market(line["raw"])
        assert market.slug == line["slug"]
        assert "0x" + market.condition_id.hex() == line["condition_id"]
        assert list(market.tokens) == line["token_ids"]
        assert market.outcomes == ("Up", "Down")
        assert (market.open_s, market.close_s) == (line["start_sec"], line["end_sec"])
        fee = market.fee_curve, market.fee_rate_ppm, market.fee_exponent
        assert fee == (FeeCurve.V2, 70_000, 1)
        assert market.generation == 2
        assert market.min_size_cents == 500
        assert market.tick in (1_000, 10_000)
        if line["resolved"]:
            assert market.status == MarketStatus.RESOLVED
            assert [str(p // 1_000_000) for p in market.payouts] == line["outcome_prices"]


def test_an_open_market_without_a_fee_schedule_may_not_be_taken(shared_dir: Path):
    """The recorded open window says that fees are on but not which: the curve is UNKNOWN."""
    market = parse_market(_recorded(shared_dir, "gamma_market.json"))
    assert market.slug == "btc-updown-5m-1773307200"
    assert market.status == MarketStatus.OPEN
    assert (market.open_s, market.close_s) == (1_773_307_200, 1_773_307_500)
    assert market.fee_curve == FeeCurve.UNKNOWN
    assert market.tick == 10_000


def test_a_closed_market_is_not_resolved_by_its_prices_alone(shared_dir: Path):
    """Closed and no longer accepting orders is CLOSED until the venue calls it resolved."""
    raw = _recorded(shared_dir, "gamma_market_closed_binary_accepting_false.json")
    unresolved = {**raw, "automaticallyResolved": False, "umaResolutionStatus": "proposed"}
    assert parse_market(unresolved).status == MarketStatus.CLOSED


def test_every_recorded_page_is_read_or_refused_by_name(shared_dir: Path):
    """Each of the recorded objects becomes a market or a refusal naming its slug; most are read."""
    read = 0
    refusals: dict[str, str] = {}
    for path in sorted((shared_dir / "recordings/gamma/pages").glob("*.json.gz")):
        for raw in json.loads(gzip.decompress(path.read_bytes()))["markets"]:
            try:
                market = parse_market(raw)
            except MarketRefused as error:
                refusals[raw["slug"]] = str(error)
            else:
                assert market.tokens[0] != market.tokens[1]
                read += 1
    assert read + len(refusals) == 150
    assert all(slug in reason for slug, reason in refusals.items())
    assert read > 100


def test_events_carry_their_markets(shared_dir: Path):
    """The markets inside a recorded event are market objects like any other."""
    event = _recorded(shared_dir, "gamma_event.json")
    event = event[0] if isinstance(event, list) else event
    for raw in event["markets"]:
        assert parse_market(raw).slug == raw["slug"]


def test_records_of_a_market_point_at_each_other(shared_dir: Path):
    """The INSTRUMENT records of a recorded market carry both ids, the window and the complement."""
    market = parse_market(_recorded(shared_dir, "gamma_market.json"))
    instruments = Instruments()
    rows = instrument_rows(instruments.add(market), (market.tick, market.tick), local_ns=5)
    up, down = typed(rows, Kind.INSTRUMENT)
    assert (up["instrument"], up["complement"], up["outcome"]) == (1, 2, 0)
    assert (down["instrument"], down["complement"], down["outcome"]) == (2, 1, 1)
    for record, token in zip((up, down), market.tokens, strict=True):
        assert int.from_bytes(record["token_id"].tobytes(), "big") == int(token)
        assert record["condition_id"].tobytes() == market.condition_id
        assert (record["tick"], record["min_size_cents"]) == (10_000, 500)
        assert (record["open_s"], record["close_s"]) == (market.open_s, market.close_s)
        assert (record["generation"], record["neg_risk"]) == (2, 0)
