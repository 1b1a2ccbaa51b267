"""`python bench/peers/frame_decode.py`: a frame's bytes to integer rows, beside the JSON parsers.

Everyone makes the same rows (instrument, side, price, size), checked before the first round; what
`json.loads` and its kin return is no market data yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import simdjson
from feeds_support import DOWN, UP, registry
from peers.field import play, tell
from peers.lines import timed
from test_decode import FRAMES, LOCAL_NS, Row, orjson_rows

from engine.wire.records import BODY_WORD, LEVELS_PER_RECORD
from feeds.clob_scan import scan
from feeds.numbers import micros

CALLS = 400
INDICES = {UP: 1, DOWN: 2}
NAMES = ("price_change x1", "price_change x2", "price_change x10", "book 50+50")


class Change(msgspec.Struct):
    """One entry of a price_change."""

    asset_id: str
    price: str
    size: str
    side: str


class Level(msgspec.Struct):
    """One price of a book."""

    price: str
    size: str


class Event(msgspec.Struct):
    """A price_change or a book."""

    asset_id: str = ""
    price_changes: list[Change] = []
    bids: list[Level] = []
    asks: list[Level] = []


def rows_of(event: Any) -> list[Row]:
    """Return the rows of a parsed event of plain dicts, or of what behaves like them."""
    if event["event_type"] == "book":
        index = INDICES[event["asset_id"]]
        sides = (0, event["bids"]), (1, event["asks"])
        return [(index, k, micros(x["price"]), micros(x["size"])) for k, xs in sides for x in xs]
    return [
        (INDICES[x["asset_id"]], int(x["side"] == "SELL"), micros(x["price"]), micros(x["size"]))
        for x in event["price_changes"]
    ]


def by_json(frame: bytes) -> list[Row]:
    """The standard library."""
    return rows_of(json.loads(frame))


def by_orjson(frame: bytes) -> list[Row]:
    """What a careful bot does."""
    return orjson_rows(frame, INDICES.__getitem__)


def msgspec_decoder() -> Callable[[bytes], list[Row]]:
    """Typed structs: no dicts, no keys nobody asked for."""
    decoder = msgspec.json.Decoder(Event)

    def decode(frame: bytes) -> list[Row]:
        event = decoder.decode(frame)
        if event.price_changes:
            return [
                (INDICES[x.asset_id], int(x.side == "SELL"), micros(x.price), micros(x.size))
                for x in event.price_changes
            ]
        index = INDICES[event.asset_id]
        sides = (0, event.bids), (1, event.asks)
        return [(index, k, micros(x.price), micros(x.size)) for k, xs in sides for x in xs]

    return decode


def simdjson_decoder() -> Callable[[bytes], list[Row]]:
    """One parser reused; its lazy views are read once."""
    parser = simdjson.Parser()

    def decode(frame: bytes) -> list[Row]:
        return rows_of(parser.parse(frame))

    return decode


def scanner() -> tuple[Callable[[bytes], object], Callable[[bytes], list[Row]]]:
    """Ours: the scan as it is called, and the rows it left, as the others make them."""
    table = registry().table
    out = np.zeros((64, 16), np.int64)

    def decode(frame: bytes) -> int:
        count: int = scan(np.frombuffer(frame, np.uint8), LOCAL_NS, table.slots, table.rows, out)
        return count

    def rows(frame: bytes) -> list[Row]:
        found = []
        for record in out[: decode(frame)]:
            for word, size in record[BODY_WORD:].reshape(-1, 2)[:LEVELS_PER_RECORD].tolist():
                price, side = word & 0xFFFF_FFFF, word >> 32 & 0xFF
                if price:
                    found.append((int(record[0] >> 32), side, price, size))
        return found

    return decode, rows


def main() -> None:
    """Check that everyone agrees, then measure."""
    ours, our_rows = scanner()
    peers = {
        "orjson": by_orjson,
        "json": by_json,
        "msgspec, typed": msgspec_decoder(),
        "pysimdjson": simdjson_decoder(),
    }
    for name in NAMES:
        frame = FRAMES[name]
        wanted = sorted(our_rows(frame))
        for peer, decode in peers.items():
            if sorted(decode(frame)) != wanted:
                raise SystemExit(f"{peer} and halftick see another market: frame={name}")
        field = {
            peer: lambda decode=decode, frame=frame: timed(lambda: decode(frame), CALLS)
            for peer, decode in {**peers, "**halftick**": ours}.items()
        }
        tell(f"decode {name}", play(field))


if __name__ == "__main__":
    main()
