"""What the venue lets anybody do just now: the states a trading client meets on a bad day.

One small object that whoever injects faults sets, and the order routes ask. Source: orders.md §5.3.

```
            orders                     cancels     what a client sees
normal      yes                        yes
restarting  no                         no          425, Retry-After
post_only   post-only ones             yes         503, code post_only_mode, retry_after_seconds
cancel_only no                         yes         503
disabled    no                         no          503
throttled   no                         no          429, an HTML page, Retry-After
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from engine.exchange.schedule import Phase, Schedule

RESTART_MS = 90_000
POST_ONLY_MS = 120_000
THROTTLED_PAGE = (
    "<!DOCTYPE html><html><head><title>Error 1015</title></head>"
    "<body>You are being rate limited</body></html>"
)
GEOBLOCKED = "Trading restricted in your region, please refer to available regions"


class Trading(StrEnum):
    """Whether the matching engine takes requests, and which."""

    NORMAL = "normal"
    RESTARTING = "restarting"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"
    THROTTLED = "throttled"


class Act(StrEnum):
    """What a client wants of the matching engine."""

    ORDER = "order"
    POST_ONLY_ORDER = "post_only_order"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a request goes no further. code: of the body, "" = none.  page: HTML instead of JSON."""

    status: int
    text: str
    code: str = ""
    retry_after_s: int | None = None
    page: str = ""


@dataclass(slots=True)
class VenueMode:
    """The venue's state. Owners in `closed_only` and `banned` are lower-case addresses.

    clock_ahead_ms: how far the time it tells is ahead of the one it acts by.
    """

    trading: Trading = Trading.NORMAL
    retry_after_s: int | None = None
    geoblocked: bool = False
    closed_only: set[str] = field(default_factory=set)
    banned: set[str] = field(default_factory=set)
    clock_ahead_ms: int = 0

    def restart(
        self, schedule: Schedule, down_ms: int = RESTART_MS, post_only_ms: int = POST_ONLY_MS
    ) -> None:
        """Restart the engine: down, then post-only, then normal, in venue milliseconds."""
        up_ms = schedule.now_ms + down_ms
        self._enter(Trading.RESTARTING, down_ms)
        schedule.at(up_ms, Phase.ACT, lambda: self._enter(Trading.POST_ONLY, post_only_ms))
        schedule.at(up_ms + post_only_ms, Phase.ACT, lambda: self._enter(Trading.NORMAL, 0))

    def obstacle(self, act: Act) -> Obstacle | None:
        """Return what stands in the way of such a request, whoever sends it."""
        if self.geoblocked and act is not Act.CANCEL:
            return Obstacle(403, GEOBLOCKED)
        return self._engine_obstacle(act)

    def account_obstacle(self, owner: str, *, buys: bool) -> Obstacle | None:
        """Return what stands in the way of an owner's order."""
        if owner in self.banned:
            return Obstacle(400, f"'{owner}' address banned")
        if owner in self.closed_only and buys:
            return Obstacle(400, f"'{owner}' address in closed only mode")
        return None

    def _engine_obstacle(self, act: Act) -> Obstacle | None:
        after_s = self.retry_after_s
        match self.trading:
            case Trading.RESTARTING:
                return Obstacle(425, "service not ready", retry_after_s=after_s)
            case Trading.POST_ONLY if act is Act.ORDER:
                text = "post-only mode: only post-only orders and cancels are allowed"
                return Obstacle(503, text, "post_only_mode", after_s)
            case Trading.CANCEL_ONLY if act is not Act.CANCEL:
                return Obstacle(
                    503,
                    "Trading is currently cancel-only. New orders are not accepted, "
                    "but cancels are allowed.",
                )
            case Trading.DISABLED:
                text = "Trading is currently disabled. Check polymarket.com for updates"
                return Obstacle(503, text)
            case Trading.THROTTLED:
                text = "Too Many Requests"
                return Obstacle(429, text, retry_after_s=after_s, page=THROTTLED_PAGE)
        return None

    def _enter(self, trading: Trading, lasting_ms: int) -> None:
        self.trading = trading
        self.retry_after_s = lasting_ms // 1_000 or None
