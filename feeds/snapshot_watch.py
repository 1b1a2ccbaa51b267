"""Tokens that were subscribed and never delivered their book.

A subscription can be accepted and deliver nothing, and a first dump can be lost alone; then the
token's market stays shut though every connection is well. So each subscription is expected to bring
a dump; one that does not in time is made anew, more and more rarely: some tokens have no book yet,
and their siblings' socket must not suffer for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from feeds.port import Context
from feeds.token_table import BOOKS, TokenTable

COUNTERS = ("snapshots_missed",)
SNAPSHOT_MS = 3_000
DOUBLINGS_MAX = 5
LOOKS_PER_WAIT = 8


@dataclass(slots=True)
class _Awaited:
    """A token without its dump. books: how many it had when it was subscribed."""

    books: int
    due_ns: int
    asked: int = 0


class SnapshotWatch:
    """Knows which tokens owe us a dump, and which of them to subscribe anew."""

    def __init__(self, context: Context, table: TokenTable) -> None:
        """The setting `snapshot_ms` says how long a first dump may take."""
        self._context = context
        self._table = table
        self._wait_ns = int(context.settings.get("snapshot_ms", SNAPSHOT_MS)) * 1_000_000
        self._awaited: dict[int, _Awaited] = {}
        self._due_ns = 0

    def expect(self, indices: Iterable[int], now_ns: int) -> None:
        """Await a dump of each instrument, from now on."""
        for index in indices:
            self._awaited[index] = _Awaited(self._books(index), now_ns + self._wait_ns)

    def overdue(self, subscribed: Collection[int], now_ns: int) -> list[int]:
        """Return the instruments to subscribe anew; each is given twice as long as before.

        subscribed: what is open; of anything else no dump is awaited any more.
        """
        if now_ns < self._due_ns or not self._awaited:
            return []
        self._due_ns = now_ns + self._wait_ns // LOOKS_PER_WAIT
        overdue = []
        for index, each in list(self._awaited.items()):
            if index not in subscribed or self._books(index) > each.books:
                del self._awaited[index]
            elif now_ns >= each.due_ns:
                each.asked = min(each.asked + 1, DOUBLINGS_MAX)
                each.due_ns = now_ns + (self._wait_ns << each.asked)
                overdue.append(index)
        if overdue:
            self._context.count("snapshots_missed", len(overdue))
        return overdue

    def _books(self, index: int) -> int:
        return int(self._table.rows[index, BOOKS])
