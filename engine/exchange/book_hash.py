"""The venue's hash of an order book: SHA-1 of its summary, spelled in one fixed way.

The summary is compact JSON with ten keys in this order and an empty `hash`; a book of protocol V2
has an eleventh:

```
{"market","asset_id","timestamp","hash","bids","asks","min_order_size","tick_size","neg_risk",
 "last_trade_price"[,"version"]}
```
Nothing is escaped: every text is a number, an id or a hash. Source: the official client's
`generate_orderbook_summary_hash`; the eleventh key from a book the venue sent (feeds.md §1.4).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BookSummary:
    """One book as the venue spells it.

    bids, asks: the levels' objects joined by commas.  version: "v2" in protocol V2, else "".
    """

    market: str
    asset_id: str
    timestamp_ms: str
    bids: str
    asks: str
    min_order_size: str
    tick_size: str
    neg_risk: bool
    last_trade_price: str
    version: str = ""

    def text(self, digest: str = "") -> str:
        """Return the summary with its hash, or as it is hashed, with none."""
        return (
            f'{{"market":"{self.market}","asset_id":"{self.asset_id}",'
            f'"timestamp":"{self.timestamp_ms}","hash":"{digest}",'
            f'"bids":[{self.bids}],"asks":[{self.asks}],'
            f'"min_order_size":"{self.min_order_size}","tick_size":"{self.tick_size}",'
            f'"neg_risk":{"true" if self.neg_risk else "false"},'
            f'"last_trade_price":"{self.last_trade_price}"{version_text(self.version)}}}'
        )

    def hash(self) -> str:
        """Return the 40 hex digits of the book's hash."""
        return hashlib.sha1(self.text().encode(), usedforsecurity=False).hexdigest()


def version_text(version: str) -> str:
    """Return the last key of a book of protocol V2, with its comma; "" for the older one."""
    return f',"version":"{version}"' if version else ""


def level_text(price: str, size: str) -> str:
    """Return one level as the venue spells it."""
    return f'{{"price":"{price}","size":"{size}"}}'
