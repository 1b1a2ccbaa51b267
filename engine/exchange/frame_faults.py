"""What a faulty stream makes of its frames, for one connection. Pong and ping pass as they are.

A filter is given every text frame before it is sent and returns what is sent instead: nothing, the
frame, the frame and more. A frame changed here is valid JSON with the same meaning for what is
left, though not in the venue's own spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from engine.exchange.scenario import Fault, FaultKind
from engine.exchange.texts import MICROS, decimal_text
from engine.math.units import micros_from_text

SIZES = re.compile(rb'"(size|size_matched|matched_amount)":\s?"([0-9]+)(\.[0-9]+)?"')
STATUS = re.compile(rb'"status":\s?"[A-Z_]+"')
CROSSED_BY = 10_000  # micros above the best ask
CROSSED_SIZE = "7"

Fires = Sequence[tuple[Fault, Callable[[], bool]]]


class FrameFilter:
    """One connection's frames, in the order in which they would be sent."""

    __slots__ = ("_due", "_fires", "_first_book", "_hang_up", "_late", "_outcome_of")

    def __init__(
        self,
        fires: Fires,
        outcome_of: Callable[[str], int | None],
        hang_up: Callable[[], None],
    ) -> None:
        """fires: each fault of the stream with its draw.  outcome_of: by a token's text."""
        self._fires = fires
        self._outcome_of = outcome_of
        self._hang_up = hang_up
        self._due: list[bytes] = []  # sent before the next frame
        self._late: list[bytes] = []  # sent after it
        self._first_book = b""

    def __call__(self, frame: bytes) -> list[bytes]:
        """Return what is sent for a frame."""
        if not self._fires or frame[:1] not in (b"{", b"["):
            return [frame]
        if not self._first_book:
            self._first_book = _first_book(frame)
        due, late, self._due, self._late = self._due, self._late, [], []
        out = [frame]
        for fault, fires in self._fires:
            if out and fires():
                out = self._apply(fault, out)
        return [*due, *out, *late]

    def _apply(self, fault: Fault, out: list[bytes]) -> list[bytes]:
        match fault.kind:
            case FaultKind.LOSE:
                return []
            case FaultKind.MUTE if fault.outcome < 0:
                return []
            case FaultKind.MUTE:
                kept = [self._without(fault.outcome, orjson.loads(frame)) for frame in out]
                return [frame for frame in kept if frame]
            case FaultKind.REPEAT:
                return [*out, out[-1]]
            case FaultKind.SHUFFLE:
                self._late = out
                return []
            case FaultKind.CROSSED:
                return self._cross(out)
            case FaultKind.STALE_BOOK if self._first_book:
                return [*out, self._first_book]
            case FaultKind.ODD_PRECISION:
                return [SIZES.sub(_seventh_decimal, frame) for frame in out]
            case FaultKind.REWORD:
                return [STATUS.sub(_word(fault.text), frame) for frame in out]
            case FaultKind.RESIZE:
                return [*out, SIZES.sub(_half, out[-1])]
            case FaultKind.HANG_UP:
                self._hang_up()
                return []
        return out

    def _without(self, outcome: int, frame: Any) -> bytes:
        """Return a frame less what it says of one token; b"" if that was all."""
        if isinstance(frame, list):
            kept = [book for book in frame if self._outcome_of(book["asset_id"]) != outcome]
            return orjson.dumps(kept) if kept else b""
        if "price_changes" in frame:
            entries = frame["price_changes"]
            kept = [e for e in entries if self._outcome_of(e["asset_id"]) != outcome]
            return orjson.dumps(frame | {"price_changes": kept}) if kept else b""
        is_its = self._outcome_of(str(frame.get("asset_id", ""))) == outcome
        return b"" if is_its else orjson.dumps(frame)

    def _cross(self, out: list[bytes]) -> list[bytes]:
        """Put a bid above the best ask before a change of a book, and take it out again later."""
        frame = orjson.loads(out[0])
        if not isinstance(frame, dict) or not frame.get("price_changes"):
            return out
        entry = frame["price_changes"][0]
        price = micros_from_text(entry["best_ask"]) + CROSSED_BY
        if price >= MICROS:
            return out
        text = decimal_text(price)
        bid = entry | {"side": "BUY", "price": text, "size": CROSSED_SIZE, "best_bid": text}
        gone = entry | {"side": "BUY", "price": text, "size": "0"}
        self._due.append(orjson.dumps(frame | {"price_changes": [gone]}))
        return [orjson.dumps(frame | {"price_changes": [bid]}), *out]


def _first_book(frame: bytes) -> bytes:
    """Return the first whole book in a frame as a frame of its own, b"" if there is none."""
    data = orjson.loads(frame)
    books = data if isinstance(data, list) else [data]
    for book in books:
        if isinstance(book, dict) and book.get("event_type") == "book":
            return orjson.dumps(book)
    return b""


def _seventh_decimal(size: re.Match[bytes]) -> bytes:
    key, whole, fraction = size.groups()
    return b'"%b":"%b%b4"' % (key, whole, (fraction or b".").ljust(7, b"0"))


def _word(text: str) -> bytes:
    return b'"status":"' + text.encode().replace(b"\\", b"") + b'"'


def _half(size: re.Match[bytes]) -> bytes:
    key, whole, fraction = size.groups()
    micros = micros_from_text((whole + (fraction or b"")).decode()) // 2
    return b'"%b":"%b"' % (key, decimal_text(micros).encode())
