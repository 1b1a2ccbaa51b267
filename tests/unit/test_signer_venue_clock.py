"""How far apart the clocks are, from answers in whole seconds."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signer.http import Answer, Outcome
from signer.venue_clock import CHECK_NS, NARROWINGS_MAX, PRECISION_NS, VenueClock

S = 1_000_000_000
MS = 1_000_000


def answer(venue_s: int, sent_ns: int, answered_ns: int) -> Answer:
    """The venue's answer to `GET /time`."""
    return Answer(Outcome.ANSWERED, 200, b"%d" % venue_s, sent_ns, answered_ns)


@pytest.mark.parametrize(
    ("venue_s", "skew_s", "corrected_s"),
    [(1_000, 0, 1_000), (1_001, 0, 1_001 - 1), (999, 0, 1_000), (1_002, 1, 1_002), (940, -58, 940)],
)
def test_only_a_certain_difference_is_skew(venue_s: int, skew_s: int, corrected_s: int) -> None:
    """Whole seconds and the time on the way hide some; the rest is corrected by the middle."""
    clock = VenueClock()
    assert not clock.is_known
    assert clock.on_answer(answer(venue_s, 999 * S, 1_001 * S))
    assert clock.is_known
    assert clock.skew_ns == skew_s * S
    assert clock.venue_s(1_000 * S) == corrected_s


@pytest.mark.parametrize("body", [b"", b"soon", b"-5", b"1" * 13, b"1.5", b'"1000"'])
def test_what_is_no_time_changes_nothing(body: bytes) -> None:
    """A broken answer leaves the clock as it was."""
    clock = VenueClock()
    assert not clock.on_answer(Answer(Outcome.ANSWERED, 200, body, 1, 2))
    assert not clock.on_answer(Answer(Outcome.TIMEOUT, 0, b"1000", 1, 2))
    assert not clock.is_known
    assert clock.venue_s(5 * S) == 5


@example(-427, 38)  # found once: questions sent, not arriving, at the turn left 121 ms unknown
@example(-4_934, 40)
@given(st.integers(-5_000, 5_000), st.integers(1, 40))
def test_a_few_questions_find_the_difference(offset_ms: int, way_ms: int) -> None:
    """Asked when it plans to ask, the bounds hold the truth and become narrow."""
    clock = VenueClock()
    now_ns = 1_700_000_000 * S
    for _ in range(NARROWINGS_MAX + 1):
        now_ns = max(now_ns, clock.due_ns)
        venue_ns = now_ns + way_ms * MS + offset_ms * MS
        assert clock.on_answer(answer(venue_ns // S, now_ns, now_ns + 2 * way_ms * MS))
        now_ns += 2 * way_ms * MS
        assert abs(clock.skew_ns) <= abs(offset_ms) * MS
        if clock.due_ns - now_ns == CHECK_NS:
            break
    hidden_ns = abs(offset_ms) * MS - abs(clock.skew_ns)
    # Each question halves what is unknown, down to the round trip: 1 s / 2 ** 6, and some drift.
    narrowest_ns = 2 * way_ms * MS + S // 2**NARROWINGS_MAX + 4 * MS
    assert hidden_ns <= max(PRECISION_NS, narrowest_ns)


def test_a_clock_that_was_set_is_measured_anew() -> None:
    """An answer that contradicts the bounds replaces them."""
    clock = VenueClock()
    clock.on_answer(answer(1_000, 1_000 * S, 1_000 * S))
    clock.on_answer(answer(1_060, 1_001 * S, 1_001 * S))
    assert clock.skew_ns == 59 * S
    assert clock.venue_s(1_001 * S) == 1_060


def test_a_question_without_an_answer_is_asked_again_soon() -> None:
    """The next one is due a second later, not a minute."""
    clock = VenueClock()
    clock.asked(5 * S)
    assert clock.due_ns == 6 * S
