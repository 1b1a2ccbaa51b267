"""Token buckets: ours are never fuller than the venue's, and the last cancels are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signer.http import Answer, Outcome
from signer.ratelimit import RateLimits, RateSettings, TokenBucket, pause_ns

S = 1_000_000_000
NOW_NS = 1_000 * S


def answered(status: int = 200, **headers: str) -> Answer:
    """An answer with headers; `_` stands for `-` in their names."""
    noted = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Answer(Outcome.ANSWERED, status, b"", NOW_NS, NOW_NS, noted)


def taken(limits: RateLimits, now_ns: int = NOW_NS) -> int:
    """How many orders pass at one moment."""
    count = 0
    while limits.take_order(now_ns):
        count += 1
    return count


def test_a_burst_passes_and_then_the_refill() -> None:
    """A full bucket may be used at once; after it, so many a second."""
    limits = RateLimits(RateSettings())
    assert taken(limits) == 60
    assert taken(limits, NOW_NS + S) == 40
    assert taken(limits, NOW_NS + 60 * S) == 60


@given(st.lists(st.integers(0, 3 * S), min_size=1, max_size=80), st.integers(1, 30))
def test_a_route_never_passes_its_window(gaps_ns: list[int], per_10s: int) -> None:
    """In no ten seconds do more requests pass than the venue allows, whatever the pace."""
    bucket = TokenBucket.of_window(per_10s)
    now_ns, passed = NOW_NS, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        if bucket.tokens(now_ns) >= 1:
            bucket.spend(1)
            passed.append(now_ns)
    for at_ns in passed:
        assert sum(at_ns <= other < at_ns + 10 * S for other in passed) <= per_10s


def test_the_last_cancel_tokens_are_for_a_cancel_of_everything() -> None:
    """Single cancels leave the reserve; a cancel of everything may go into debt for the rest."""
    limits = RateLimits(RateSettings(cancels_burst=10, cancels_per_second=10, cancels_reserve=4))
    assert sum(limits.take_cancel(NOW_NS) for _ in range(20)) == 6
    assert limits.take_cancel_all(NOW_NS)
    limits.spend_cancels(23)
    assert not limits.take_cancel_all(NOW_NS)
    assert not limits.take_cancel(NOW_NS + S)
    assert limits.take_cancel_all(NOW_NS + 3 * S)


def test_no_order_is_sent_that_could_not_be_cancelled() -> None:
    """When only the reserve is left, order tokens do not help."""
    limits = RateLimits(RateSettings(cancels_burst=5, cancels_per_second=1, cancels_reserve=4))
    assert limits.take_order(NOW_NS)
    assert limits.take_cancel(NOW_NS)
    assert not limits.take_order(NOW_NS)
    assert limits.take_order(NOW_NS + S)


def test_the_venues_count_is_believed_when_it_is_lower() -> None:
    """Another process may spend from the same bucket; a higher count changes nothing."""
    limits = RateLimits(RateSettings())
    limits.on_order_answer(answered(poly_ratelimit_remaining="3"))
    assert taken(limits) == 3
    limits.on_order_answer(answered(poly_ratelimit_remaining="50"))
    assert taken(limits) == 0
    limits.on_order_answer(answered(poly_ratelimit_remaining="soon"))
    assert taken(limits, NOW_NS + S) == 40


def test_429_empties_the_bucket_until_the_time_it_names() -> None:
    """`Retry-After` is honoured; without one it is a second. Cancels have a bucket of their own."""
    limits = RateLimits(RateSettings())
    limits.on_order_answer(answered(429, retry_after="7"))
    assert taken(limits, NOW_NS + 7 * S - 1) == 0
    assert taken(limits, NOW_NS + 8 * S) == 40
    limits.on_cancel_answer(answered(429))
    assert not limits.take_cancel_all(NOW_NS + S - 1)
    limits.on_look_up_answer(answered(429))
    assert not limits.take_look_up(NOW_NS)
    assert limits.take_look_up(NOW_NS + 2 * S)


def test_a_nonsensical_retry_after_is_bounded() -> None:
    """Dates, signs and a thousand years are no reason to stand still."""
    assert pause_ns(answered(retry_after="12")) == 12 * S
    assert pause_ns(answered(retry_after="999999999")) == 600 * S
    for text in ("-5", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 40, ""):
        assert pause_ns(answered(retry_after=text), 5) == 5
