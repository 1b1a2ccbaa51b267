"""Rate limits of the exchange: buckets that fill with time, headers, refusals, debt."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.server.http import RATE_HEADERS, Refusal
from engine.exchange.server.limits import TIERS, Bucket, Enforcement, RateLimiter


class Limits:
    """A limiter whose clock is moved by hand."""

    def __init__(self, enforcement: Enforcement, tier: str = "standard") -> None:
        self.now_s = 1_000.0
        self.limiter = RateLimiter(TIERS[tier], enforcement, lambda: self.now_s)

    def orders(self, count: int) -> dict[str, str]:
        """Ask for orders; return the headers of the answer."""
        request = make_mocked_request("POST", "/orders")
        self.limiter.admit_orders(request, "0xabc", count)
        return request.get(RATE_HEADERS, {})

    def cancels(self, count: int, charged: int = 0) -> dict[str, str]:
        """Ask for cancels, and pay for those of a cancel-all; return the headers."""
        request = make_mocked_request("DELETE", "/orders")
        self.limiter.admit_cancels(request, "0xabc", count)
        if charged:
            self.limiter.charge_cancels(request, "0xabc", charged)
        return request.get(RATE_HEADERS, {})


def test_a_burst_is_refused_whole_and_says_when_to_come_back():
    """With 60 tokens a batch of 61 costs nothing and is refused; 40 a second come back."""
    limits = Limits(Enforcement.ENFORCE)
    assert limits.orders(55)["Poly-RateLimit-Remaining"] == "5"
    with pytest.raises(Refusal) as caught:
        limits.orders(15)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    assert limits.orders(5) == {
        "Poly-RateLimit-Remaining": "0",
        "Poly-RateLimit-Reset": "1000",
        "Poly-RateLimit-Tier": "standard",
    }
    limits.now_s += 0.5
    assert limits.orders(15)["Poly-RateLimit-Remaining"] == "5"


def test_warnings_let_everything_pass():
    """In warning mode a request too many passes, marked; switched off there are no headers."""
    limits = Limits(Enforcement.WARN)
    assert "Poly-RateLimit-Warning" not in limits.orders(60)
    assert limits.orders(1)["Poly-RateLimit-Warning"] == "true"
    assert Limits(Enforcement.OFF).orders(1_000) == {}


def test_cancel_all_can_leave_a_debt():
    """Its price is known afterwards; in the lower tiers it blocks later cancels, not orders."""
    limits = Limits(Enforcement.ENFORCE)
    assert limits.cancels(1, charged=400)["Poly-RateLimit-Remaining"] == "-281"
    with pytest.raises(Refusal) as caught:
        limits.cancels(1)
    assert caught.value.headers == {"Retry-After": "4"}
    limits.orders(60)
    rich = Limits(Enforcement.ENFORCE, "elite")
    assert rich.cancels(1, charged=4_000)["Poly-RateLimit-Remaining"] == "0"


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 10)), max_size=50))
def test_a_bucket_never_holds_more_than_its_burst(steps: list[tuple[int, float]]):
    """Whatever is taken and however long it waits, tokens stay at or below the burst."""
    bucket, now_s = Bucket(40.0, 60.0, 60.0, 0.0), 0.0
    for cost, wait_s in steps:
        now_s += wait_s
        bucket.refill(now_s)
        assert bucket.tokens <= 60.0
        assert (bucket.wait_s(cost) == 0) == (cost <= bucket.tokens)
        if not bucket.wait_s(cost):
            bucket.tokens -= cost
            assert bucket.tokens >= 0
