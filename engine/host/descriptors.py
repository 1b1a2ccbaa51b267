"""File descriptors kept back, so that a run that has none left can still be ended in order."""

from __future__ import annotations

import os

from engine.host.errors import RefuseError

NEEDED = 64  # what a supervisor opens at most: sockets, counters, pipes of a start
KEPT = 16


class ReservedDescriptors:
    """Descriptors of nothing. Those of `KEPT` are closed when the end of the run needs them."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def take(self) -> None:
        """See that there are enough for a run, and keep some; RefuseError if there are not."""
        try:
            while len(self._held) < NEEDED:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            found = len(self._held)
            self.release()
            raise RefuseError(
                f"too few file descriptors are left for a run, see LimitNOFILE: found={found}, "
                f"needed={NEEDED}, {error.strerror}"
            ) from None
        self.release(KEPT)

    def release(self, kept: int = 0) -> None:
        """Close all but so many; safe to repeat."""
        while len(self._held) > kept:
            os.close(self._held.pop())
