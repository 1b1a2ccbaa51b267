"""How fast a signer may trade: two token buckets, one for orders, one for cancels.

A batch is admitted whole or not at all. One of more cancels than a bucket holds (the venue takes
1,000) is admitted by a full bucket. Cancel-all and cancel-market cost one token and one for every
order they cancelled. Both can leave a debt that later cancels have to wait out. Time is real time,
whatever the speed of the venue's clock: a limit is about requests.

Source: orders.md §5.5; refill is read as tokens a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from aiohttp import web

from engine.exchange.server.http import RATE_HEADERS, Refusal

TOO_MANY = "Too Many Requests"


class Enforcement(StrEnum):
    """What happens to a request without a token."""

    OFF = "off"  # nothing, and no headers
    WARN = "warn"  # it passes, with a warning header
    ENFORCE = "enforce"  # 429


class Tier(NamedTuple):
    """One tier's buckets: tokens a second, and how many they hold. debt: whether cancels may
    leave less than none."""

    name: str
    orders_per_s: int
    orders_burst: int
    cancels_per_s: int
    cancels_burst: int
    debt: bool = True


TIERS = {
    tier.name: tier
    for tier in (
        Tier("standard", 40, 60, 80, 120),
        Tier("copper", 60, 90, 120, 180),
        Tier("bronze", 80, 120, 160, 240),
        Tier("silver", 200, 300, 400, 600),
        Tier("gold", 400, 600, 800, 1_200),
        Tier("platinum", 450, 675, 900, 1_350, False),
        Tier("diamond", 525, 787, 1_050, 1_575, False),
        Tier("elite", 600, 900, 1_200, 1_800, False),
    )
}


@dataclass(slots=True)
class Bucket:
    """Tokens that come back with time. `take` never asks whether there are enough."""

    per_s: float
    burst: float
    tokens: float
    at_s: float

    def refill(self, now_s: float) -> None:
        """Let tokens come back up to the present."""
        self.tokens = min(self.burst, self.tokens + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s

    def wait_s(self, cost: float) -> float:
        """Return how long until `cost` tokens are there, 0 if they are."""
        return max(cost - self.tokens, 0.0) / self.per_s


class RateLimiter:
    """The buckets of every signer of one venue."""

    __slots__ = ("_buckets", "_enforcement", "_now_s", "_tier")

    def __init__(self, tier: Tier, enforcement: Enforcement, now_s: Callable[[], float]) -> None:
        """now_s: real epoch seconds that never go back."""
        self._tier = tier
        self._enforcement = enforcement
        self._now_s = now_s
        self._buckets: dict[tuple[str, bool], Bucket] = {}

    def admit_orders(self, request: web.Request, owner: str, count: int) -> None:
        """Spend a token for each order, or refuse them all with 429."""
        self._admit(request, owner, count, is_cancel=False)

    def admit_cancels(self, request: web.Request, owner: str, count: int) -> None:
        """Spend a token for each cancel, or refuse them all with 429."""
        self._admit(request, owner, count, is_cancel=True)

    def charge_cancels(self, request: web.Request, owner: str, count: int) -> None:
        """Spend what a cancel-all turned out to cost, into debt where the tier has one."""
        if self._enforcement is Enforcement.OFF:
            return
        bucket = self._bucket(owner, is_cancel=True)
        floor = -math.inf if self._tier.debt else 0.0
        bucket.tokens = max(bucket.tokens - count, floor)
        self._tell(request, bucket, 0.0)

    def _bucket(self, owner: str, *, is_cancel: bool) -> Bucket:
        tier, now_s = self._tier, self._now_s()
        rate = tier.cancels_per_s if is_cancel else tier.orders_per_s
        burst = tier.cancels_burst if is_cancel else tier.orders_burst
        bucket = self._buckets.setdefault((owner, is_cancel), Bucket(rate, burst, burst, now_s))
        bucket.refill(now_s)
        return bucket

    def _admit(self, request: web.Request, owner: str, cost: int, *, is_cancel: bool) -> None:
        if self._enforcement is Enforcement.OFF:
            return
        bucket = self._bucket(owner, is_cancel=is_cancel)
        needed = min(cost, bucket.burst) if is_cancel else cost
        wait_s = bucket.wait_s(needed)
        if not wait_s:
            bucket.tokens -= cost if self._tier.debt or not is_cancel else needed
        self._tell(request, bucket, wait_s)
        if wait_s and self._enforcement is Enforcement.ENFORCE:
            after_s = str(math.ceil(wait_s))
            raise Refusal(429, TOO_MANY, headers={"Retry-After": after_s})

    def _tell(self, request: web.Request, bucket: Bucket, wait_s: float) -> None:
        headers = {
            "Poly-RateLimit-Remaining": str(math.floor(bucket.tokens)),
            "Poly-RateLimit-Reset": str(math.ceil(bucket.at_s + wait_s)),
            "Poly-RateLimit-Tier": self._tier.name,
        }
        if wait_s and self._enforcement is Enforcement.WARN:
            headers["Poly-RateLimit-Warning"] = "true"
        request[RATE_HEADERS] = headers
