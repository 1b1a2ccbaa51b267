"""What earlier runs and other hands have left on the wallet is known before anything is opened."""

from __future__ import annotations

import numpy as np
from core_driver import (
    AFTER_NS,
    DOWN,
    LIMITS,
    MICROS,
    NOW_NS,
    SECOND,
    SPREAD,
    UP,
    Driver,
    book,
    cash,
    feed_status,
    fill,
    instrument,
    of_kind,
    recovered,
    report,
    status,
)

from engine.core.params import RiskLimits
from engine.core.world.orders import OrderState
from engine.wire.codes import (
    Connection,
    Flag,
    Kind,
    Liquidity,
    MarketStatus,
    OrderStatus,
    Reason,
    Settlement,
    Side,
    Source,
    Tif,
)
from engine.wire.records import new, words

OLD, STRANGE = b"o" * 32, b"s" * 32
BOOKS = book(UP, {"0.48": "100"}, {"0.50": "100"}), book(DOWN, {"0.50": "100"}, {"0.52": "100"})
MOVED = book(UP, {"0.46": "100"}, {"0.48": "100"})


def old_order(*, is_open: bool, strategy: int = 1) -> np.ndarray:
    """Return what the signer tells of a bid for 30 at 0.40 of an earlier run."""
    record = new(Kind.RECOVERED)
    record["order_id"], record["order_hash"] = 99, np.void(OLD)
    record["price"], record["size"] = 400_000, 30 * MICROS
    record["strategy"], record["side"], record["tif"] = strategy, Side.BUY, Tif.GTC
    record["is_open"] = is_open
    return record


def seen(read_back_ns: int = AFTER_NS) -> np.ndarray:
    """Return the private feed's status; read_back_ns: when its last complete read-back began."""
    record = feed_status(Source.CLOB_USER, Connection.CONNECTED)
    record["read_back_ns"] = read_back_ns
    return record


def shares(index: int, micros: int) -> np.ndarray:
    """Return the venue's balance of a token."""
    record = cash(micros)
    record["instrument"] = index
    return record


def order_state(order_hash: bytes, status_: OrderStatus, matched: int = 0) -> np.ndarray:
    """Return the venue's word on a bid for 50 Up at 0.30."""
    record = new(Kind.ORDER_STATE)
    record["instrument"], record["order_hash"] = UP, np.void(order_hash)
    record["price"], record["size"], record["matched"] = 300_000, 50 * MICROS, matched
    record["status"] = status_
    return record


def markets(driver: Driver) -> None:
    """Announce one market and its books."""
    driver.step(instrument(UP), instrument(DOWN), status(MarketStatus.OPEN))
    driver.step(*BOOKS)


def ordered(said: list[np.void]) -> list[int]:
    """Return the instruments of the orders that left."""
    return [int(order["instrument"]) for order in of_kind(said, Kind.NEW_ORDER)]


def test_nothing_is_opened_before_earlier_runs_are_known() -> None:
    """Neither the end of the order log's list nor a read-back before it is enough."""
    driver = Driver(SPREAD)
    markets(driver)
    assert not ordered(driver.step(cash(1_000 * MICROS), seen()))
    assert not ordered(driver.step(MOVED))
    listed_ns = driver.now_ns + 1_000_000
    assert not ordered(driver.step(recovered()))
    assert not ordered(driver.step(seen(listed_ns), MOVED))
    assert driver.engine.gauges()["is_recovered"] == 0
    assert ordered(driver.step(seen(listed_ns + 1))) == [UP, DOWN]


def test_an_old_order_without_an_end_keeps_everything_shut_until_it_has_one() -> None:
    """Its money is reserved; after its end the account is read once more, and then it goes on."""
    driver = Driver(SPREAD)
    markets(driver)
    driver.step(old_order(is_open=True), recovered(), cash(1_000 * MICROS), seen())
    assert driver.engine.gauges()["is_recovered"] == 0
    assert driver.engine.world.reserved_cash() == 12 * MICROS
    driver.step(report(Kind.DONE, 99, matched=0, reason=Reason.CANCELED))
    ended_ns = driver.now_ns
    driver.step(seen(ended_ns))
    assert driver.engine.gauges()["is_recovered"] == 0
    assert ordered(driver.step(seen(ended_ns + 1))) == [UP, DOWN]
    assert driver.engine.world.reserved_cash() > 0


