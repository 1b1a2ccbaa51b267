"""Where a venue's other doors are: what is asked elsewhere than at its REST URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from engine.host.loopback import is_loopback

VENUE_URL = "https://clob.polymarket.com"
GEOBLOCK_URL = "https://polymarket.com/api/geoblock"


def geoblock_url_of(rest_url: str) -> str | None:
    """Return where the geoblock of a venue is told; None where nobody knows."""
    if urlsplit(rest_url).hostname == urlsplit(VENUE_URL).hostname:
        return GEOBLOCK_URL
    return f"{rest_url}/api/geoblock" if is_loopback(rest_url) else None
