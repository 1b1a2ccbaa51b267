"""The market decoders on texts nobody has seen: never a crash, never half a frame, one truth."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest
from feeds_support import (
    DOWN,
    UP,
    best_bid_ask,
    book,
    change,
    compact,
    price_change,
    registry,
    said_by,
    spaced,
    trade,
    twin,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wire.codes import Kind
from feeds.clob_frames import PatientDecoder
from feeds.clob_scan import NOT_PLAIN, scan
from feeds.json_shape import DEPTH_MAX, KEYS_PER_OBJECT_MAX, Shape, shape
from feeds.market_decoder import MarketDecoder
from feeds.numbers import micros
from feeds.port import MalformedFrame
from feeds.text import hash_prefix_in, integer_in, micros_in, skip_space, string_end

LOCAL_NS = 1_800_000_000_000_000_000
GUARD = 0x5A5A_5A5A_5A5A_5A5A

# The first call of a jitted function may compile it.
untimed = settings(deadline=None)

prices = st.integers(1, 9_999).map(lambda n: f"{Decimal(n) / 10_000:f}")
cent_prices = st.integers(1, 99).map(lambda n: f"{Decimal(n) / 100}")
sizes = st.integers(0, 10**12).map(lambda n: f"{Decimal(n) / 1_000_000:f}")
hashes = st.text("0123456789abcdef", min_size=40, max_size=40)
best = st.sampled_from(["0", "0.01", "0.49", ".5", "0.510", "0.999", "1"])
tokens = st.sampled_from([UP, DOWN])
changes = st.builds(
    change,
    token=tokens,
    price=prices,
    size=sizes,
    side=st.sampled_from(["BUY", "SELL"]),
    hash=hashes,
    best_bid=best,
    best_ask=best,
)
levels = st.lists(st.tuples(cent_prices, sizes), max_size=12)
events = st.one_of(
    st.lists(changes, max_size=14).map(lambda entries: price_change(*entries)),
    st.builds(book, levels, levels, token=tokens, hash=hashes),
)
documents = st.one_of(events, st.lists(events, max_size=3))
trades = st.builds(
    trade, token=tokens, price=prices, size=sizes, side=st.sampled_from(["BUY", "SELL"])
)
touches = st.builds(best_bid_ask, token=tokens, bid=best, ask=best)
every_event = st.one_of(events, trades, touches)
spellings = st.sampled_from([compact, spaced, lambda e: json.dumps(e, indent=1).encode()])


def _shuffled(document, random):
    """Return the same document with the keys of every object in another order."""
    if isinstance(document, list):
        return [_shuffled(each, random) for each in document]
    if isinstance(document, dict):
        keys = list(document)
        random.shuffle(keys)
        return {key: _shuffled(document[key], random) for key in keys}
    return document


def _scan(frame: bytes, instruments, rows: int = 64) -> np.ndarray | None:
    """Scan a frame that lies between guards, into rows between guards; None = not plain."""
    text = np.full(len(frame) + 64, ord('"'), np.uint8)
    text[32 : 32 + len(frame)] = np.frombuffer(frame, np.uint8)
    out = np.full((rows + 2, 16), GUARD, np.int64)
    table = instruments.table
    count = scan(text[32 : 32 + len(frame)], LOCAL_NS, table.slots, table.rows, out[1 : 1 + rows])
    assert (out[0] == GUARD).all()
    assert (out[-1] == GUARD).all()
    assert NOT_PLAIN <= count <= rows
    return None if count == NOT_PLAIN else out[1 : 1 + count]


@untimed
@given(documents, spellings, st.randoms(use_true_random=False))
def test_scanner_patient_decoder_and_twin_agree(document, spell, random):
    """Whatever the order of keys and the spelling, three decoders read the same records."""
    frame = spell(_shuffled(document, random))
    instruments = registry()
    rows = _scan(frame, instruments)
    assert rows is not None
    assert said_by(rows) == twin(frame, instruments)
    slow = PatientDecoder(instruments).decode(frame, LOCAL_NS).records()
    assert said_by(slow) == twin(frame, instruments)
    rows = _scan(spell(document), instruments)
    slow = PatientDecoder(instruments).decode(spell(document), LOCAL_NS).records()
    order, slow_order = (np.argsort(each[:, 0] >> 32, kind="stable") for each in (rows, slow))
    np.testing.assert_array_equal(rows[order], slow[slow_order])


@untimed
@given(
    st.one_of(every_event, st.lists(every_event, max_size=4)),
    spellings,
    st.randoms(use_true_random=False),
)
def test_trades_and_touches_are_scanned_as_the_patient_decoder_reads_them(document, spell, random):
    """Alone, or in a list with books and changes, in any order of keys: the same records."""
    frame = spell(_shuffled(document, random))
    instruments = registry()
    rows = _scan(frame, instruments)
    slow = PatientDecoder(instruments).decode(frame, LOCAL_NS).records()
    assert _without_order(rows) == _without_order(slow)


def _without_order(rows) -> list[list[int]]:
    """Return all rows of a frame sorted: tokens may be told in another order, and asks first."""
    told = rows.copy()
    told[told[:, 0] & 0xFFFF == Kind.LEVELS, 4:14] = 0
    return sorted(told.tolist())


@untimed
@given(
    st.one_of(trades, touches),
    st.sampled_from(["price", "size", "side", "best_bid", "best_ask", "timestamp", "event_type"]),
    st.one_of(st.sampled_from(["", "0", "1", "1.1", "-1", "0.00005", "buy", "1e3"]), st.text()),
)
def test_a_trade_or_touch_with_a_wrong_value_is_never_guessed(event, key, value):
    """Where the scanner answers at all, it answers as the patient decoder does."""
    frame = compact({**event, key: value})
    instruments = registry()
    rows = _scan(frame, instruments)
    if rows is not None:
        slow = PatientDecoder(instruments).decode(frame, LOCAL_NS).records()
        np.testing.assert_array_equal(rows, slow)


@pytest.mark.parametrize(
    "event_type", ["last_trade_prize", "best_bid_bsk", "price_chance", "best_bid_ask_"]
)
def test_an_event_by_nearly_our_name_is_not_ours(event_type):
    """Names are told apart to their last letter, however long."""
    event = {**best_bid_ask(), **trade(), **price_change(), "event_type": event_type}
    assert _scan(compact(event), registry()) is None


@untimed
@given(documents, st.data())
def test_mutated_frames_are_read_alike_or_refused(document, data):
    """A damaged frame gives what a standard reading gives, or nothing; never something else."""
    frame = bytearray(compact(document))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(frame) - 1)))
        action = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if action == "flip" and frame:
            frame[place] = data.draw(st.integers(0, 255))
        elif action == "cut":
            del frame[place : place + data.draw(st.integers(1, 40))]
        elif action == "insert":
            frame[place:place] = data.draw(st.binary(max_size=6))
        else:
            frame[place:place] = frame[place : place + 30]
    instruments = registry()
    rows = _scan(bytes(frame), instruments)
    if rows is None:
        return
    slow = PatientDecoder(instruments)
    if shape(np.frombuffer(bytes(frame), np.uint8)) != Shape.FINE:
        return  # the scanner may overlook what it need not read: a repeated key it does not use
    assert said_by(rows) == said_by(slow.decode(bytes(frame), LOCAL_NS).records())


@untimed
@given(st.one_of(st.binary(max_size=400), st.text('[]{}":,0123456789.asidbk _', max_size=300)))
def test_arbitrary_bytes_never_crash_a_decoder(content):
    """Any bytes at all are either read or refused with MalformedFrame."""
    frame = content.encode() if isinstance(content, str) else content
    decoder = MarketDecoder(registry())
    try:
        rows = decoder.decode(frame, LOCAL_NS)
    except MalformedFrame:
        return
    assert rows.shape[1] == 16


@untimed
@given(documents, st.integers(0, 3000))
def test_truncated_frames_are_never_read(document, length):
    """A frame that ends too early is refused, wherever it ends."""
    frame = compact(document)
    cut = frame[: min(length, len(frame) - 1)]
    instruments = registry()
    assert _scan(cut, instruments) is None
    with pytest.raises(MalformedFrame):
        MarketDecoder(instruments).decode(cut, LOCAL_NS)


@untimed
@given(st.lists(levels, min_size=1, max_size=3))
def test_full_rows_are_not_plain(books):
    """Where the records do not fit, the scanner says so instead of writing past the end."""
    frame = compact([book(each, each) for each in books])
    instruments = registry()
    needed = len(_scan(frame, instruments))
    assert _scan(frame, instruments, rows=needed - 1) is None


@untimed
@given(st.one_of(st.text("0123456789.", max_size=20), st.text(max_size=8), sizes, prices))
def test_jitted_numbers_are_the_plain_ones(text):
    """The jitted reading of a decimal and the plain one agree on every text."""
    data = text.encode("utf-8", "replace")
    try:
        expected = micros(text)
    except ValueError:
        expected = -1
    assert micros_in(np.frombuffer(data, np.uint8), 0, len(data)) == expected


@untimed
@given(st.binary(max_size=60), st.integers(0, 60))
def test_jitted_text_helpers_have_plain_twins(data, start):
    """Ends of strings, white space, whole numbers and hashes are what plain Python finds."""
    start = min(start, len(data))
    text = np.frombuffer(data, np.uint8)
    plain = next(
        (
            i if data[i] == ord('"') else -1
            for i in range(start, len(data))
            if data[i] in b'"\\' or not 32 <= data[i] < 127
        ),
        -1,
    )
    assert string_end(text, start) == plain
    rest = data[start:]
    assert skip_space(text, start) == len(data) - len(rest.lstrip(b" \t\r\n"))
    whole = rest.isdigit() and len(rest) <= 18
    assert integer_in(text, start, len(data)) == (int(rest) if whole else -1)
    is_hash = len(rest) == 40 and all(c in b"0123456789abcdef" for c in rest[:16])
    prefix, found = hash_prefix_in(text, start, len(data))
    assert (int(prefix), found) == ((int(rest[:16], 16), 0) if is_hash else (0, -1))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abcdef", max_size=3), inner)
    ),
    max_leaves=20,
)


@untimed
@given(json_values)
def test_sane_json_has_a_fine_shape(value):
    """JSON without repeated keys and not nested absurdly passes the check of shape."""

    def depth(each) -> int:
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        return 0 if not isinstance(each, dict | list) else 1 + max(map(depth, inner), default=0)

    found = Shape(shape(np.frombuffer(json.dumps(value).encode(), np.uint8)))
    assert found is (Shape.FINE if depth(value) <= DEPTH_MAX else Shape.TOO_DEEP)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a":1,"a":2}', Shape.DUPLICATE_KEY),
        ('{"a":{"a":1},"b":[{"a":1},{"a":2}]}', Shape.FINE),
        ('{"a":"a","b":"a"}', Shape.FINE),
        ('{"\\u0061":1}', Shape.ESCAPED_KEY),
        ("[" * 1000, Shape.TOO_DEEP),
        ("]", Shape.UNBALANCED),
        ('{"a":1', Shape.UNBALANCED),
        (json.dumps({str(k): k for k in range(KEYS_PER_OBJECT_MAX + 1)}), Shape.TOO_MANY_KEYS),
    ],
)
def test_shape_names_what_is_wrong(text, found):
    """Each kind of malice has its own name."""
    assert Shape(shape(np.frombuffer(text.encode(), np.uint8))) is found


def test_interleaved_tokens_keep_their_order():
    """Of twelve changes of two tokens in turn, each token's stay in order, LAST on its last."""
    entries = [change(UP if k % 2 else DOWN, price=f"0.{10 + k}") for k in range(12)]
    frame = spaced(price_change(*entries))
    instruments = registry()
    rows = _scan(frame, instruments)
    assert len(rows) == 4
    assert (rows[:, 0] & 0xFFFF == Kind.LEVELS).all()
    assert said_by(rows) == twin(frame, instruments)
