"""When a process that died is started again. Time is a number here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.host.restarts import WAIT_S_MAX, WAIT_S_MIN, WINDOW_S, Restarts

PROCESSES = st.sampled_from(["feeds.market", "recorder"])


def test_the_first_death_in_a_while_costs_no_time() -> None:
    """A process that lived long is started again at once, and once only."""
    restarts = Restarts(per_minute_max=5)
    for now_s in (0.0, 2 * WINDOW_S, 4 * WINDOW_S):
        assert restarts.plan("recorder", now_s) == 1
        assert restarts.take_due(now_s) == ["recorder"]
        assert restarts.take_due(now_s) == []


def test_one_death_after_another_doubles_the_wait() -> None:
    """The second waits four times the least, the third eight times, and none beyond the most."""
    restarts = Restarts(per_minute_max=9)
    restarts.plan("recorder", 0.0)
    for deaths in range(2, 10):
        assert restarts.plan("recorder", 0.0) == deaths
        wait_s = min(WAIT_S_MAX, WAIT_S_MIN * 2**deaths)
        assert restarts.take_due(wait_s * 0.99) == []
        assert restarts.take_due(wait_s) == ["recorder"]


def test_too_often_is_slow_even_if_it_is_the_first() -> None:
    """More deaths than allowed wait the most; where none is allowed, one is too many."""
    restarts = Restarts(per_minute_max=0)
    assert restarts.is_too_often(restarts.plan("recorder", 0.0))
    assert restarts.take_due(WAIT_S_MAX * 0.99) == []
    assert restarts.take_due(WAIT_S_MAX) == ["recorder"]


@given(deaths=st.lists(st.tuples(PROCESSES, st.floats(0, 30)), max_size=30))
def test_every_death_is_answered_within_the_longest_wait(deaths: list[tuple[str, float]]) -> None:
    """Whoever dies when: its count is of its own last minute, and it is due soon after."""
    restarts = Restarts(per_minute_max=3)
    now_s, died_s = 0.0, {}
    for process, later_s in deaths:
        now_s += later_s
        died_s.setdefault(process, []).append(now_s)
        recent = [at_s for at_s in died_s[process] if now_s - at_s <= WINDOW_S]
        assert restarts.plan(process, now_s) == len(recent)
    assert set(restarts.take_due(now_s + WAIT_S_MAX)) == set(died_s)
