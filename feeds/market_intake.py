"""The hot half of the market feed: a frame in, its records out, and whoever decides is told.

A frame is published whole or not at all. What came and went is counted here in plain integers; the
feed shows them in its own time, for a frame that need not do it itself is sooner through.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from feeds.instruments import Instruments
from feeds.market_decoder import MarketDecoder
from feeds.market_lines import Line
from feeds.port import MalformedFrame, Publisher

_NO_NEWS = b"[]"


class Intake:
    """Takes the messages of every line. `frames`, `bytes`, `records`: how many so far."""

    __slots__ = (
        "_has_news",
        "_publish",
        "_refuse",
        "_work_next",
        "bytes",
        "decoder",
        "frames",
        "records",
    )

    def __init__(
        self,
        instruments: Instruments,
        publisher: Publisher,
        refuse: Callable[[bytes, MalformedFrame], None],
    ) -> None:
        """refuse: hears of a frame that nothing was taken from, and why."""
        self.decoder = MarketDecoder(instruments)
        self._publish = publisher.publish
        self._refuse = refuse
        self._work_next: Callable[[], None] = _nobody
        self._has_news = False
        self.frames = 0
        self.bytes = 0
        self.records = 0

    def on_arrival(self, work_next: Callable[[], None]) -> None:
        """Take what to call when frames were published: whoever decides on them works at once."""
        self._work_next = work_next

    def take(self, line: Line, payload: bytes | memoryview, local_ns: int) -> bool:
        """Hot path. Decode and publish one frame; an empty list is an answer, not data."""
        self.frames += 1
        self.bytes += len(payload)
        try:
            rows = self.decoder.decode(payload, local_ns)
        except MalformedFrame as error:
            self._refuse(bytes(payload), error)
            return False
        if len(rows) == 0:
            return bytes(payload[:3]).strip() != _NO_NEWS
        if line.lines.fresh is not None:
            rows = line.lines.chosen(line, rows)
        self._publish(rows)
        self.records += len(rows)
        self._has_news = True
        return True

    def caught_up(self) -> None:
        """Hot path. Let the next duties work, once for all frames that came together."""
        if self._has_news:
            self._has_news = False
            self._work_next()

    def publish(self, rows: np.ndarray) -> None:
        """Publish records that no frame brought, int64[n, 16]."""
        self._publish(rows)
        self.records += len(rows)


def _nobody() -> None:
    """Nobody waits for what was published."""
