"""A thread that does what may wait for a disk, in order, and tries again what fails.

The supervisor must answer and act while a disk hangs or is full, so it never waits for one itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

RETRY_S = 1.0


class DiskThread:
    """Jobs on their way to a disk. Started with the first; a daemon, so a hung disk ends no end.

    failure: why the job in turn failed the last time, empty once it has been done.
    """

    def __init__(self, name: str, *, retry_s: float = RETRY_S) -> None:
        self.failure = ""
        self._name = name
        self._retry_s = retry_s
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def is_done(self) -> bool:
        """Whether every job has been done."""
        return not self._jobs

    @property
    def depth(self) -> int:
        """How many jobs have not been done."""
        return len(self._jobs)

    def put(self, job: Callable[[], None]) -> None:
        """Have a job done after those before it. It may raise OSError and must bear repetition."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def close(self, seconds_max: float) -> bool:
        """Give what is left one more try, wait for it, and return whether all was done."""
        deadline_s = time.monotonic() + seconds_max
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
        return self.is_done

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs) or self._is_closing)
                if not self._jobs:
                    return
                job, was_closing = self._jobs[0], self._is_closing
            try:
                job()
            except OSError as error:
                self.failure = f"{error.strerror or error}: file={error.filename or '?'}"
                with self._changed:
                    if was_closing:
                        return
                    self._changed.wait_for(lambda: self._is_closing, self._retry_s)
                continue
            self.failure = ""
            self._jobs.popleft()
