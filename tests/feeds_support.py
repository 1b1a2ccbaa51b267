"""What the tests of the feeds share: a registry of made-up markets, frames, and a plain-Python twin
of the market decoder that shares no code with it."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from engine.wire.codes import FeeCurve, Flag, Kind, MarketStatus, Side
from engine.wire.records import BODIES
from feeds.instruments import Instruments, Market

UP = "48388091485466084032258596983551595414700058539322197443810535093166937854987"
DOWN = "61239215649395191360236665642361373285369855891601242399674202107726866894461"
CONDITION = "0xd2d9b87685f3522db7ba4da4eb9caa802a8419b4bc52beeac2866ec1fb5a2b62"
HASH = "f3cc31114e050a10b3d72e6f8a2233f63b19489c"
STAMP_MS = 1_777_366_994_943


def market(
    up: str = UP, down: str = DOWN, *, number: int = 1, slug: str = "", tick: int = 10_000
) -> Market:
    """Return an open market with the given tokens."""
    return Market(
        slug=slug or f"market-{number}",
        condition_id=number.to_bytes(32, "big"),
        tokens=(up, down),
        outcomes=("Up", "Down"),
        generation=2,
        neg_risk=False,
        fee_curve=FeeCurve.V2,
        fee_rate_ppm=70_000,
        fee_exponent=1,
        tick=tick,
        min_size_cents=500,
        open_s=1_777_366_800,
        close_s=1_777_367_700,
        status=MarketStatus.OPEN,
    )


def registry(*pairs: tuple[str, str], tick: int = 10_000) -> Instruments:
    """Return a registry of one market for each pair of tokens; one default market without any."""
    instruments = Instruments()
    for number, (up, down) in enumerate(pairs or ((UP, DOWN),), 1):
        instruments.add(market(up, down, number=number, tick=tick))
    return instruments


def change(token: str = UP, price: str = "0.27", size: str = "15", side: str = "BUY", **over: str):
    """Return one entry of a price_change."""
    entry = {"asset_id": token, "price": price, "size": size, "side": side, "hash": HASH}
    return {**entry, "best_bid": "0.49", "best_ask": "0.51", **over}


def price_change(*entries: dict[str, str], stamp: Any = str(STAMP_MS)) -> dict[str, Any]:
    """Return a price_change event."""
    return {
        "market": CONDITION,
        "price_changes": list(entries),
        "timestamp": stamp,
        "event_type": "price_change",
    }


def book(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], token: str = UP, **over: Any
) -> dict[str, Any]:
    """Return a book event; levels are (price, size), worst first."""
    event = {
        "market": CONDITION,
        "asset_id": token,
        "timestamp": str(STAMP_MS),
        "hash": HASH,
        "bids": [{"price": p, "size": s} for p, s in bids],
        "asks": [{"price": p, "size": s} for p, s in asks],
        "tick_size": "0.01",
        "event_type": "book",
        "last_trade_price": "0.5",
    }
    return {**event, **over}


def trade(token: str = UP, price: str = "0.456", size: str = "7", side: str = "SELL", **over: Any):
    """Return a last_trade_price event."""
    event = {
        "market": CONDITION,
        "asset_id": token,
        "price": price,
        "size": size,
        "side": side,
        "fee_rate_bps": "0",
        "timestamp": str(STAMP_MS),
        "transaction_hash": "0x" + "ab" * 32,
        "event_type": "last_trade_price",
    }
    return {**event, **over}


def best_bid_ask(token: str = UP, bid: str = "0.49", ask: str = "0.51", **over: Any):
    """Return a best_bid_ask event."""
    event = {
        "market": CONDITION,
        "asset_id": token,
        "best_bid": bid,
        "best_ask": ask,
        "spread": "0.02",
        "timestamp": str(STAMP_MS),
        "event_type": "best_bid_ask",
    }
    return {**event, **over}


def compact(event: Any) -> bytes:
    """Return JSON as the venue's dumps have it."""
    return json.dumps(event, separators=(",", ":")).encode()


def spaced(event: Any) -> bytes:
    """Return JSON as the venue's later frames have it."""
    return json.dumps(event).encode()


def _micros(text: str) -> int:
    value = Decimal(text) * 1_000_000
    assert value == value.to_integral_value()
    return int(value)


