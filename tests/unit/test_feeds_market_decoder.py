"""What the market decoder makes of the frames nobody should send, and of those that come rarely."""

from __future__ import annotations

import numpy as np
import pytest
from feeds_support import (
    DOWN,
    STAMP_MS,
    UP,
    book,
    change,
    compact,
    price_change,
    registry,
    said_by,
    trade,
)

from engine.wire.codes import Flag, Kind, MarketStatus, Side
from engine.wire.records import typed
from feeds.clob_levels import LEVELS_PER_BOOK_MAX
from feeds.market_decoder import MarketDecoder
from feeds.port import MalformedFrame
from feeds.token_table import BOOKS, TokenTable

LOCAL_NS = 1_800_000_000_000_000_000


def _decode(event: object, instruments=None) -> np.ndarray:
    return MarketDecoder(instruments or registry()).decode(compact(event), LOCAL_NS)


@pytest.mark.parametrize(
    "over",
    [
        {"price": "NaN"},
        {"price": "Infinity"},
        {"price": "1e999"},
        {"price": "-0.5"},
        {"price": "0"},
        {"price": "1"},
        {"price": "1.5"},
        {"price": "0.00001"},
        {"price": "0.00005"},
        {"price": ""},
        {"price": "0.5 "},
        {"price": "0,5"},
        {"size": "-1"},
        {"size": "1e999"},
        {"size": "1000000000000"},
        {"size": "0.0000001"},
        {"size": "9" * 5000},
        {"side": "HOLD"},
        {"side": "buy"},
        {"best_bid": "1.01"},
        {"best_ask": "x"},
        {"asset_id": str(1 << 256)},
        {"asset_id": "-1"},
        {"asset_id": "0" + UP},
        {"asset_id": ""},
    ],
)
def test_one_bad_entry_refuses_the_whole_frame(over):
    """Nothing of a frame is taken if any number, side or id in it makes no sense."""
    with pytest.raises(MalformedFrame) as refused:
        _decode(price_change(change(DOWN), {**change(UP), **over}))
    assert refused.value.is_book_lost


YEAR_2248, BEYOND_INT64, LONG = 8_772_710_400_000, "9999999999999", int("9" * 400)


@pytest.mark.parametrize(
    "stamp",
    [
        *("0", "", "1777366994", "1777366994943000", "-1", None, 1.5, "x"),
        *(YEAR_2248, str(YEAR_2248), BEYOND_INT64, -STAMP_MS, LONG),
    ],
)
def test_stamps_that_are_no_times_of_the_venue_are_refused(stamp):
    """Zero, seconds, microseconds, nonsense, and times no clock of the venue will show."""
    with pytest.raises(MalformedFrame):
        _decode(price_change(change(), stamp=stamp))


def test_stamps_may_be_numbers():
    """Epoch milliseconds without quotes are understood, by the patient decoder."""
    record = typed(_decode(price_change(change(), stamp=STAMP_MS)), Kind.LEVELS)[0]
    assert record["venue_ns"] == STAMP_MS * 1_000_000


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b" ",
        b"null",
        b"42",
        b"[[]]",
        b"{}",
        b"\xef\xbb\xbf[]",
        b'{"event_type":"book"}',
        b'{"event_type":"price_change","event_type":"book"}',
        b'{"event_type":"\xff"}',
        b'{"event_type":"\\ud800"}',
        b'{"event_type":"book"}\x00',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"event_type":"x","n":NaN}',
    ],
)
def test_texts_that_are_no_frames_are_refused(frame):
    """Empty, truncated, nested, repeated and ill-encoded texts are refused, quickly and by name."""
    with pytest.raises(MalformedFrame):
        MarketDecoder(registry()).decode(frame, LOCAL_NS)


def test_an_empty_list_is_an_answer():
    """The venue's empty acknowledgement is neither a record nor an error."""
    assert len(MarketDecoder(registry()).decode(b"[]", LOCAL_NS)) == 0


def test_an_overlong_book_is_refused():
    """More levels than there can be prices are refused, whoever decodes them."""
    levels = [("0.5", "1")] * (LEVELS_PER_BOOK_MAX + 1)
    with pytest.raises(MalformedFrame, match="book too long"):
        _decode(book(levels, []))


