"""How a match settles: at once and well, after a retry, never, or not at all. Pure.

```
MATCHED ─ mined_ms ─→ MINED ─ confirmed_ms ─→ CONFIRMED          the usual fate
MATCHED ─ retry_ms ─→ RETRYING ─ + mined_ms ─→ MINED → CONFIRMED  retried
MATCHED [→ RETRYING] ─ fail_ms ─→ FAILED                          a ghost fill: all of it reversed
MATCHED …                                                         stuck: it never settles
```
Each trade draws its own fate, so of the fills of one order some may fail while others confirm.
Delays are venue milliseconds after the match. Source: orders.md §5.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PPM = 1_000_000


class TradeStatus(StrEnum):
    """How far a trade has settled."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in (TradeStatus.CONFIRMED, TradeStatus.FAILED)


Steps = tuple[tuple[TradeStatus, int], ...]  # what a trade becomes, and when after its match


@dataclass(frozen=True, slots=True)
class Fates:
    """What may become of a trade. Shares of all trades in parts per million.

    fail_ms_min, fail_ms_max: when a failing trade fails.  retry_ppm: of those that fail or settle,
    how many are RETRYING first.  receipts_wait: what a trade brings can be used from MINED on only;
    always so where trades may fail, for what may be taken back must still be there.
    """

    mined_ms: int = 2_000
    confirmed_ms: int = 5_000
    fail_ppm: int = 0
    fail_ms_min: int = 4_000
    fail_ms_max: int = 4_000
    retry_ppm: int = 0
    retry_ms: int = 1_000
    stuck_ppm: int = 0
    receipts_wait: bool = False

    def __post_init__(self) -> None:
        shares = (self.fail_ppm, self.retry_ppm, self.stuck_ppm)
        if not all(0 <= ppm <= PPM for ppm in shares) or self.fail_ppm + self.stuck_ppm > PPM:
            raise ValueError(
                f"shares must lie in 0..1_000_000 and add up to no more: fail={self.fail_ppm}, "
                f"stuck={self.stuck_ppm}, retry={self.retry_ppm}"
            )
        if not 0 <= self.fail_ms_min <= self.fail_ms_max:
            raise ValueError(
                f"failures need an ordered range: min={self.fail_ms_min}, max={self.fail_ms_max}"
            )

    @property
    def holds_receipts(self) -> bool:
        """Whether what a trade brings is held until it is mined."""
        return self.receipts_wait or self.fail_ppm > 0 or self.stuck_ppm > 0

    def draw(self, chance: int) -> Steps:
        """Return the fate of one trade. chance: any non-negative integer, evenly drawn."""
        chance, ending = divmod(chance, PPM)
        chance, retried = divmod(chance, PPM)
        is_retried = retried < self.retry_ppm
        before: Steps = ((TradeStatus.RETRYING, self.retry_ms),) if is_retried else ()
        if ending < self.fail_ppm:
            span_ms = self.fail_ms_max - self.fail_ms_min + 1
            fail_ms = self.fail_ms_min + chance % span_ms
            return (*(step for step in before if step[1] <= fail_ms), (TradeStatus.FAILED, fail_ms))
        if ending < self.fail_ppm + self.stuck_ppm:
            return before
        late_ms = self.retry_ms if is_retried else 0
        return (
            *before,
            (TradeStatus.MINED, late_ms + self.mined_ms),
            (TradeStatus.CONFIRMED, late_ms + self.confirmed_ms),
        )
