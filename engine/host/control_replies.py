"""What the control socket answers that is more than a word."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.bus.control import Reply
from engine.bus.shm import BusError
from engine.host.errors import HostError
from engine.host.status import read_status


def status_reply(runtime_dir: Path) -> Reply:
    """Return the status of the run in a directory, or why there is none yet."""
    try:
        return Reply(True, data=msgspec.to_builtins(read_status(runtime_dir)))
    except (HostError, BusError) as error:
        return Reply(False, f"not up yet: {error}")
