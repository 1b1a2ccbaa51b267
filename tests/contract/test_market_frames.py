"""Recorded frames of the venue's market channel, read where they lie, to records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from feeds_support import PlainBook, registry, registry_of, said_by, session_frames, twin

from engine.wire.codes import Kind, MarketStatus, Side
from engine.wire.records import typed
from feeds.clob_frames import PatientDecoder
from feeds.clob_scan import NOT_PLAIN, scan
from feeds.instruments import Instruments
from feeds.market_decoder import MarketDecoder

LOCAL_NS = 1_800_000_000_000_000_000


@pytest.fixture(scope="module")
def frames(shared_dir: Path) -> list[bytes]:
    """All recorded market frames, several hundred."""
    found = session_frames(shared_dir)
    assert len(found) > 100
    return found


def _is_levels(frame: bytes) -> bool:
    content = json.loads(frame)
    events = content if isinstance(content, list) else [content]
    return all(event["event_type"] in ("book", "price_change") for event in events)


def _scanned(frame: bytes, instruments: Instruments) -> np.ndarray:
    out = np.full((4096, 16), -1, np.int64)
    table = instruments.table
    count = scan(np.frombuffer(frame, np.uint8), LOCAL_NS, table.slots, table.rows, out)
    assert count != NOT_PLAIN
    return out[:count]


def test_scanner_takes_every_recorded_book_and_price_change(frames: list[bytes]):
    """Only a recorded book that brings a new tick needs the patient decoder, to announce it."""
    decoder = MarketDecoder(registry_of(frames))
    announcing = 0
    for frame in filter(_is_levels, frames):
        rows = decoder.decode(frame, LOCAL_NS)
        assert len(rows) > 0
        announcing += bool((rows[:, 0] & 0xFFFF == Kind.STATUS).any())
    assert decoder.fallback_decodes == announcing < len(frames) // 10


def test_scanner_patient_decoder_and_twin_agree(frames: list[bytes]):
    """Three ways to read a recorded frame give the same levels, touches and stamps."""
    instruments = registry_of(frames)
    patient = PatientDecoder(instruments)
    decoder = MarketDecoder(instruments)
    for frame in filter(_is_levels, frames):
        decoder.decode(frame, LOCAL_NS)  # makes a new tick known
        rows = _scanned(frame, instruments)
        slow = patient.decode(frame, LOCAL_NS).records()
        by_instrument = np.argsort(rows[:, 0] >> 32, kind="stable")
        slow_by_instrument = np.argsort(slow[:, 0] >> 32, kind="stable")
        np.testing.assert_array_equal(rows[by_instrument], slow[slow_by_instrument])
        assert said_by(rows) == twin(frame, instruments)


def test_rebuilt_touch_equals_the_claim(frames: list[bytes]):
    """After every recorded frame the rebuilt best bid and ask are the ones the venue claims."""
    instruments = registry_of(frames)
    decoder = MarketDecoder(instruments)
    books: dict[int, PlainBook] = {}
    checked = 0
    for frame in filter(_is_levels, frames):
        for index, entries in said_by(decoder.decode(frame, LOCAL_NS)).items():
            for is_book, levels, bid, ask, _ in entries:
                mine = books.setdefault(index, PlainBook())
                mine.apply(is_book, levels)
                assert mine.touch == (bid, ask)
                checked += 1
    assert checked > 300


def test_other_recorded_events_are_read_or_counted(frames: list[bytes]):
    """Announcements of new markets bring no records, no errors and no unknown event."""
    decoder = MarketDecoder(registry_of(frames))
    for frame in frames:
        if not _is_levels(frame):
            assert len(decoder.decode(frame, LOCAL_NS)) == 0
    assert decoder.unknown_events == 0


def test_batch_cancel_ends_at_the_published_touch(shared_dir: Path):
    """Applied frame by frame, the recorded batch cancel leaves the touch its last frame claims."""
    path = shared_dir / "recordings/clob_ws_fixtures/batch_2026-09-11.json"
    recording = json.loads(path.read_text())
    before, events = recording["state_before"], recording["frames"]
    other = next(e["asset_id"] for e in events if e["asset_id"] != before["asset_id"])
    instruments = registry((before["asset_id"], other), tick=1_000)
    decoder = MarketDecoder(instruments)
    first = json.dumps({**before, "event_type": "book"}).encode()
    mine = PlainBook()
    for is_book, levels, *_ in said_by(decoder.decode(first, LOCAL_NS))[1]:
        mine.apply(is_book, levels)
    claims = []
    for event in events:
        rows = decoder.decode(json.dumps(event).encode(), LOCAL_NS).copy()
        if event["event_type"] == "best_bid_ask":
            record = typed(rows, Kind.BBO)[0]
            claims.append((int(record["bid"]), int(record["ask"])))
            continue
        for is_book, levels, bid, ask, _ in said_by(rows).get(1, []):
            mine.apply(is_book, levels)
            claims.append((bid, ask))
    assert mine.touch == claims[-1]


def _fixture(shared_dir: Path, name: str) -> dict:
    return json.loads((shared_dir / "recordings/clob_ws_fixtures/nautilus" / name).read_text())


def test_tick_size_change_becomes_status_with_tick(shared_dir: Path):
    """The recorded tick change announces the new tick in micros, once."""
    event = _fixture(shared_dir, "tick_size_change.json")
    instruments = registry((event["asset_id"], "1"))
    decoder = MarketDecoder(instruments)
    record = typed(decoder.decode(json.dumps(event).encode(), LOCAL_NS), Kind.STATUS)[0]
    assert (record["kind"], record["instrument"], record["tick"]) == (Kind.STATUS, 1, 1_000)
    assert record["payout"] == -1
    assert instruments.tick(1) == 1_000
    assert len(decoder.decode(json.dumps(event).encode(), LOCAL_NS)) == 0


def test_best_bid_ask_becomes_bbo(shared_dir: Path):
    """The recorded touch arrives as micros."""
    event = _fixture(shared_dir, "ws_market_best_bid_ask_msg.json")
    decoder = MarketDecoder(registry((event["asset_id"], "1")))
    record = typed(decoder.decode(json.dumps(event).encode(), LOCAL_NS), Kind.BBO)[0]
    assert (record["kind"], record["bid"], record["ask"]) == (Kind.BBO, 730_000, 770_000)


def test_market_resolved_pays_the_winner(shared_dir: Path):
    """The recorded resolution pays one for the winner and nothing for the loser, and only once."""
    event = _fixture(shared_dir, "ws_market_resolved_msg.json")
    winner, loser = event["assets_ids"]
    instruments = registry((winner, loser))
    decoder = MarketDecoder(instruments)
    frame = json.dumps(event).encode()
    records = typed(decoder.decode(frame, LOCAL_NS), Kind.STATUS)
    assert records["status"].tolist() == [MarketStatus.RESOLVED] * 2
    assert dict(zip(records["instrument"].tolist(), records["payout"].tolist(), strict=True)) == {
        1: 1_000_000,
        2: 0,
    }
    assert instruments.get(1).is_resolved
    assert len(decoder.decode(frame, LOCAL_NS)) == 0


def test_hand_edited_book_fixture_is_read(shared_dir: Path):
    """A pretty-printed book with keys in another order is read by the scanner as well."""
    event = _fixture(shared_dir, "book.json")
    text = (shared_dir / "recordings/clob_ws_fixtures/nautilus/book.json").read_bytes()
    instruments = registry((event["asset_id"], "1"), tick=1_000)
    rows = MarketDecoder(instruments).decode(text, LOCAL_NS)
    ((_, levels, bid, ask, _),) = said_by(rows)[1]
    assert len(levels) == len(event["bids"]) + len(event["asks"])
    assert bid == max(p for side, p, size in levels if side == Side.BUY and size)
    assert ask == min(p for side, p, size in levels if side == Side.SELL and size)
