"""Recordings come in whole or not at all, and play in order."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest
from deadlines import PATIENCE_S
from exchange_support import START_MS, write_recording

from engine.exchange.accounts import Accounts
from engine.exchange.books import Change
from engine.exchange.events import Silence
from engine.exchange.listing import Listing
from engine.exchange.player import Player
from engine.exchange.recording import Recording, load_recording
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.host.errors import RefuseError
from engine.wire.codes import MarketStatus, Side


class Watcher(Silence):
    """Remembers when every book was shown, and what was the next snapshot not yet shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, str]] = []
        self.schedule = Schedule()

    def books_changed(self, listing: Listing, changes: list[tuple[int, list[Change]]]) -> None:
        """Remember the moment."""
        self.shown.append((self.schedule.now_ms, listing.market.slug))

    def books_replaced(self, listing: Listing, outcomes: list[int]) -> None:
        """Remember the moment."""
        self.shown.append((self.schedule.now_ms, listing.market.slug))


def player_of(folder: Path, speed: float = 300.0) -> tuple[Player, Venue, Watcher, Recording]:
    """Return a player of the recording in `folder`."""
    watcher = Watcher()
    recording = load_recording(str(folder))
    venue = Venue(VenueRules(), watcher.schedule, Accounts("x"), TruthLedger(), watcher)
    return Player(recording, venue, speed), venue, watcher, recording


def test_levels_become_micros(tmp_path: Path):
    """Prices and sizes are integer micros, best level first, and outcome 0 is Up."""
    write_recording(tmp_path, markets=1, snapshots=1)
    recording = load_recording(str(tmp_path))
    assert [int(x) for x in recording.outcome] == [0, 1]
    bids, asks = recording.book(0)
    assert list(bids.items())[:2] == [(400_000, 10_000_000), (390_000, 11_000_000)]
    assert next(iter(asks.items())) == (420_000, 7_500_000)
    down_bids = [(580_000, 7_500_000), (570_000, 8_500_000)]
    assert list(recording.book(1)[0].items())[:2] == down_bids


def test_first_markets_only(tmp_path: Path):
    """A limit keeps the first windows and nothing of the others."""
    write_recording(tmp_path, markets=3, snapshots=2)
    recording = load_recording(str(tmp_path), 2)
    assert (len(recording.markets), len(recording)) == (2, 8)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"ts": 1, "side": "UP", "bids": [[1.2, 5]], "asks": []}, "impossible price"),
        ({"ts": 1, "side": "UP", "bids": [[0.5, -5]], "asks": []}, "impossible size"),
        ({"ts": 1, "side": "UP", "bids": [[0.5]], "asks": []}, "not [price, size]"),
        ({"ts": 1, "side": "UP", "bids": [0.5], "asks": []}, "malformed levels"),
        ({"ts": 1, "side": "UP", "bids": [["x", "y"]], "asks": []}, "malformed number"),
        ({"ts": "x", "side": "UP", "bids": [], "asks": []}, "malformed number"),
        ({"ts": 1, "side": "SIDEWAYS", "bids": [], "asks": []}, "rows of nothing known"),
        ({"ts": 1, "side": "UP"}, "malformed line"),
        (7, "malformed line"),
        ({"ts": 1, "side": "UP", "bids": [[float("nan"), 5]], "asks": []}, "cannot be read"),
    ],
)
def test_malformed_recordings_are_refused(tmp_path: Path, line: object, complaint: str):
    """A bad line refuses the recording with one clear sentence naming the folder or file."""
    write_recording(tmp_path, markets=1, snapshots=1)
    (path,) = tmp_path.glob("*.gz")
    path.write_bytes(gzip.compress(json.dumps(line).encode()))
    with pytest.raises(RefuseError, match="recording") as refusal:
        load_recording(str(tmp_path))
    assert complaint in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


