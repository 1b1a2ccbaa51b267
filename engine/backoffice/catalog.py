"""What was tradable: the INSTRUMENT and STATUS records of a tape, with the venue's slugs.

A record has no room for a slug; the feed that discovers markets writes them to `instruments.json`
beside the tape. Without it a market goes by its condition id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.wire.codes import MarketStatus

SLUG_FILE = "instruments.json"
OUTCOMES = ("Up", "Down")


@dataclass(slots=True)
class Listing:
    """One instrument as the back office shows it. Prices in micros, windows in epoch seconds."""

    index: int
    token_id: str  # 0x…, 32 bytes
    condition_id: str
    complement: int
    outcome: int  # 0 Up, 1 Down
    neg_risk: bool
    fee_curve: int
    fee_rate_ppm: int
    fee_exponent: int
    tick: int
    open_s: int
    close_s: int
    status: int = MarketStatus.OPEN
    payout: int = -1  # micros a share, -1 while unresolved

    @property
    def is_resolved(self) -> bool:
        """Whether a share of it is worth a known sum."""
        return self.payout >= 0


class Catalog:
    """Every instrument seen so far, by its index."""

    def __init__(self, slugs: Mapping[str, str] | None = None) -> None:
        self.by_index: dict[int, Listing] = {}
        self._slugs = dict(slugs or {})

    def know_slugs(self, slugs: Mapping[str, str]) -> None:
        """Learn what more markets are called."""
        self._slugs.update(slugs)

    def list_instrument(self, record: np.void) -> Listing:
        """Add the instrument an INSTRUMENT record describes, or renew what is known of it."""
        index = int(record["instrument"])
        known = self.by_index.get(index)
        listing = Listing(
            index=index,
            token_id="0x" + record["token_id"].tobytes().hex(),
            condition_id="0x" + record["condition_id"].tobytes().hex(),
            complement=int(record["complement"]),
            outcome=int(record["outcome"]),
            neg_risk=bool(record["neg_risk"]),
            fee_curve=int(record["fee_curve"]),
            fee_rate_ppm=int(record["fee_rate_ppm"]),
            fee_exponent=int(record["fee_exponent"]),
            tick=int(record["tick"]),
            open_s=int(record["open_s"]),
            close_s=int(record["close_s"]),
            status=known.status if known else MarketStatus.OPEN,
            payout=known.payout if known else -1,
        )
        self.by_index[index] = listing
        return listing

    def apply_status(self, record: np.void) -> Listing | None:
        """Apply a STATUS record; return the instrument, None where it is unknown."""
        listing = self.by_index.get(int(record["instrument"]))
        if listing is None:
            return None
        if record["status"] != MarketStatus.UNKNOWN:
            listing.status = int(record["status"])
        if record["tick"] > 0:
            listing.tick = int(record["tick"])
        if record["status"] == MarketStatus.RESOLVED and record["payout"] >= 0:
            listing.payout = int(record["payout"])
        return listing

    def slug(self, index: int) -> str:
        """Return how people call the market of an instrument."""
        listing = self.by_index.get(index)
        if listing is None:
            return f"instrument {index}"
        return self._slugs.get(listing.condition_id, listing.condition_id)

    def market_key(self, index: int) -> str:
        """Return what both instruments of a market share: its condition id."""
        listing = self.by_index.get(index)
        return listing.condition_id if listing else f"instrument {index}"


def load_slugs(directory: Path) -> dict[str, str]:
    """Return condition id → slug from the slug file in `directory`; empty where there is none."""
    try:
        content: Any = msgspec.json.decode((directory / SLUG_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    entries = content.get("instruments") if isinstance(content, dict) else None
    return {
        str(entry["condition_id"]): str(entry["slug"])
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and {"condition_id", "slug"} <= entry.keys()
    }
