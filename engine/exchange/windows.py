"""Up/down windows one after the other: listed ahead, opened on a strike, resolved, paid.

```
list ──── lead ───→ start: strike = the 60-second mean   end: final = the 60-second mean
│ trades, nobody    │ trades                             │ closed         resolved: Up iff
│ knows the strike  │                                    │ ── settle ───→ final ≥ strike
```
Both means come from the venue's reference prices, so whoever listens to those can know the result.
A window without a price at its start or end stays closed for good. Source: quant.md §3.1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.exchange.listing import Listing
from engine.exchange.market import Market, derive_tokens
from engine.exchange.oracle import SYMBOL
from engine.exchange.player import Progress
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.schedule import Phase
from engine.exchange.venue import Venue
from engine.wire.codes import MarketStatus

MEAN_S = 60
SETTLE_MS = 30_000
MINUTE_MS = 60_000


@dataclass(slots=True, eq=False)
class Window:
    """One market of the series. strike, final: micros of USD, 0 = not known (yet)."""

    listing: Listing
    strike: int = 0
    final: int = 0


@dataclass(slots=True, eq=False)
class Windows:
    """A series of `count` windows of `minutes` from `first_ms` on, each listed one length ahead."""

    venue: Venue
    prices: ReferencePrices
    seed: str
    first_ms: int
    minutes: int
    count: int
    all: list[Window] = field(default_factory=list)

    @property
    def length_ms(self) -> int:
        """How long one window is."""
        return self.minutes * MINUTE_MS

    @property
    def last_ms(self) -> int:
        """When the last window is resolved."""
        return self.first_ms + self.count * self.length_ms + SETTLE_MS

    @property
    def trading(self) -> list[Window]:
        """Those that accept orders, oldest first."""
        return [window for window in self.all[-3:] if window.listing.is_open]

    @property
    def is_done(self) -> bool:
        """Whether all windows are over."""
        return self.venue.schedule.now_ms >= self.last_ms

    def progress(self) -> Progress:
        """Return how far the series has come: windows resolved, of all."""
        now_ms = self.venue.schedule.now_ms
        started = [w for w in self.all if w.listing.market.start_ms <= now_ms]
        current = (started or self.all)[-1]
        resolved = sum(w.listing.status == MarketStatus.RESOLVED for w in self.all)
        return Progress(
            now_ms,
            self.first_ms,
            self.last_ms,
            resolved,
            self.count,
            self.is_done,
            current.listing.market.slug,
        )

    def begin(self) -> None:
        """List the first window, and let the others follow."""
        self._list(0)

    def _list(self, number: int) -> None:
        start_ms = self.first_ms + number * self.length_ms
        window = Window(self.venue.open_market(self._market(start_ms)))
        self.all.append(window)
        end_ms = start_ms + self.length_ms
        schedule = self.venue.schedule
        schedule.at(start_ms, Phase.ACT, lambda: self._strike(window))
        schedule.at(end_ms, Phase.ACT, lambda: self._final(window))
        schedule.at(end_ms + SETTLE_MS, Phase.EXPIRE, lambda: self._resolve(window))
        if number + 1 < self.count:
            schedule.at(start_ms, Phase.EXPIRE, lambda: self._list(number + 1))

    def _market(self, start_ms: int) -> Market:
        slug = f"btc-updown-{self.minutes}m-{start_ms // 1_000}"
        condition = "0x" + hashlib.sha256(f"{self.seed}/{slug}".encode()).hexdigest()
        start, end = (
            datetime.fromtimestamp(ms / 1_000, UTC) for ms in (start_ms, start_ms + self.length_ms)
        )
        return Market(
            slug=slug,
            condition_id=condition,
            question=f"Bitcoin Up or Down - {start:%B %-d, %H:%M}-{end:%H:%M} UTC",
            tokens=derive_tokens(condition),
            start_ms=start_ms,
            end_ms=start_ms + self.length_ms,
            series=f"btc-up-or-down-{self.minutes}m",
        )

    def _mean(self) -> int:
        mean = self.prices.mean(SYMBOL, MEAN_S)
        return mean.value if mean is not None else 0

    def _strike(self, window: Window) -> None:
        window.strike = window.listing.price_to_beat = self._mean()

    def _final(self, window: Window) -> None:
        window.final = self._mean()

    def _resolve(self, window: Window) -> None:
        if window.strike and window.final:
            window.listing.final_price = window.final
            up = window.final >= window.strike
            self.venue.resolve(window.listing, (1_000_000, 0) if up else (0, 1_000_000))
