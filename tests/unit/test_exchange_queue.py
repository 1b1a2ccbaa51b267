"""Resting orders among recorded liquidity: what public trades give them, by the queue model."""

from __future__ import annotations

from engine.exchange.matching import Order
from engine.exchange.pool import Pool
from engine.exchange.queue_model import QueueModel
from engine.wire.codes import Side

CENT, SHARE = 10_000, 1_000_000


def pool(size: int) -> tuple[Pool, Order]:
    """Return a pool with a bid of ours behind `size` shares at 0.45."""
    pool = Pool(QueueModel())
    pool.books[0].replace({45 * CENT: size * SHARE}, {50 * CENT: 10 * SHARE}, 0)
    order = Order("ours", 0, Side.BUY, 45 * CENT, 20 * SHARE)
    pool.rest(order)
    return pool, order


def test_trades_reach_us_after_those_before_us():
    """A sale at our price fills first what was displayed when we came, then us."""
    book, order = pool(30)
    assert book.printed(0, Side.SELL, 45 * CENT, 25 * SHARE) == []
    ((_, fill),) = book.printed(0, Side.SELL, 45 * CENT, 12 * SHARE)
    assert (fill.price, fill.size) == (45 * CENT, 7 * SHARE)
    assert order.left == 13 * SHARE


def test_a_trade_of_the_other_token_is_one_at_our_price():
    """A purchase of Down at 0.55 is a sale of Up at 0.45."""
    book, order = pool(0)
    book.printed(1, Side.BUY, 55 * CENT, 20 * SHARE)
    assert order.left == 0
    assert book.resting == {}


def test_other_prices_and_sides_give_nothing():
    """Only what sells into our bid's price counts."""
    book, _ = pool(0)
    assert book.printed(0, Side.BUY, 45 * CENT, 20 * SHARE) == []
    assert book.printed(0, Side.SELL, 46 * CENT, 20 * SHARE) == []


def test_a_level_that_shrinks_brings_us_forward():
    """Never further back than what is displayed; and a shrinking level alone fills nothing."""
    book, _ = pool(30)
    book.books[0].replace({45 * CENT: 4 * SHARE}, {50 * CENT: 10 * SHARE}, 1)
    assert book.refresh(0) == []
    ((_, fill),) = book.printed(0, Side.SELL, 45 * CENT, 5 * SHARE)
    assert fill.size == SHARE


def test_without_a_model_trades_fill_nothing():
    """The plain paper rule: only a book that comes to us fills us."""
    plain = Pool()
    plain.books[0].replace({}, {50 * CENT: 10 * SHARE}, 0)
    plain.rest(Order("ours", 0, Side.BUY, 45 * CENT, 20 * SHARE))
    assert plain.printed(0, Side.SELL, 45 * CENT, 100 * SHARE) == []
