"""Does the core have to be told everything again? Its counters say so, nobody has to be asked.

A core that was lapped on a ring counts `snapshots_wanted` up; one that was started again has a new
file of counters under the old name. Either way it may lack what was said only once: instruments,
their status, the state of connections, whole books. The feeds of a group then repeat it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.bus.counters import CounterFile
from engine.bus.shm import BusError
from feeds.port import Context

COUNTERS = ("repeats",)
WANTED = "snapshots_wanted"
RECOVERED = "is_recovered"
LOOK_NS = 10_000_000
REPEAT_NS = 1_000_000_000  # no more often: what is repeated must not lap a slow core once more


class Repeating(Protocol):
    """A feed that can say again what it says only once."""

    def repeat(self, *, to_new_core: bool) -> None:
        """Publish its state anew; to_new_core: nobody who heard it is left."""
        ...


class CoreWatch:
    """The duty that looks at the core from outside, and has the feeds repeat themselves."""

    name = "core_watch"

    def __init__(self, context: Context, path: Path, feeds: Sequence[Repeating]) -> None:
        """path: the core's counters, there or not.  feeds: in the order they are to speak."""
        self._context = context
        self._path = path
        self._feeds = feeds
        self._counters: CounterFile | None = None
        self._file = 0  # the inode: a core that is started again makes a new file
        self._wanted_at = self._recovered_at = 0
        self._wanted = 0
        self._is_new = False
        self._due_ns = 0

    def start(self) -> None:
        """Nothing: the core may come later than its feeds."""

    def is_waiting(self) -> bool:
        """Return whether there is a core that does not know yet what earlier runs have left."""
        try:
            return (
                self._counters is not None
                and self._recovered_at >= 0
                and not self._counters.get(self._recovered_at)
            )
        except BusError:
            return False

    def work(self) -> int:
        """Look, at most every 10 ms; return 1 where everything was repeated."""
        now_ns = self._context.clock.now_ns()
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + LOOK_NS
        self._attach()
        if self._counters is None:
            return 0
        try:
            wanted = self._counters.get(self._wanted_at)
        except BusError:  # somebody has cut the file: a core that is started again has a whole one
            self.close()
            return 0
        if wanted == self._wanted and not self._is_new:
            return 0
        self._context.count("repeats")
        self._context.log.event("repeating to the core", new_core=self._is_new, wanted=wanted)
        for feed in self._feeds:
            feed.repeat(to_new_core=self._is_new)
        self._wanted, self._is_new = wanted, False
        self._due_ns = now_ns + REPEAT_NS
        return 1

    def close(self) -> None:
        """Let go of the counters."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None

    def _attach(self) -> None:
        """Follow the core to its present file. The first core seen has missed nothing yet."""
        try:
            file = os.stat(self._path).st_ino
            if file == self._file:
                return
            counters = CounterFile.attach(self._path)
        except (BusError, OSError):
            return
        self.close()
        try:
            self._wanted_at = counters.index(WANTED)
            self._recovered_at = counters.index(RECOVERED) if RECOVERED in counters.names else -1
        except BusError:
            counters.close()
            return
        self._counters = counters
        self._is_new = self._is_new or self._file != 0
        self._file, self._wanted = file, 0
