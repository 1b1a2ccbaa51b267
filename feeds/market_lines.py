"""The market socket and, while it is being replaced, its successor: make before break.

```
active ───────────────── old books ──────────┐ closed once every book has moved
fresh      dial ── subscribe ── dump of A ── dump of B ──> becomes the active one
```
A book moves to the fresh line with its first dump there: from then on only that line is heard about
it, so every book is always followed by one line that began with a dump, and none is ever forgotten.
Sockets go silent with age while their pings are answered; that is why healthy ones are replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np

from engine.wire.codes import Connection as State
from engine.wire.codes import Flag, Kind
from feeds.connection import Connection
from feeds.port import Session

FRESH_NS_MAX = 20_000_000_000  # a successor that is not whole by then is given up

_RESET = Flag.RESET << 24


class Listener(Protocol):
    """The feed behind the lines."""

    def opening(self) -> list[bytes]:
        """Return the first frames of a connection."""
        ...

    def take(self, line: Line, payload: bytes | memoryview, local_ns: int) -> bool:
        """Hot path. Take one message of a line; return whether it was data."""
        ...

    def caught_up(self) -> None:
        """Hot path. Hear that all messages that came together have been taken."""
        ...

    def status(self, connection: State) -> None:
        """Hear that the active connection has changed."""
        ...

    def expects_data(self) -> bool:
        """Return whether silence would be suspicious now."""
        ...


class Line:
    """One connection's session: says which line a message came by."""

    def __init__(self, lines: Lines, listener: Listener) -> None:
        self.lines = lines
        self._take = listener.take
        self.is_over = False
        self.opening = listener.opening
        self.caught_up = listener.caught_up
        self.expects_data = listener.expects_data

    def frame(self, payload: bytes | memoryview, local_ns: int) -> bool:
        """Hot path. Pass one message on; what a line that is over still brings is old."""
        return not self.is_over and self._take(self, payload, local_ns)

    def status(self, connection: State) -> None:
        """Pass a change on to the lines."""
        self.lines.status(self, connection)


class Lines:
    """The active line, its successor if there is one, and which books have moved to that."""

    def __init__(
        self, listener: Listener, connect: Callable[[Session], Connection], rotate_ns: int
    ) -> None:
        """connect: makes a connection for a session.  rotate_ns: how old a line may grow."""
        self._listener = listener
        self._connect = connect
        self._rotate_ns = rotate_ns
        self._active = Line(self, listener)
        self._connection = connect(self._active)
        self.fresh: Line | None = None  # the successor's, while there are two lines
        self._successor: Connection | None = None
        self._moved: set[int] = set()
        self._due_ns = 0

    @property
    def state(self) -> State:
        """What the active connection is at."""
        return self._connection.state

    @property
    def is_started(self) -> bool:
        """Whether start() was called."""
        return self._connection.is_started

    def start(self) -> None:
        """Begin to dial."""
        self._connection.start()

    def check(self) -> None:
        """Raise what went wrong on a line: never the venue's fault."""
        self._connection.check()
        if self._successor is not None:
            self._successor.check()

    def send(self, frame: bytes) -> None:
        """Send one text frame on every line that is up."""
        self._connection.send(frame)
        if self._successor is not None:
            self._successor.send(frame)

    def drop(self, reason: str) -> None:
        """Give the active socket up and dial a new one."""
        self._connection.drop(reason)

    def close(self) -> None:
        """Say goodbye on every line."""
        self._give_up()
        self._connection.close()

    def status(self, line: Line, connection: State) -> None:
        """Hear that a line has changed. Without the active one nobody believes any book."""
        if line is self._active:
            if connection in (State.DISCONNECTED, State.SILENT):
                self._give_up()
            self._due_ns = 0
            self._listener.status(connection)
        elif line is self.fresh and connection in (State.DISCONNECTED, State.SILENT):
            self._due_ns = 0  # rotate() gives it up

    def chosen(self, line: Line, rows: np.ndarray) -> np.ndarray:
        """Return those of a line's records, int64[n, 16], that count while there are two lines.

        What a registry remembers, ticks and ends of markets, counts whoever says it first.
        """
        kinds, indices = rows[:, 0] & 0xFFFF, rows[:, 0] >> 32
        is_fresh = line is self.fresh
        if is_fresh:
            self._moved.update(indices[(rows[:, 0] & _RESET) != 0].tolist())
        has_moved = np.isin(indices, list(self._moved))
        return rows[(has_moved == is_fresh) | (kinds == Kind.STATUS)]

    def rotate(self, books: Callable[[], Collection[int]], now_ns: int) -> tuple[bool, set[int]]:
        """Move the replacement on; return (whether one was completed, books that were lost).

        books: gives the instruments whose dumps are to come.  Books are lost where a successor is
        given up that had taken them over.
        """
        if self._successor is not None:
            if now_ns >= self._due_ns:
                self._due_ns = now_ns + self._rotate_ns
                return False, self._give_up()
            if self._moved.issuperset(books()):
                self._promote(now_ns)
                return True, set()
        elif self._connection.state is State.CONNECTED:
            if self._due_ns == 0:
                self._due_ns = now_ns + self._rotate_ns
            elif now_ns >= self._due_ns and books():
                self.fresh = Line(self, self._listener)
                self._successor = self._connect(self.fresh)
                self._successor.start()
                self._due_ns = now_ns + FRESH_NS_MAX
        return False, set()

    def _promote(self, now_ns: int) -> None:
        assert self.fresh is not None
        assert self._successor is not None
        old = self._connection
        self._active.is_over = True
        self._active, self._connection = self.fresh, self._successor
        self.fresh, self._successor = None, None
        self._moved.clear()
        self._due_ns = now_ns + self._rotate_ns
        old.close()

    def _give_up(self) -> set[int]:
        """Close a successor; return the books that had moved to it."""
        lost, self._moved = self._moved, set()
        if self.fresh is not None and self._successor is not None:
            self.fresh.is_over = True
            self._successor.close()
            self.fresh, self._successor = None, None
        return lost