def twin(frame: bytes, instruments: Instruments) -> dict[int, list[tuple[Any, ...]]]:
    """Return what a frame of books and price changes says, by instrument and in order.

    Each entry: (is_book, levels, best bid, best ask, venue ns); levels as (side, price, size).
    """
    content = json.loads(frame)
    said: dict[int, list[tuple[Any, ...]]] = {}
    for event in content if isinstance(content, list) else [content]:
        stamp_ns = int(event["timestamp"]) * 1_000_000
        if event["event_type"] == "book":
            index = instruments.table.find(event["asset_id"])
            levels = [(0, _micros(x["price"]), _micros(x["size"])) for x in event["bids"]]
            levels += [(1, _micros(x["price"]), _micros(x["size"])) for x in event["asks"]]
            bid = max((p for side, p, size in levels if side == 0 and size), default=0)
            ask = min((p for side, p, size in levels if side == 1 and size), default=1_000_000)
            said.setdefault(index, []).append((True, levels, bid, ask, stamp_ns))
            continue
        own: dict[int, list[Any]] = {}
        for x in event["price_changes"]:
            entry = own.setdefault(instruments.table.find(x["asset_id"]), [[], 0, 0])
            entry[0].append((int(x["side"] == "SELL"), _micros(x["price"]), _micros(x["size"])))
            entry[1:] = _micros(x["best_bid"]), _micros(x["best_ask"])
        for index, (levels, bid, ask) in own.items():
            said.setdefault(index, []).append((False, levels, bid, ask, stamp_ns))
    said.pop(0, None)
    return said


def said_by(rows: np.ndarray) -> dict[int, list[tuple[Any, ...]]]:
    """Return the same from LEVELS rows, checking their flags on the way."""
    said: dict[int, list[tuple[Any, ...]]] = {}
    pending: dict[int, tuple[bool, list[tuple[int, int, int]]]] = {}
    for record in np.ascontiguousarray(rows).reshape(-1).view(BODIES[Kind.LEVELS]):
        if record["kind"] == Kind.STATUS:
            continue
        assert record["kind"] == Kind.LEVELS
        index, flags = int(record["instrument"]), int(record["flags"])
        if index not in pending:
            pending[index] = bool(flags & Flag.RESET), []
        else:
            assert not flags & Flag.RESET, "only the first record of a book resets"
        is_book, levels = pending[index]
        used = [(int(x["side"]), int(x["price"]), int(x["size"])) for x in record["levels"]]
        count = next((k for k, level in enumerate(used) if level[1] == 0), len(used))
        assert all(level == (0, 0, 0) for level in used[count:]), "unused levels are zero"
        levels += used[:count]
        if flags & Flag.LAST:
            assert flags & Flag.TOUCH
            claim = int(record["best_bid"]), int(record["best_ask"])
            if is_book:  # a book may list its asks first: the order of the sides says nothing
                levels.sort(key=lambda level: level[0])
            entry = (is_book, levels, *claim, int(record["venue_ns"]))
            said.setdefault(index, []).append(entry)
            del pending[index]
        else:
            assert count == len(used), "only the last record has room left"
            assert record["best_bid"] == 0
            assert record["best_ask"] == 0
    assert not pending, "every run of records ends with LAST"
    return said


class PlainBook:
    """The simplest order book there is."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def apply(self, is_book: bool, levels: list[tuple[int, int, int]]) -> None:
        """Apply one frame's levels."""
        if is_book:
            self.sides[0].clear()
            self.sides[1].clear()
        for side, price, size in levels:
            self.sides[side][price] = size
            if size == 0:
                del self.sides[side][price]

    @property
    def touch(self) -> tuple[int, int]:
        """Best bid and ask; 0 and 1_000_000 where a side is empty."""
        return max(self.sides[Side.BUY], default=0), min(self.sides[Side.SELL], default=1_000_000)


def session_frames(shared_dir: Path) -> list[bytes]:
    """Return every market frame of the recorded sessions, in order."""
    frames = []
    for path in sorted((shared_dir / "recordings/clob_rtds_sessions").glob("*.raw_messages.*gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            envelope = json.loads(line)
            if envelope["source"] == "polymarket_clob" and "event_type" in envelope["payload"]:
                frames.append(envelope["payload"].encode())
    return frames


def registry_of(frames: list[bytes]) -> Instruments:
    """Return a registry of all tokens that recorded frames name, paired as they come."""
    tokens: dict[str, None] = {}
    for frame in frames:
        content = json.loads(frame)
        for event in content if isinstance(content, list) else [content]:
            for entry in [event, *event.get("price_changes", [])]:
                if "asset_id" in entry:
                    tokens[entry["asset_id"]] = None
    names = [*tokens] + (["1"] if len(tokens) % 2 else [])
    return registry(*zip(names[::2], names[1::2], strict=True))
