"""The exchange's texts are the venue's, byte for byte."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exchange_support import ASKS, BIDS, Hand, market

from engine.exchange.books import Levels
from engine.exchange.listing import Listing
from engine.exchange.orders import Submission
from engine.exchange.rules import read_terms
from engine.exchange.server import frames
from engine.exchange.server.http import Refusal, decode_cursor, encode_cursor
from engine.exchange.texts import decimal_text
from engine.math.units import micros_from_text
from engine.wire.codes import Side, Tif
from signer.contracts import Generation


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0"),
        (1_000_000, "1"),
        (490_000, "0.49"),
        (1_000, "0.001"),
        (164_192_220_000, "164192.22"),
    ],
)
def test_numbers_are_spelled_as_the_venue_does(micros: int, text: str):
    """Shortest decimal, no exponent, no trailing zeros."""
    assert decimal_text(micros) == text


def listing_of(book: dict[str, Any]) -> Listing:
    """Return a listing that displays a recorded book as its Up token."""
    shown = Listing(
        market(
            condition_id=book["market"],
            tokens=(int(book["asset_id"]), 1),
            min_size=micros_from_text(book.get("min_order_size", "5")),
            neg_risk=book.get("neg_risk", False),
            generation=Generation.V3 if book.get("version") == "v2" else Generation.V2,
        ),
        tick=micros_from_text(book["tick_size"]),
        last_trade_price=book["last_trade_price"],
    )
    sides: list[Levels] = [
        {micros_from_text(x["price"]): micros_from_text(x["size"]) for x in book[side]}
        for side in ("bids", "asks")
    ]
    shown.pool.books[0].replace(*sides, int(book["timestamp"]))
    return shown


def is_spelled_canonically(book: dict[str, Any]) -> bool:
    """Whether a book's numbers are in the venue's present spelling and order."""
    rows = [*book["bids"], *book["asks"]]
    prices = [[float(x["price"]) for x in book[side]] for side in ("bids", "asks")]
    return (
        all(decimal_text(micros_from_text(x[k])) == x[k] for x in rows for k in ("price", "size"))
        and prices[0] == sorted(set(prices[0]))
        and prices[1] == sorted(set(prices[1]), reverse=True)
    )


def test_book_hash_agrees_with_golden_vectors(shared_dir: Path):
    """Every golden book in the venue's own spelling has the golden hash."""
    vectors = json.loads((shared_dir / "vectors/book_hash.json").read_text())["vectors"]
    books = [(v["book"], v["sha1"]) for v in vectors if is_spelled_canonically(v["book"])]
    assert books
    assert [frames.book_hash(listing_of(book), 0) for book, _ in books] == [h for _, h in books]


