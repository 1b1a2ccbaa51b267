"""Waiting for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE_S = 60.0  # for what takes milliseconds; on a busy machine everything may take this long


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once `condition()` holds; fail naming `what` when it has not after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"never happened within {seconds} s: {what}"
        pause.wait(0.01)
