"""Stopping a process, and knowing that it has stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from deadlines import wait_until


def stop(pid: int) -> None:
    """Send SIGSTOP and return once the kernel says that the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    # "pid (command) state ...": T = stopped.
    stat = Path(f"/proc/{pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 60, f"stopped: {pid}")