def test_truncated_and_missing_files_are_refused(tmp_path: Path):
    """No folder, no index, a torn file: each is named."""
    with pytest.raises(RefuseError, match=r"markets\.jsonl"):
        load_recording(str(tmp_path / "absent"))
    write_recording(tmp_path, markets=1, snapshots=1)
    (path,) = tmp_path.glob("*.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(RefuseError, match=path.name):
        load_recording(str(tmp_path))
    path.unlink()
    with pytest.raises(RefuseError, match=path.name):
        load_recording(str(tmp_path))


def test_play_shows_every_snapshot_at_its_own_time(tmp_path: Path):
    """The venue's clock equals the snapshot's time when it is shown, and markets end resolved."""
    write_recording(tmp_path)
    player, venue, watcher, recording = player_of(tmp_path)
    player.run_to_end()
    times = [ms for ms, _ in watcher.shown]
    assert times == sorted(times)
    assert {int(ms) for ms in recording.times_ms} <= set(times)
    assert [x.status for x in venue.listings.values()] == [MarketStatus.RESOLVED] * 2
    progress = player.progress()
    assert (progress.played, progress.total, progress.done) == (160, 160, True)


async def test_clock_never_runs_ahead_of_the_recording(tmp_path: Path):
    """However fast it is asked to be, the clock stops at what has not been shown yet."""
    write_recording(tmp_path)
    player, venue, _, recording = player_of(tmp_path, speed=1e9)
    player.start()
    async with asyncio.timeout(PATIENCE_S):
        while not player.progress().done:
            progress = player.progress()
            if progress.played < progress.total:
                assert venue.schedule.now_ms <= recording.times_ms[progress.played]
            await asyncio.sleep(0)
    player.stop()


async def test_held_play_stands_still(tmp_path: Path):
    """Before start() the clock stands one millisecond before the first snapshot."""
    write_recording(tmp_path)
    player, venue, watcher, _ = player_of(tmp_path)
    await asyncio.sleep(0)
    assert venue.schedule.now_ms == START_MS + 1_000 - 1
    assert watcher.shown == []
    assert not player.is_playing


def test_one_millisecond_has_an_order():
    """Expiries come before the book of their millisecond, held takers after it."""
    schedule, done = Schedule(), []
    schedule.at(5, Phase.ACT, lambda: done.append("act"))
    schedule.at(5, Phase.EXPIRE, lambda: done.append("expire"))
    schedule.at(4, Phase.ACT, lambda: done.append("earlier"))
    schedule.advance(5, Phase.BOOK)
    assert done == ["earlier", "expire"]
    schedule.advance(5)
    assert done == ["earlier", "expire", "act"]


def test_truth_rows_are_on_disk_after_a_flush(tmp_path: Path):
    """Rows are numbered JSON lines; one flush writes them all, and the file is appended to."""
    path = tmp_path / "truth.jsonl"
    for start in range(2):
        ledger = TruthLedger(path)
        calls: list[int] = []
        ledger.on_first = lambda calls=calls: calls.append(1)
        ledger.write("start", 1, mode="recorded")
        ledger.write("settle", 2, trade_id="x", status="MINED")
        assert len(path.read_bytes().splitlines()) == 2 * start
        ledger.flush()
        assert calls == [1]
        ledger.close()
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(row["seq"], row["ts"], row["type"]) for row in rows[:2]] == [
        (1, 1, "start"),
        (2, 2, "settle"),
    ]
    with pytest.raises(RefuseError, match="truth ledger cannot be written"):
        TruthLedger(tmp_path / "absent" / "truth.jsonl")


def test_the_package_sample_plays_through():
    """All 18 markets of the demo's recording resolve as it says they did."""
    pytest.importorskip("resolvedkit")
    recording = load_recording("resolvedkit")
    watcher = Watcher()
    venue = Venue(VenueRules(), watcher.schedule, Accounts("x"), TruthLedger(), watcher)
    player = Player(recording, venue, 300)
    player.run_to_end()
    assert len(recording) == 38_333
    assert [x.payouts for x in venue.listings.values()] == [m.payouts for m in recording.markets]
    assert {x.tick for x in venue.listings.values()} == {1_000, 10_000}
    assert all(not x.pool.books[0].side(Side.BUY) for x in venue.listings.values())
