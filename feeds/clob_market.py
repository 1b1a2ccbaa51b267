"""The market channel: books, trades, ticks and ends of markets, from frames to `md.*` records.

A frame is published whole or not at all. One that cannot be read and may have touched a book makes
the books it names unbelievable (FEED_STATUS with their instrument; all of them where it names none)
and their tokens are subscribed anew, which brings fresh dumps. Venue stamps are never used as a
clock: a dump's is as old as the book's last change, and a replayed venue lives in another time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec
import numpy as np

from engine.wire.codes import Connection as State
from engine.wire.codes import Kind, MarketStatus, Source
from engine.wire.records import new, words
from feeds import quiet
from feeds.connection import Connection, Pace
from feeds.instruments import Instrument, Instruments
from feeds.market_decoder import MarketDecoder
from feeds.market_lines import Line, Lines
from feeds.port import Context, MalformedFrame, Publisher, Session
from feeds.quiet import QuietWatch
from feeds.rehearsal import Rehearsal
from feeds.token_table import BOOKS

COUNTERS = (
    "frames",
    "bytes",
    "records",
    "malformed",
    "fallback_decodes",
    "unknown_events",
    "unknown_ids",
    "resubscribes",
    "connects",
    "connect_errors",
    "disconnects",
    "silences",
    "pings",
    "rotations",
    *quiet.COUNTERS,
)
ROTATE_MS = 600_000
# Rings are never smaller; a longer frame goes out in parts, its last one still marked LAST.
PUBLISH_ROWS_MAX = 1 << 10
SUBSCRIBE_TOKENS_MAX = 100
RESUBSCRIBE_NS = 2_000_000_000
RESUBSCRIBES_MAX = 3
SAMPLE_BYTES = 300

_TOKEN_IN_TEXT = re.compile(rb'"([0-9]{1,78})"')


class ClobMarketFeed:
    """Keeps the market socket subscribed to every token that still trades."""

    name = "clob_market"

    def __init__(
        self, context: Context, instruments: Instruments, publisher: Publisher, url: str
    ) -> None:
        """url: of the market channel."""
        self._context = context
        self._instruments = instruments
        self._publisher = publisher
        self._decoder = MarketDecoder(instruments)
        rotate_ns = int(context.settings.get("rotate_ms", ROTATE_MS)) * 1_000_000
        self._url = url
        self._lines = Lines(self, self._connect, rotate_ns)
        self._quiet = QuietWatch(context, instruments.table, self._disbelieve)
        self._subscribed: dict[int, str] = {}
        self._suspects: dict[int, int] = {}  # instrument -> books seen when it became one
        self._asked_ns = 0
        self._asked_times = 0
        self._version = 0
        self._handled = 0
        self._rehearsal = Rehearsal()
        self._work_next: Callable[[], None] | None = None
        self._has_news = False
        counters = context.counters
        self._add = counters.add
        self._frames = counters.index("frames")
        self._bytes = counters.index("bytes")
        self._records = counters.index("records")
        self._fallback_decodes = counters.index("fallback_decodes")
        self._unknown_events = counters.index("unknown_events")
        self._unknown_ids = counters.index("unknown_ids")

    def on_arrival(self, work_next: Callable[[], None]) -> None:
        """Take what to call when frames were published: whoever decides on them works at once."""
        self._work_next = work_next

    def keep_warm(self) -> None:
        """Hot path. Decode a frame for nobody."""
        self._rehearsal.run()

    def start(self) -> None:
        """Nothing yet: there is no venue to dial before there is something to subscribe to."""

    def work(self) -> int:
        """Follow the registry, look after the lines; return the frames handled since last time."""
        self._lines.check()
        if self._version != self._instruments.version:
            self._version = self._instruments.version
            self._follow_registry()
        if self._suspects:
            self._look_after_suspects()
        if self._lines.is_started:
            now_ns = self._context.clock.now_ns()
            self._rotate(now_ns)
            if self._lines.state is State.CONNECTED:
                self._quiet.look(self._open, now_ns)
        handled, self._handled = self._handled, 0
        if handled:
            decoder, put = self._decoder, self._context.counters.set
            put(self._fallback_decodes, decoder.fallback_decodes)
            put(self._unknown_events, decoder.unknown_events)
            put(self._unknown_ids, decoder.unknown_ids)
        return handled

    def close(self) -> None:
        """Say goodbye to the venue."""
        self._quiet.close()
        self._lines.close()

    def opening(self) -> list[bytes]:
        """Return the first frames of a connection: every open token, a hundred at a time."""
        chunks = _chunks(self._subscribed.values())
        first = {"type": "market", "assets_ids": next(chunks, []), "custom_feature_enabled": True}
        return [msgspec.json.encode(first), *(_operation("subscribe", chunk) for chunk in chunks)]

    def take(self, line: Line, payload: bytes | memoryview, local_ns: int) -> bool:
        """Hot path. Decode and publish one frame; an empty list is an answer, not data."""
        self._handled += 1
        self._add(self._frames)
        self._add(self._bytes, len(payload))
        try:
            rows = self._decoder.decode(payload, local_ns)
        except MalformedFrame as error:
            self._refuse(bytes(payload), error)
            return False
        if len(rows) == 0:
            return bytes(payload[:3]).strip() != b"[]"
        if self._lines.is_rotating:
            rows = self._lines.chosen(line, rows)
        self._publish(rows)
        self._has_news = True
        return True

    def caught_up(self) -> None:
        """Hot path. Let the next duties work, once for all frames that came together."""
        if self._has_news:
            self._has_news = False
            if self._work_next is not None:
                self._work_next()

    def repeat(self, *, to_new_core: bool) -> None:  # noqa: ARG002
        """Tell the state of the connection again, and have every book dumped anew."""
        if self._lines.is_started:
            self.status(self._lines.state)
        self._suspect(self._open())
        self._asked_ns = 0

    def status(self, connection: State) -> None:
        """Tell the core that the connection has changed; a new one brings every book."""
        if connection is State.CONNECTED:
            self._suspects.clear()
        self._publish(self._status_rows(connection, [0]))

    def expects_data(self) -> bool:
        """Return whether a token is subscribed whose market still trades."""
        return bool(self._subscribed)

    def _publish(self, rows: np.ndarray) -> None:
        count = len(rows)
        if count <= PUBLISH_ROWS_MAX:
            self._publisher.publish(rows)
        else:
            for first in range(0, count, PUBLISH_ROWS_MAX):
                self._publisher.publish(rows[first : first + PUBLISH_ROWS_MAX])
        self._add(self._records, count)

    def _status_rows(self, connection: State, instruments: list[int]) -> np.ndarray:
        records = new(Kind.FEED_STATUS, len(instruments))
        records["source"] = records["feed"] = Source.CLOB_MARKET
        records["instrument"] = instruments
        records["local_ns"] = self._context.clock.now_ns()
        records["connection"] = connection
        counters = self._context.counters
        records["connects"] = counters.get(counters.index("connects"))
        records["errors"] = counters.get(counters.index("connect_errors"))
        return words(records)

    def _connect(self, session: Session) -> Connection:
        return Connection(
            self.name, self._url, Pace.of(self._context.settings), session, self._context
        )

    def _rotate(self, now_ns: int) -> None:
        is_rotated, lost = self._lines.rotate(self._open, now_ns)
        if is_rotated:
            self._context.count("rotations")
        if books := [index for index in lost if index in self._subscribed]:
            self._disbelieve(books)

    def _tradable(self) -> list[Instrument]:
        return [each for each in self._instruments if not each.is_resolved]

    def _open(self) -> dict[int, str]:
        """Return what is subscribed of markets that are not closed: the others owe us no book."""
        return {
            index: token
            for index, token in self._subscribed.items()
            if self._instruments.get(index).status is not MarketStatus.CLOSED
        }

    def _follow_registry(self) -> None:
        wanted = {each.index: each.token_id for each in self._tradable()}
        if not self._lines.is_started:
            self._subscribed = wanted
            if wanted:
                self._lines.start()
            return
        gone = [token for index, token in self._subscribed.items() if index not in wanted]
        fresh = [token for index, token in wanted.items() if index not in self._subscribed]
        self._subscribed = wanted
        for operation, tokens in (("unsubscribe", gone), ("subscribe", fresh)):
            for chunk in _chunks(tokens):
                self._lines.send(_operation(operation, chunk))

    def _refuse(self, frame: bytes, error: MalformedFrame) -> None:
        """Count a refused frame, keep a sample, and stop believing the books it may have meant."""
        self._context.count("malformed")
        error.add_note(f"frame: {frame[:SAMPLE_BYTES]!r}")
        self._context.errors.record(self.name, error)
        if not error.is_book_lost:
            return
        named = {
            self._instruments.table.find(found.decode()) for found in _TOKEN_IN_TEXT.findall(frame)
        }
        suspects = [index for index in self._subscribed if index in named] or [*self._subscribed]
        if not suspects:
            return
        self._disbelieve(suspects)

    def _disbelieve(self, indices: list[int]) -> None:
        """Tell the core that some books are wrong, and have them dumped anew."""
        self._suspect(indices)
        self._publish(self._status_rows(State.DISCONNECTED, indices))

    def _suspect(self, indices: Iterable[int]) -> None:
        books = self._instruments.table.rows[:, BOOKS]
        self._suspects.update({index: int(books[index]) for index in indices})

    def _look_after_suspects(self) -> None:
        """Ask for dumps of disbelieved books; a socket that does not answer is dropped."""
        books = self._instruments.table.rows[:, BOOKS]
        for index, seen in list(self._suspects.items()):
            if books[index] > seen or index not in self._subscribed:
                del self._suspects[index]
        if not self._suspects:
            self._asked_times = 0
            return
        now_ns = self._context.clock.now_ns()
        if now_ns - self._asked_ns < RESUBSCRIBE_NS:
            return
        self._asked_ns = now_ns
        self._asked_times += 1
        if self._asked_times > RESUBSCRIBES_MAX:
            self._asked_times = 0
            self._lines.drop("no fresh dump")
            return
        self._context.count("resubscribes")
        for chunk in _chunks(self._subscribed[index] for index in self._suspects):
            self._lines.send(_operation("unsubscribe", chunk))
            self._lines.send(_operation("subscribe", chunk))


def _chunks(tokens: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(tokens)
    while chunk := list(islice(iterator, SUBSCRIBE_TOKENS_MAX)):
        yield chunk


def _operation(operation: str, tokens: list[str]) -> bytes:
    frame: dict[str, object] = {"operation": operation, "assets_ids": tokens}
    if operation == "subscribe":
        frame["custom_feature_enabled"] = True
    return msgspec.json.encode(frame)
