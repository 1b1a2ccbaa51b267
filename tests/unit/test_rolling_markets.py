"""A series rolls on: markets come and go for weeks, and what is over is in nobody's way."""

from __future__ import annotations

import re
from pathlib import Path

from core_driver import SPREAD, Driver, account, book, of_kind, report
from listings import books, listing, status

from engine.core.world.books import ASK, BID, Books
from engine.math.units import MICROS
from engine.wire.codes import Kind, MarketStatus, OrderStatus

LOWER = {"0.46": "100"}, {"0.48": "100"}


def begun() -> Driver:
    """Return a driver that quotes whatever opens."""
    driver = Driver(SPREAD)
    driver.step(*account())
    return driver


def test_the_markets_that_go_on_are_still_woken_when_another_is_over() -> None:
    """Whichever goes, in whatever order: every other one is asked when its touch moves."""
    for gone in ([0], [2], [1, 0], [0, 1]):
        driver = begun()
        for number in range(3):
            driver.step(*listing(number), *books(number))
        for number in gone:
            driver.step(status(number, MarketStatus.RESOLVED, MICROS))
        assert driver.engine.gauges()["markets_open"] == 3 - len(gone)
        for number in set(range(3)) - set(gone):
            for order in list(driver.engine.world.orders.working(2 * number + 1)):
                driver.step(report(Kind.ACK, order.order_id, status=OrderStatus.LIVE))
            moved = driver.step(book(2 * number + 1, *LOWER))
            cancels = of_kind(moved, Kind.CANCEL)
            assert [int(cancel["instrument"]) for cancel in cancels] == [2 * number + 1]


def test_a_series_of_as_many_markets_as_there_is_room_for() -> None:
    """Every one is quoted and paid out; at no time is more than the present one looked at."""
    driver = begun()
    for number in range(8):
        opened = driver.step(*listing(number)) + driver.step(*books(number))
        assert len(of_kind(opened, Kind.NEW_ORDER)) == 2
        assert driver.engine.gauges()["markets_open"] == 1
        driver.step(status(number, MarketStatus.RESOLVED, 0))
    gauges = driver.engine.gauges()
    assert (gauges["markets_open"], gauges["orders_open"], gauges["instruments"]) == (0, 0, 16)


def test_who_signs_hears_that_a_market_is_over() -> None:
    """Each outcome's STATUS goes on to the signer, whatever was known before; no other one does."""
    driver = begun()
    driver.step(*listing(0))
    closed, over = (status(0, what, 0) for what in (MarketStatus.CLOSED, MarketStatus.RESOLVED))
    other = over.copy()
    other["instrument"] += 1
    assert not of_kind(driver.step(closed), Kind.STATUS)
    told = of_kind(driver.step(over, other, over), Kind.STATUS)
    assert [int(each["instrument"]) for each in told] == [1, 2, 1]
    assert {int(each["status"]) for each in told} == {MarketStatus.RESOLVED}


def test_a_book_that_is_over_gives_its_memory_back() -> None:
    """Its pages are the kernel's again; its neighbours keep every level."""
    each = Books(4096)
    for instrument_ in range(1, 201):
        each.sizes[instrument_] = instrument_
        each.bits[instrument_] = 1
    before = resident_bytes(each)
    for instrument_ in range(2, 200):
        each.release(instrument_)
    assert before > 190 * each.sizes[1].nbytes
    assert resident_bytes(each) < before // 4
    assert (each.sizes[[1, 200]] == [[[1]], [[200]]]).all()
    assert not each.sizes[2:200].any()
    assert not each.bits[2:200].any()
    assert each.tops[2, [BID, ASK]].tolist() == [0, MICROS]


def resident_bytes(each: Books) -> int:
    """Return how much memory the sizes of these books take."""
    address = each.sizes.ctypes.data
    maps = Path("/proc/self/smaps").read_text()
    for found in re.finditer(r"(?m)^([0-9a-f]+)-([0-9a-f]+) (?:.*\n)+?Rss: +(\d+) kB", maps):
        if int(found[1], 16) <= address < int(found[2], 16):
            return int(found[3]) * 1024
    raise AssertionError("the books are in no mapping")
