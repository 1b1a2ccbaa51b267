"""When the core asks for snapshots."""

from __future__ import annotations

from itertools import pairwise

from core_driver import DOWN, SPREAD, UP, Driver, book, instrument, levels, of_kind, status
from core_driver import account as account_records

from engine.core.snapshots import ASK_NS_MIN, PATIENCE_NS, Snapshots
from engine.wire.codes import Kind, MarketStatus, Side

SECOND = 1_000_000_000


def asked(seconds: int, refused: int, without: int) -> list[int]:
    """Return the tenths of seconds at which it asks, with these figures all the time."""
    snapshots = Snapshots()
    times = range(1, 10 * seconds)
    return [
        k for k in times if snapshots.are_wanted(refused * k, without, k * SECOND // 10 + SECOND)
    ]


def test_nothing_is_asked_for_while_every_market_has_its_books() -> None:
    """However long it runs."""
    assert asked(300, 0, 0) == []


def test_refused_rows_ask_at_once_and_not_more_than_once_a_second() -> None:
    """A stream of refused rows is not a stream of snapshots."""
    times = asked(10, 1, 0)
    assert times[0] == 1
    assert all(b - a >= ASK_NS_MIN * 10 // SECOND for a, b in pairwise(times))
    assert len(times) == 10


def test_a_market_without_a_book_is_asked_for_ever_more_seldom() -> None:
    """The first time after two seconds; the pauses double up to a minute."""
    times = asked(300, 0, 1)
    pauses = [b - a for a, b in pairwise(times)]
    assert times[0] == 1 + PATIENCE_NS * 10 // SECOND
    assert pauses[:3] == [40, 80, 160]
    assert max(pauses) == 600


def test_the_core_counts_what_it_refuses_before_a_snapshot() -> None:
    """One lost first frame: changes come for a book that has none, and are counted as such."""
    driver = Driver(SPREAD)
    driver.step(*account_records(), instrument(UP), instrument(DOWN), status(MarketStatus.OPEN))
    driver.step(book(DOWN, {"0.50": "100"}, {"0.52": "100"}))
    driver.step(levels(UP, [("0.47", "5", Side.BUY)], 480_000, 500_000))
    gauges = driver.engine.gauges()
    assert (gauges["rows_refused"], gauges["markets_without_book"]) == (1, 1)
    said = driver.step(book(UP, {"0.48": "100"}, {"0.50": "100"}))
    assert driver.engine.gauges()["markets_without_book"] == 0
    assert len(of_kind(said, Kind.NEW_ORDER)) == 2