def test_an_empty_book_is_one_record():
    """A book without levels still replaces what was there, and says that both sides are empty."""
    rows = _decode(book([], []))
    (record,) = typed(rows, Kind.LEVELS)
    assert record["flags"] == Flag.RESET | Flag.LAST | Flag.TOUCH
    assert said_by(rows) == {1: [(True, [], 0, 1_000_000, STAMP_MS * 1_000_000)]}


def test_a_book_with_a_new_tick_announces_it_first():
    """A tick change missed by the stream is learnt from the next dump, before its levels."""
    instruments = registry()
    decoder = MarketDecoder(instruments)
    rows = decoder.decode(compact(book([], [], tick_size="0.001")), LOCAL_NS)
    assert (rows[:, 0] & 0xFFFF).tolist() == [Kind.STATUS, Kind.LEVELS]
    assert typed(rows[:1], Kind.STATUS)[0]["tick"] == 1_000
    assert instruments.tick(1) == 1_000
    assert decoder.fallback_decodes == 1
    decoder.decode(compact(book([], [], tick_size="0.001")), LOCAL_NS)
    assert decoder.fallback_decodes == 1
    assert instruments.table.rows[1, BOOKS] == 2


def test_a_refused_frame_teaches_nothing():
    """A tick announced in a frame that is refused further on is not remembered."""
    instruments = registry()
    with pytest.raises(MalformedFrame):
        _decode([book([], [], tick_size="0.001"), book([("2", "1")], [])], instruments)
    assert instruments.tick(1) == 10_000


def test_unknown_tokens_and_events_are_skipped_and_counted():
    """Other people's tokens and events nobody told us about leave the rest of the frame alone."""
    decoder = MarketDecoder(registry())
    frame = [price_change(change("123"), change(UP)), {"event_type": "weather"}, book([], [], "5")]
    rows = decoder.decode(compact(frame), LOCAL_NS)
    assert [int(r["instrument"]) for r in typed(rows, Kind.LEVELS)] == [1]
    assert (decoder.unknown_ids, decoder.unknown_events) == (2, 1)


def test_a_change_without_a_claim_has_no_touch():
    """Entries of an older form, without best prices, change the book and claim nothing."""
    entry = change()
    del entry["best_bid"], entry["best_ask"]
    (record,) = typed(_decode(price_change(entry)), Kind.LEVELS)
    assert record["flags"] == Flag.LAST


def test_a_public_trade_is_a_trade():
    """last_trade_price gives price, size and the taker's side."""
    event = trade(DOWN, "0.456", "219.217767", "SELL")
    (record,) = typed(_decode(event), Kind.TRADE)
    assert (record["kind"], record["instrument"]) == (Kind.TRADE, 2)
    assert (record["price"], record["size"]) == (456_000, 219_217_767)
    assert record["side"] == Side.SELL


@pytest.mark.parametrize("event_type", ["last_trade_price", "best_bid_ask", "market_resolved"])
def test_bad_events_about_no_level_leave_the_books_believed(event_type):
    """A trade, touch or resolution that cannot be read says nothing against a book."""
    with pytest.raises(MalformedFrame) as refused:
        _decode({"event_type": event_type, "asset_id": UP})
    assert not refused.value.is_book_lost


def test_a_winner_must_be_a_token_of_the_market():
    """A resolution that names a stranger as winner is refused: nobody is paid by guess."""
    event = {
        "event_type": "market_resolved",
        "assets_ids": [UP, DOWN],
        "winning_asset_id": "5",
        "timestamp": str(STAMP_MS),
    }
    instruments = registry()
    with pytest.raises(MalformedFrame, match="winner"):
        _decode(event, instruments)
    assert instruments.get(1).status == MarketStatus.UNKNOWN


def test_the_token_table_grows_and_keeps_everyone():
    """A thousand ids, most sharing a long beginning, are all found, and strangers are not."""
    table = TokenTable(capacity=2)
    ids = [f"{10**77 + k}" for k in range(500)] + [str(k) for k in range(1, 501)]
    for index, token_id in enumerate(ids, 1):
        table.add(index, token_id, 10_000)
    assert [table.find(token_id) for token_id in ids] == list(range(1, 1001))
    for stranger in ("501", "", "x", str(10**77 + 500), "1" * 79, "é"):
        assert table.find(stranger) == 0