def test_dump_is_byte_for_byte_the_recorded_one(shared_dir: Path):
    """A recorded subscribe dump, shown by the exchange, gives the recorded bytes again."""
    compared = 0
    for path in sorted((shared_dir / "recordings/clob_rtds_sessions").glob("*raw_messages*")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = json.loads(line)
            if row["source"] != "polymarket_clob" or not row["payload"].startswith("[{"):
                continue
            books = json.loads(row["payload"])
            texts = [frames.book_frame(listing_of(book), 0) for book in books]
            assert frames.dump_frame(texts) == row["payload"]
            compared += len(books)
    assert compared


# As the venue sent it on 2026-10-05, before the first trade there.
V2_DUMP = (
    '[{"market":"0x017791f201d5a788e0039e511fc1900e5f000000000000000000000000000000",'
    '"asset_id":"663574927012476832975694178961957910328055987427402067619466963999000625152",'
    '"timestamp":"1791238858575","hash":"fc3846cab0c35a0977b6e5f605a4e5ff0d0b2277",'
    '"bids":[],"asks":[],"tick_size":"0.01","event_type":"book","last_trade_price":"",'
    '"version":"v2"}]\n'
)


def test_a_v2_book_says_so_in_the_stream_and_over_rest():
    """A book of protocol V2 ends with its version, and its hash covers that."""
    (book,) = json.loads(V2_DUMP)
    shown = listing_of(book)
    assert frames.dump_frame([frames.book_frame(shown, 0)]) == V2_DUMP
    over_rest = json.loads(frames.rest_book(shown, 0))
    assert (list(over_rest)[-1], over_rest["version"]) == ("version", "v2")
    assert over_rest["hash"] == book["hash"]


@dataclass(frozen=True)
class Amounts:
    """An order's signed side of the story."""

    side: Side
    maker: int
    taker: int
    tif: Tif

    def read(self, tick: int = 10_000) -> Any:
        """Return the terms, or the refusal's text."""
        hand = Hand()
        return read_terms(
            Submission(
                "0x1",
                hand.account,
                "owner",
                hand.listing.market,
                0,
                self.side,
                self.maker,
                self.taker,
                self.tif,
                False,
                0,
            ),
            tick,
        )


def test_limit_amounts_give_an_exact_price():
    """A limit order's price is the exact ratio of its amounts, and its size the shares."""
    terms = Amounts(Side.BUY, 4_331_800, 19_690_000, Tif.GTC).read()
    assert (terms.limit, terms.size, terms.budget) == (220_000, 19_690_000, 0)
    terms = Amounts(Side.SELL, 19_690_000, 4_331_800, Tif.GTD).read()
    assert (terms.limit, terms.size) == (220_000, 19_690_000)


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        (
            Amounts(Side.BUY, 4_330_000, 19_690_000, Tif.GTC),
            (
                "invalid amounts, the taker amount for a $0.22 order of size 19.69 "
                "should be '4.3318' but the value submited is '4.33'"
            ),
        ),
        (
            Amounts(Side.BUY, 4_331_800, 19_690_000, Tif.FAK),
            (
                "invalid amounts, the market buy orders maker amount supports a max accuracy of "
                "2 decimals, taker amount a max of 4 decimals"
            ),
        ),
        (
            Amounts(Side.SELL, 19_690_000, 4_331_810, Tif.FOK),
            (
                "invalid amounts, the market sell orders maker amount supports a max accuracy of "
                "2 decimals, taker amount a max of 4 decimals"
            ),
        ),
        (Amounts(Side.BUY, 0, 5_000_000, Tif.GTC), "invalid amounts, maker and taker amount must"),
        (Amounts(Side.BUY, 4_550_000, 9_000_000, Tif.FAK), "breaks minimum tick size rule: 0.01"),
        (Amounts(Side.BUY, 10_000, 1 << 60, Tif.FAK), "invalid amounts, the market buy orders"),
        (Amounts(Side.BUY, 10_000, 10**18, Tif.FAK), "Price (0) breaks minimum tick size rule"),
        (Amounts(Side.BUY, 10**18, 10_000_000, Tif.GTC), "breaks minimum tick size rule"),
    ],
)
def test_amounts_off_the_rules_are_named(amounts: Amounts, text: str):
    """Each rule of amount arithmetic has its text."""
    assert text in amounts.read()


def test_market_amounts_are_near_the_grid():
    """A market order's four decimals cannot hit a fine price exactly; the grid price is meant."""
    terms = Amounts(Side.BUY, 5_000_000, 10_638_200, Tif.FAK).read()
    assert (terms.limit, terms.budget) == (470_000, 5_000_000)
    terms = Amounts(Side.SELL, 7_290_000, 3_141_900, Tif.FOK).read(1_000)
    assert (terms.limit, terms.size, terms.budget) == (431_000, 7_290_000, 0)


def test_a_change_frame_has_a_space_after_each_comma():
    """Later frames are spelled as the recorded ones: `, ` and `:`."""
    hand = Hand()
    hand.show()
    changes = hand.listing.pool.books[0].replace({}, {}, hand.schedule.now_ms)
    text = frames.price_change_frame(hand.listing, [(0, changes)], hand.schedule.now_ms)
    assert json.dumps(json.loads(text), separators=(", ", ":")) == text
    entries = json.loads(text)["price_changes"]
    assert len(entries) == len(BIDS) + len(ASKS)
    assert {(entry["best_bid"], entry["best_ask"]) for entry in entries} == {("0", "1")}


def test_cursors_are_the_venues():
    """`MA==` is the start, `LTE=` the end, and anything else but a number is refused."""
    assert decode_cursor(None) == decode_cursor("MA==") == 0
    assert decode_cursor(encode_cursor(100)) == 100
    assert decode_cursor("LTE=") > 1 << 30
    with pytest.raises(Refusal, match="invalid next_cursor"):
        decode_cursor("%%")
