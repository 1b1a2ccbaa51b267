"""The market channel: books, trades, ticks and ends of markets, from frames to `md.*` records.

The frames themselves go through `feeds.market_intake`; this is the feed's cold half. A frame is
published whole or not at all. One that cannot be read and may have touched a book makes the books
it names unbelievable (FEED_STATUS with their instrument; all of them where it names none)
and their tokens are subscribed anew, which brings fresh dumps. Venue stamps are never used as a
clock: a dump's is as old as the book's last change, and a replayed venue lives in another time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from engine.wire.codes import Connection as State
from engine.wire.codes import Kind, MarketStatus, Source
from engine.wire.records import new, words
from feeds import quiet, snapshot_watch
from feeds.connection import Connection, Pace
from feeds.instruments import Instrument, Instruments
from feeds.market_intake import Intake
from feeds.market_lines import Lines
from feeds.port import Context, MalformedFrame, Publisher, Session
from feeds.quiet import QuietWatch
from feeds.rehearsal import Rehearsal
from feeds.snapshot_watch import SnapshotWatch
from feeds.token_table import BOOKS

COUNTED = ("frames", "bytes", "records", "fallback_decodes", "unknown_events", "unknown_ids")
COUNTERS = (
    *COUNTED,
    "malformed",
    "resubscribes",
    "connects",
    "connect_errors",
    "disconnects",
    "silences",
    "pings",
    "rotations",
    *quiet.COUNTERS,
    *snapshot_watch.COUNTERS,
)
ROTATE_MS = 600_000
SUBSCRIBE_TOKENS_MAX = 100
RESUBSCRIBE_NS = 2_000_000_000
RESUBSCRIBES_MAX = 3
SAMPLE_BYTES = 300

_TOKEN_IN_TEXT = re.compile(rb'"([0-9]{1,78})"')


class ClobMarketFeed:
    """Keeps the market socket subscribed to every token that still trades."""

    name = "clob_market"

    def __init__(
        self,
        context: Context,
        instruments: Instruments,
        publisher: Publisher,
        url: str,
        folder: Path,
    ) -> None:
        """url: of the market channel.  folder: in memory, for the ring of the dry runs."""
        self._context = context
        self._instruments = instruments
        self._intake = Intake(instruments, publisher, self._refuse)
        self.take, self.caught_up = self._intake.take, self._intake.caught_up
        self.on_arrival = self._intake.on_arrival
        rotate_ns = int(context.settings.get("rotate_ms", ROTATE_MS)) * 1_000_000
        self._url = url
        self._lines = Lines(self, self._connect, rotate_ns)
        self._quiet = QuietWatch(context, instruments.table, self._disbelieve)
        self._snapshots = SnapshotWatch(context, instruments.table)
        self._subscribed: dict[int, str] = {}
        self._suspects: dict[int, int] = {}  # instrument -> books seen when it became one
        self._asked_ns = 0
        self._asked_times = 0
        self._is_answered = False
        self._version = 0
        self._rehearsal = Rehearsal(context, folder)
        self._shown = 0, 0
        self._counted_at = [context.counters.index(name) for name in COUNTED]

    def keep_warm(self) -> None:
        """Hot path. Take a frame from nobody for nobody."""
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
                if overdue := self._snapshots.overdue(self._subscribed, now_ns):
                    self._subscribe_anew(overdue)
        frames, records = self._shown
        if self._intake.frames != frames or self._intake.records != records:
            self._show_counts()
        return self._intake.frames - frames

    def close(self) -> None:
        """Say goodbye to the venue."""
        self._quiet.close()
        self._lines.close()
        self._show_counts()
        self._rehearsal.close()

    def opening(self) -> list[bytes]:
        """Return the first frames of a connection: every open token, a hundred at a time."""
        chunks = _chunks(self._subscribed.values())
        first = {"type": "market", "assets_ids": next(chunks, []), "custom_feature_enabled": True}
        return [msgspec.json.encode(first), *(_operation("subscribe", chunk) for chunk in chunks)]

    def repeat(self, *, to_new_core: bool) -> None:  # noqa: ARG002
        """Tell the state of the connection again, and have every book dumped anew."""
        if self._lines.is_started:
            self.status(self._lines.state)
        self._suspect(self._open())
        self._asked_ns = 0
        if self._is_answered:  # a socket that has answered is asked as often again
            self._asked_times, self._is_answered = 0, False

    def status(self, connection: State) -> None:
        """Tell the core that the connection has changed; a new one brings every book."""
        if connection is State.CONNECTED:
            self._suspects.clear()
            self._snapshots.expect(self._open(), self._context.clock.now_ns())
        self._intake.publish(self._status_rows(connection, [0]))

    def expects_data(self) -> bool:
        """Return whether a token is subscribed whose market still trades."""
        return bool(self._subscribed)

    def _show_counts(self) -> None:
        intake, decoder = self._intake, self._intake.decoder
        self._shown = intake.frames, intake.records
        counts = (
            *(intake.frames, intake.bytes, intake.records),
            *(decoder.fallback_decodes, decoder.unknown_events, decoder.unknown_ids),
        )
        for index, count in zip(self._counted_at, counts, strict=True):
            self._context.counters.set(index, count)

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
        """Return what is worth a book; one adopted when it was closed already will have none."""
        return [
            each
            for each in self._instruments
            if not each.is_resolved and not (each.is_adopted and each.status is MarketStatus.CLOSED)
        ]

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
        new = [index for index in wanted if index not in self._subscribed]
        fresh = [wanted[index] for index in new]
        self._subscribed = wanted
        self._snapshots.expect(new, self._context.clock.now_ns())
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
        self._intake.publish(self._status_rows(State.DISCONNECTED, indices))

    def _suspect(self, indices: Iterable[int]) -> None:
        books = self._instruments.table.rows[:, BOOKS]
        self._suspects.update({index: int(books[index]) for index in indices})

    def _look_after_suspects(self) -> None:
        """Ask for dumps of disbelieved books; a socket that answers for none of them is dropped.

        Where some come, those that do not are the tokens' own fault: they are asked for rarely.
        """
        books = self._instruments.table.rows[:, BOOKS]
        for index, seen in list(self._suspects.items()):
            if books[index] > seen or index not in self._subscribed:
                self._is_answered = self._is_answered or books[index] > seen
                del self._suspects[index]
        if not self._suspects:
            self._asked_times, self._is_answered = 0, False
            return
        now_ns = self._context.clock.now_ns()
        if now_ns - self._asked_ns < RESUBSCRIBE_NS:
            return
        self._asked_ns = now_ns
        self._asked_times += 1
        if self._asked_times > RESUBSCRIBES_MAX:
            if self._is_answered:
                self._snapshots.expect(self._suspects, now_ns)
                self._suspects.clear()
            else:
                self._lines.drop("no fresh dump")
            self._asked_times, self._is_answered = 0, False
            return
        self._subscribe_anew(self._suspects)

    def _subscribe_anew(self, indices: Iterable[int]) -> None:
        self._context.count("resubscribes")
        for chunk in _chunks(self._subscribed[index] for index in indices):
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
