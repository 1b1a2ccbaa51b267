"""What a feed is, what it is given, and who raises what.

A feed is a duty (`engine.host.duty`) that turns one source of the venue into records on one ring.
It owns its connection and its clock stamps; nothing it hears can stop it:

```
FeedError              an operating error, one line naming the thing and the value
├─ GroupError          the group or its settings make no sense: the process refuses to start (78)
├─ MalformedFrame      a frame that was refused; raised by decoders, caught by the feed, counted
├─ MarketRefused       a market of Gamma's that must not be traded; caught by `gamma`, counted
└─ Unreachable         a REST answer that did not come or is of no use; caught, counted, retried
```
Errors of the system (OSError, TLS) and of the WebSocket client are caught where a connection is
made, `feeds.connection`. Anything else is a programmer's error and surfaces from `work()` into the
duty loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.bus.counters import CounterFile
from engine.host.clock import Clock
from engine.host.duty import Duty
from engine.host.errors import HostError, RefuseError
from engine.host.log import ErrorLog, Log
from engine.wire.codes import Connection


class FeedError(HostError):
    """An operating error of a feed."""


class GroupError(FeedError, RefuseError):
    """A group that cannot be built; the process must not start."""

    exit_code = RefuseError.exit_code


class MalformedFrame(FeedError):
    """A frame nothing was taken from. is_book_lost: whether a book may now be wrong."""

    def __init__(self, reason: str, *, is_book_lost: bool = True) -> None:
        super().__init__(reason)
        self.is_book_lost = is_book_lost


class MarketRefused(FeedError):
    """A market that must not be traded as described."""


class Unreachable(FeedError):
    """A REST question without a usable answer."""


class Feed(Duty, Protocol):
    """A duty that speaks for one source. Its `work()` handles what has arrived since the last."""


class Publisher(Protocol):
    """The writing end of a broadcast ring."""

    def publish(self, rows: np.ndarray) -> None:
        """Publish records, int64[n, 16]; never waits."""
        ...


class Queue(Protocol):
    """The writing end of a queue."""

    def offer(self, rows: np.ndarray) -> bool:
        """Put records, int64[n, 16], in; False = full, and none is in."""
        ...


class Session(Protocol):
    """Who listens on a connection. All calls come from the loop's thread, none may block."""

    def opening(self) -> list[bytes]:
        """Return the frames to send first on a new connection."""
        ...

    def frame(self, payload: bytes | memoryview, local_ns: int) -> bool:
        """Hot path. Take one text message, valid during the call; return whether it was data."""
        ...

    def caught_up(self) -> None:
        """Hot path. Hear that all messages that came together have been passed on."""
        ...

    def status(self, connection: Connection) -> None:
        """Hear that the connection has changed."""
        ...

    def expects_data(self) -> bool:
        """Return whether silence would be suspicious now."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What every feed of a group shares. settings: `[feeds.GROUP]`.  venue: `[venue]`."""

    clock: Clock
    counters: CounterFile
    log: Log
    errors: ErrorLog
    settings: Mapping[str, Any]
    venue: Mapping[str, Any]
    markets: Mapping[str, Any]

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter by name; for cold paths."""
        self.counters.add(self.counters.index(name), n)
