"""Who of the dead is started again, and when: at once the first time, then ever more slowly."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
WAIT_S_MIN, WAIT_S_MAX = 0.2, 10.0


class Restarts:
    """The deaths of the last minute, and what is planned after them. Times are monotonic seconds.

    A process that dies more than `per_minute_max` times in a minute is restarted at the slowest
    pace; whether the run may go on without it meanwhile is the supervisor's to say.
    """

    __slots__ = ("_deaths_s", "_due_s", "_per_minute_max")

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._deaths_s: dict[str, deque[float]] = {}
        self._due_s: dict[str, float] = {}

    def plan(self, process: str, now_s: float) -> int:
        """Plan the restart of a process that died just now; return its deaths within a minute."""
        deaths_s = self._deaths_s.setdefault(process, deque())
        while deaths_s and now_s - deaths_s[0] > WINDOW_S:
            deaths_s.popleft()
        deaths_s.append(now_s)
        count = len(deaths_s)
        if self.is_too_often(count):
            wait_s = WAIT_S_MAX
        else:
            wait_s = 0.0 if count == 1 else min(WAIT_S_MAX, WAIT_S_MIN * 2**count)
        self._due_s[process] = now_s + wait_s
        return count

    def is_too_often(self, deaths: int) -> bool:
        """Return whether so many deaths in a minute are more than allowed."""
        return deaths > self._per_minute_max

    def take_due(self, now_s: float) -> list[str]:
        """Return who is to be started now; each is returned once."""
        due = [process for process, due_s in self._due_s.items() if now_s >= due_s]
        for process in due:
            del self._due_s[process]
        return due
