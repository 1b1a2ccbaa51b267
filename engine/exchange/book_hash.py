"""The venue's hash of an order book: SHA-1 of its summary, spelled in one fixed way.

The summary is compact JSON with ten keys in this order and an empty `hash`:

```
{"market","asset_id","timestamp","hash","bids","asks","min_order_size","tick_size","neg_risk",
 "last_trade_price"}
```
Nothing is escaped: every text is a number, an id or a hash. Source: the official client's
`generate_orderbook_summary_hash`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BookSummary:
    """One book as the venue spells it. bids, asks: the levels' objects joined by commas."""

    market: str
    asset_id: str
    timestamp_ms: str
    bids: str
    asks: str
    min_order_size: str
    tick_size: str
    neg_risk: bool
    last_trade_price: str

    def text(self, digest: str = "") -> str:
        """Return the summary with its hash, or as it is hashed, with none."""
        return (
            f'{{"market":"{self.market}","asset_id":"{self.asset_id}",'
            f'"timestamp":"{self.timestamp_ms}","hash":"{digest}",'
            f'"bids":[{self.bids}],"asks":[{self.asks}],'
            f'"min_order_size":"{self.min_order_size}","tick_size":"{self.tick_size}",'
            f'"neg_risk":{"true" if self.neg_risk else "false"},'
            f'"last_trade_price":"{self.last_trade_price}"}}'
        )

    def hash(self) -> str:
        """Return the 40 hex digits of the book's hash."""
        return hashlib.sha1(self.text().encode(), usedforsecurity=False).hexdigest()


def level_text(price: str, size: str) -> str:
    """Return one level as the venue spells it."""
    return f'{{"price":"{price}","size":"{size}"}}'