def test_fills_of_an_earlier_run_are_its_strategys_position_and_cost_no_cash_twice() -> None:
    """They come before their order's name and before their instrument; the balance has them."""
    driver = Driver(SPREAD)
    old = fill(OLD, "0.4", "30", settlement=Settlement.CONFIRMED, liquidity=Liquidity.MAKER)
    driver.step(old, cash(88 * MICROS), shares(UP, 30 * MICROS))
    driver.step(old_order(is_open=False), recovered())
    markets(driver)
    driver.step(seen())
    world = driver.engine.world
    assert world.position(1, UP).size == 30 * MICROS
    assert (world.cash.balance, world.cash.flow) == (88 * MICROS, -12 * MICROS)
    assert world.total_exposure() == 12 * MICROS + world.reserved_cash()
    assert driver.engine.gauges()["tokens_unexplained"] == 0


def test_a_fill_of_an_old_immediate_buy_may_be_dearer_than_its_average() -> None:
    """Its limit is not in the log: what it spends bounds it."""
    for price, booked in (("0.45", 30 * MICROS), ("0.55", 0)):
        driver = Driver(SPREAD)
        markets(driver)
        order = old_order(is_open=False)
        order["tif"] = Tif.FOK
        first = fill(OLD, "0.1", "1", settlement=Settlement.CONFIRMED)
        second = fill(OLD, price, "26", settlement=Settlement.CONFIRMED, trade_id=b"2" * 16)
        third = fill(OLD, "0.01", "3", settlement=Settlement.CONFIRMED, trade_id=b"3" * 16)
        driver.step(order, first, second, third)
        held = driver.engine.world.lots.size(UP)
        assert held == (booked or 4 * MICROS)


def test_what_earlier_fills_brought_and_the_wallet_has_no_more_is_written_off_at_cost() -> None:
    """Merged or sent away between two runs: not held, not exposed, neither profit nor loss."""
    driver = Driver(SPREAD)
    markets(driver)
    old = fill(OLD, "0.4", "30", settlement=Settlement.CONFIRMED, liquidity=Liquidity.MAKER)
    driver.step(old_order(is_open=False), old, cash(88 * MICROS), shares(UP, 10 * MICROS))
    driver.step(recovered())
    driver.step(seen())
    world = driver.engine.world
    position = world.position(1, UP)
    assert (position.size, position.cost, position.realized) == (10 * MICROS, 4 * MICROS, 0)
    assert world.total_exposure() == 4 * MICROS + world.reserved_cash()
    assert world.cash.balance == 88 * MICROS
    assert world.equity() == 10 * 490_000 - 4 * MICROS


def test_what_the_chain_has_not_settled_yet_is_not_missed() -> None:
    """A fill that is merely matched is in the books and not in the wallet."""
    driver = Driver(SPREAD)
    markets(driver)
    old = fill(OLD, "0.4", "30", settlement=Settlement.MATCHED, liquidity=Liquidity.MAKER)
    driver.step(old_order(is_open=False), old, cash(100 * MICROS), shares(UP, 0), recovered())
    driver.step(seen())
    world = driver.engine.world
    assert world.position(1, UP).size == 30 * MICROS
    for _ in range(2):
        driver.step(shares(UP, 0))
    assert driver.engine.gauges()["tokens_unexplained"] == 0
    driver.step(fill(OLD, "0.4", "30", settlement=Settlement.MINED, liquidity=Liquidity.MAKER))
    driver.step(shares(UP, 0))
    assert driver.engine.gauges()["tokens_unexplained"] == 1


def limits(micros: int) -> RiskLimits:
    """Return limits of so much a market and in all."""
    fields = {name: getattr(LIMITS, name) for name in LIMITS.__dataclass_fields__}
    return RiskLimits(**(fields | {"market_notional_max": micros, "total_notional_max": micros}))


