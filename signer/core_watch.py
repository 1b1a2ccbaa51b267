"""Is the core alive? Its heartbeat, read from its counters without asking anyone."""

from __future__ import annotations

from pathlib import Path

from engine.bus.counters import CounterFile
from engine.bus.shm import BusError
from engine.host.duty import HEARTBEAT_NS, STATE, State

LOOK_NS = 10_000_000


class CoreWatch:
    """Tells when a core that was ready has fallen silent. A core that restarts is found again."""

    __slots__ = (
        "_counters",
        "_due_ns",
        "_is_distrusted",
        "_path",
        "_silence_ns_max",
        "_was_ready",
        "is_silent",
    )

    def __init__(self, path: Path, silence_ns_max: int) -> None:
        self._path = path
        self._silence_ns_max = silence_ns_max
        self._counters: CounterFile | None = None
        self._was_ready = False
        self._is_distrusted = False
        self._due_ns = 0
        self.is_silent = False

    def look(self, now_ns: int) -> bool:
        """Return whether the core fell silent just now; look at most every 10 ms. Hot path."""
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + LOOK_NS
        was_silent = self.is_silent
        self.is_silent = self._is_distrusted or self._is_silent(now_ns)
        return self.is_silent and not was_silent

    def distrust(self) -> None:
        """Take the core for silent from now on, whatever it says: its words arrive damaged."""
        self._is_distrusted = True
        self._due_ns = 0

    def close(self) -> None:
        """Let go of the counters."""
        if self._counters is not None:
            self._counters.close()
            self._counters = None

    def _is_silent(self, now_ns: int) -> bool:
        if self._counters is None and not self._attach():
            return self._was_ready
        assert self._counters is not None
        try:
            state, beaten_ns = self._counters.get(STATE), self._counters.get(HEARTBEAT_NS)
        except BusError:  # somebody has cut the file: whoever cannot be seen counts as silent
            self.close()
            return self._was_ready
        if state == State.READY:
            self._was_ready = True
        if not self._was_ready:
            return False
        if state != State.STOPPED and now_ns - beaten_ns <= self._silence_ns_max:
            return False
        # A core that was started again has a new file under the same name.
        self.close()
        return True

    def _attach(self) -> bool:
        try:
            self._counters = CounterFile.attach(self._path)
        except (BusError, OSError):
            return False
        return True
