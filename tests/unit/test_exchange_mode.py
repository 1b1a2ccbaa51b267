"""The venue's bad days: which requests pass in which state, and how a restart goes by."""

from __future__ import annotations

import pytest

from engine.exchange.schedule import Schedule
from engine.exchange.venue_mode import Act, Trading, VenueMode

PASSES = {
    Trading.NORMAL: {Act.ORDER, Act.POST_ONLY_ORDER, Act.CANCEL},
    Trading.RESTARTING: set(),
    Trading.POST_ONLY: {Act.POST_ONLY_ORDER, Act.CANCEL},
    Trading.CANCEL_ONLY: {Act.CANCEL},
    Trading.DISABLED: set(),
    Trading.THROTTLED: set(),
}
STATUSES = {
    Trading.RESTARTING: 425,
    Trading.POST_ONLY: 503,
    Trading.CANCEL_ONLY: 503,
    Trading.DISABLED: 503,
    Trading.THROTTLED: 429,
}


@pytest.mark.parametrize("trading", list(Trading))
def test_each_state_lets_through_what_its_table_says(trading: Trading):
    """The table of the module is what the mode does, with the status that goes with it."""
    mode = VenueMode(trading)
    obstacles = {act: mode.obstacle(act) for act in Act}
    assert {act for act, obstacle in obstacles.items() if obstacle is None} == PASSES[trading]
    assert {o.status for o in obstacles.values() if o} <= {STATUSES.get(trading)}


def test_a_restart_is_down_then_post_only_then_over():
    """90 s of 425 with the time left to wait, 120 s of post-only, then all is well."""
    schedule, mode = Schedule(1_000), VenueMode()
    mode.restart(schedule)
    assert (mode.trading, mode.retry_after_s) == (Trading.RESTARTING, 90)
    schedule.advance(91_000)
    assert (mode.trading, mode.retry_after_s) == (Trading.POST_ONLY, 120)
    obstacle = mode.obstacle(Act.ORDER)
    assert obstacle is not None
    assert obstacle.code == "post_only_mode"
    schedule.advance(211_000)
    assert (mode.trading, mode.retry_after_s) == (Trading.NORMAL, None)


def test_a_blocked_region_may_still_cancel():
    """A geoblock refuses orders with 403; a closed-only owner may sell, a banned one nothing."""
    mode = VenueMode(geoblocked=True, closed_only={"0xa"}, banned={"0xb"})
    blocked = mode.obstacle(Act.POST_ONLY_ORDER)
    assert blocked is not None
    assert blocked.status == 403
    assert mode.obstacle(Act.CANCEL) is None
    assert mode.account_obstacle("0xa", buys=False) is None
    for owner, words in (("0xa", "closed only mode"), ("0xb", "banned")):
        obstacle = mode.account_obstacle(owner, buys=True)
        assert obstacle is not None
        assert words in obstacle.text