def test_what_an_earlier_run_bought_counts_against_the_limits_of_this_one() -> None:
    """20 at most: 12 are held, and two quotes of 9.60 and 10 do not fit any more."""
    driver = Driver(SPREAD, limits=limits(20 * MICROS))
    old = fill(OLD, "0.4", "30", settlement=Settlement.CONFIRMED, liquidity=Liquidity.MAKER)
    markets(driver)
    said = driver.step(old_order(is_open=False), old, cash(88 * MICROS), recovered(), seen())
    assert not ordered(said)
    reasons = {int(d["reason"]) for d in of_kind(said, Kind.DECISION)}
    assert reasons == {Reason.MARKET_NOTIONAL}


def test_tokens_that_no_fill_explains_count_at_their_worst_and_close_no_market() -> None:
    """Found at the start: 1 a share against every limit, and trading goes on within them."""
    driver = Driver(SPREAD, limits=limits(100 * MICROS))
    markets(driver)
    driver.step(shares(UP, 85 * MICROS), cash(1_000 * MICROS), recovered())
    said = driver.step(seen())
    assert driver.engine.world.total_exposure() == 85 * MICROS + driver.engine.world.reserved_cash()
    assert len(ordered(said)) == 1, "a quote of 9.60 fits, the next of 10 does not"


def test_a_balance_that_contradicts_the_books_shuts_its_token_until_it_agrees() -> None:
    """Two readings in a row: one may be older than a fill. What is more than known counts."""
    driver = Driver(SPREAD)
    driver.open_market()
    world, engine = driver.engine.world, driver.engine
    before = world.total_exposure()
    driver.step(shares(UP, 10 * MICROS))
    assert engine.gauges()["tokens_unexplained"] == 0
    driver.step(shares(UP, 10 * MICROS))
    assert engine.gauges()["tokens_unexplained"] == 1
    assert world.total_exposure() == before + 10 * MICROS
    assert "contradicts the books: instrument=1" in str(engine.failures[-1][1])
    for _ in range(2):
        driver.step(shares(UP, 0))
    assert engine.gauges()["tokens_unexplained"] == 0
    assert world.total_exposure() == before


def test_orders_and_fills_made_elsewhere_are_adopted_and_counted() -> None:
    """A resting bid of other hands reserves its money, its fill is a position of no strategy."""
    driver = Driver(SPREAD)
    driver.open_market()
    world = driver.engine.world
    reserved = world.reserved_cash()
    driver.step(order_state(STRANGE, OrderStatus.LIVE))
    assert world.reserved_cash() == reserved, "it may still be named"
    driver.step(after_ns=2 * SECOND)
    assert world.reserved_cash() == reserved + 15 * MICROS
    driver.step(fill(STRANGE, "0.3", "20", liquidity=Liquidity.MAKER))
    assert world.position(0, UP).size == 20 * MICROS
    assert world.cash.flow == -6 * MICROS
    assert world.reserved_cash() == reserved + 9 * MICROS
    driver.step(order_state(STRANGE, OrderStatus.CANCELED, 20 * MICROS))
    assert world.reserved_cash() == reserved
    assert driver.engine.gauges()["orders_external"] == 1


def test_an_order_concluded_dead_that_is_alive_counts_and_is_cancelled() -> None:
    """No second quote takes its place before it is over by evidence."""
    driver = Driver(SPREAD)
    order_id = int(of_kind(driver.open_market(), Kind.NEW_ORDER)[0]["order_id"])
    driver.step(report(Kind.SIGNED, order_id, order_hash=STRANGE))
    driver.step(report(Kind.REJECT, order_id, reason=Reason.VENUE_NOT_FOUND))
    world = driver.engine.world
    before = world.reserved_cash()
    said = driver.step(order_state(STRANGE, OrderStatus.LIVE))
    (cancel,) = of_kind(said, Kind.CANCEL)
    assert (int(cancel["order_id"]), int(cancel["reason"])) == (order_id, Reason.REVIVED)
    assert world.reserved_cash() == before + 9_600_000
    assert driver.engine.gauges()["orders_revived"] == 1
    assert UP not in ordered(driver.step(MOVED))
    said = driver.step(report(Kind.DONE, order_id, matched=0, reason=Reason.CANCELED))
    assert world.orders.by_id[order_id].state == OrderState.DONE
    assert ordered(said) == [UP]


