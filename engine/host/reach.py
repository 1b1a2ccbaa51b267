"""Whether the venue can be reached, as the feeds' counters tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.host.status import RunStatus

# Counter prefix of a socket -> the venue's URL it dials.
_SOCKETS = {"": "market_ws_url", "user_": "user_ws_url"}


def unreachable_urls(status: RunStatus) -> list[str]:
    """Return the URLs of the venue that some feed tries and fails to reach, in a fixed order."""
    found: set[str] = set()
    for process in status.processes:
        if process.name.startswith("feeds.") or "venue_reachable" in process.own:
            found |= _failing(process.own, status.venue)
    return sorted(found)


def _failing(counters: Mapping[str, int], venue: Mapping[str, Any]) -> set[str]:
    found = set()
    if counters.get("gamma_errors", 0) and not counters.get("venue_reachable", 1):
        found.add(str(venue.get("gamma_url")))
    for prefix, key in _SOCKETS.items():
        is_down = counters.get(f"{prefix}connects", 0) <= counters.get(f"{prefix}disconnects", 0)
        if is_down and counters.get(f"{prefix}connect_errors", 0):
            found.add(str(venue.get(key)))
    return found