def test_a_market_that_is_only_adopted_is_watched_and_not_traded() -> None:
    """What is held there counts; once the configuration has it, it trades like any other."""
    driver = Driver(SPREAD, limits=limits(100 * MICROS))
    adopted = [instrument(UP), instrument(DOWN)]
    for record in adopted:
        record["flags"] = Flag.SNAPSHOT
    driver.step(*adopted, status(MarketStatus.OPEN), shares(UP, 30 * MICROS), cash(1_000 * MICROS))
    driver.step(recovered(), seen())
    assert not ordered(driver.step(*BOOKS))
    assert driver.engine.world.total_exposure() == 30 * MICROS
    assert ordered(driver.step(instrument(UP), instrument(DOWN), MOVED)) == [UP, DOWN]


def test_an_answer_that_was_asked_for_before_an_orders_end_revives_nothing() -> None:
    """A read-back that was on its way while the order ended shows it as it was."""
    driver = Driver(SPREAD)
    order_id = int(of_kind(driver.open_market(), Kind.NEW_ORDER)[0]["order_id"])
    driver.step(report(Kind.SIGNED, order_id, order_hash=STRANGE))
    asked_ns = driver.now_ns
    driver.step(report(Kind.DONE, order_id, matched=0, reason=Reason.CANCELED))
    stale = words(order_state(STRANGE, OrderStatus.LIVE))
    stale[:, 3] = asked_ns
    driver.now_ns += 1_000_000
    driver.engine.step(stale, driver.sequence + 1, driver.now_ns)
    assert driver.engine.world.orders.by_id[order_id].state == OrderState.DONE
    assert driver.engine.gauges()["orders_revived"] == 0


def test_cash_follows_the_venue_when_two_readings_agree() -> None:
    """A payout that was collected is spendable, a withdrawal is not; profit is neither."""
    driver = Driver(SPREAD)
    driver.open_market(balance=100 * MICROS)
    world = driver.engine.world
    equity = world.equity()
    for micros in (130 * MICROS, 70 * MICROS):
        before = world.cash.balance
        driver.step(cash(micros))
        assert world.cash.balance == before
        driver.step(cash(micros))
        assert world.cash.balance == micros
    assert world.equity() == equity


def blind_limits() -> RiskLimits:
    """Return limits under which the private feed may be silent for 3 s, its reading 10 s old."""
    fields = {name: getattr(LIMITS, name) for name in LIMITS.__dataclass_fields__}
    ages = {"private_sign_age_ns_max": 3 * SECOND, "read_back_age_ns_max": 10 * SECOND}
    return RiskLimits(**(fields | ages))


def test_quotes_are_pulled_and_none_opened_while_no_fill_could_be_seen() -> None:
    """A silent feed, or one that reads nothing back: books are fresh, and yet nothing leaves."""
    for silent in (True, False):
        driver = Driver(SPREAD, limits=blind_limits())
        driver.now_ns = NOW_NS
        markets(driver)
        orders = of_kind(
            driver.step(cash(1_000 * MICROS), recovered(), seen(NOW_NS + SECOND)), Kind.NEW_ORDER
        )
        assert len(orders) == 2
        for order, order_hash in zip(orders, (OLD, STRANGE), strict=True):
            order_id = int(order["order_id"])
            driver.step(report(Kind.SIGNED, order_id, order_hash=order_hash))
            driver.step(report(Kind.ACK, order_id, status=OrderStatus.LIVE))
        pulled: list[int] = []
        for _ in range(13):
            records = () if silent else (seen(NOW_NS + SECOND),)
            said = driver.step(*BOOKS, *records, after_ns=SECOND)
            pulled += [int(c["reason"]) for c in of_kind(said, Kind.CANCEL)]
            assert not ordered(said)
        assert pulled == [Reason.FILLS_UNSEEN] * 2
        assert driver.engine.gauges()["fills_unseen"] == 1
        for order in orders:
            order_id = int(order["order_id"])
            driver.step(report(Kind.DONE, order_id, matched=0, reason=Reason.CANCELED))
        assert ordered(driver.step(seen(driver.now_ns))) == [UP, DOWN]
