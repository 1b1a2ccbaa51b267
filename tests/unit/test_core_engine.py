"""What the core does with what it hears."""

from __future__ import annotations

import numpy as np
import pytest
from core_driver import (
    DOWN,
    DUTCH,
    LIMITS,
    NOW_NS,
    SECOND,
    SPREAD,
    UP,
    Driver,
    account,
    book,
    cash,
    feed_status,
    fill,
    instrument,
    levels,
    of_kind,
    params,
    recovered,
    report,
    status,
)

from engine.core.engine import Engine
from engine.core.params import EngineParams
from engine.core.world.orders import OrderState
from engine.math.units import MICROS, text_from_micros
from engine.wire.codes import (
    Connection,
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
from engine.wire.records import new

HASH = bytes(range(32))


def quoting() -> tuple[Driver, list[np.void]]:
    """Return a driver whose spread strategy has just placed its two quotes."""
    driver = Driver(SPREAD)
    return driver, of_kind(driver.open_market(), Kind.NEW_ORDER)


def live(driver: Driver, order: np.void, order_hash: bytes = HASH) -> None:
    """Tell the core that an order is signed and resting."""
    order_id = int(order["order_id"])
    driver.step(
        report(Kind.SIGNED, order_id, order_hash=order_hash),
        report(Kind.ACK, order_id, status=OrderStatus.LIVE),
    )


def halt(*, engaged: bool) -> np.ndarray:
    """Return the operator's HALT record."""
    record = new(Kind.HALT)
    record["reason"], record["engaged"] = Reason.HALT_OPERATOR, engaged
    return record


def test_spread_bids_on_both_outcomes_below_the_cap() -> None:
    """Two post-only bids go out, together at most the target total, each on its own book."""
    _, orders = quoting()
    assert [int(o["instrument"]) for o in orders] == [UP, DOWN]
    assert sum(int(o["price"]) for o in orders) <= SPREAD.values["target_total_usd"]
    assert all(o["post_only"] and o["tif"] == Tif.GTC and o["side"] == Side.BUY for o in orders)


def test_every_order_is_preceded_by_its_decision_and_traces_to_its_cause() -> None:
    """A DECISION with the book it was made on stands before each NEW_ORDER, same trace."""
    driver = Driver(SPREAD)
    out = driver.open_market()
    for decision, order in zip(out[::2], out[1::2], strict=True):
        assert (decision["kind"], order["kind"]) == (Kind.DECISION, Kind.NEW_ORDER)
        assert decision["order_id"] == order["order_id"]
        assert decision["trace"] == order["trace"] > 0
        assert decision["reason"] == Reason.OK
        assert decision["bid"] < decision["ask"]


def test_a_quote_is_replaced_only_after_the_venue_confirmed_its_end() -> None:
    """The price moves: cancel first; the new order leaves when the old one is proven over."""
    driver, orders = quoting()
    live(driver, orders[0])
    moved = driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}))
    cancels = of_kind(moved, Kind.CANCEL)
    assert [int(c["order_id"]) for c in cancels] == [int(orders[0]["order_id"])]
    assert not of_kind(moved, Kind.NEW_ORDER)
    after = driver.step(
        report(Kind.DONE, int(orders[0]["order_id"]), matched=-1, reason=Reason.CANCELED)
    )
    replacement = of_kind(after, Kind.NEW_ORDER)
    assert [(int(o["instrument"]), int(o["price"])) for o in replacement] == [(UP, 460_000)]


def test_an_order_not_yet_acknowledged_is_not_cancelled() -> None:
    """While the outcome of the first send is open, nothing more is done about that quote."""
    driver, _ = quoting()
    moved = driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}))
    assert not of_kind(moved, Kind.CANCEL)
    assert not of_kind(moved, Kind.NEW_ORDER)


def test_an_unknown_outcome_keeps_its_exposure_and_blocks_a_replacement() -> None:
    """UNKNOWN is not failed: the order still counts, and only evidence frees it."""
    driver, orders = quoting()
    order_id = int(orders[0]["order_id"])
    exposure = driver.engine.gauges()["exposure_micros"]
    driver.step(report(Kind.SIGNED, order_id, order_hash=HASH))
    driver.step(report(Kind.UNKNOWN, order_id, reason=Reason.TIMEOUT))
    after_long = driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}), after_ns=3 * SECOND)
    assert not of_kind(after_long, Kind.NEW_ORDER)
    assert driver.engine.gauges()["exposure_micros"] == exposure
    assert driver.engine.world.orders.by_id[order_id].state == OrderState.UNKNOWN
    freed = driver.step(report(Kind.REJECT, order_id, reason=Reason.VENUE_NOT_FOUND))
    assert driver.engine.gauges()["orders_unknown"] == 0
    assert not of_kind(freed, Kind.NEW_ORDER)


def test_a_fill_before_its_order_is_named_is_booked_once_it_is() -> None:
    """A fill that overtakes SIGNED waits and is booked exactly once."""
    driver, orders = quoting()
    driver.step(fill(HASH, "0.48", "20", liquidity=Liquidity.MAKER))
    assert driver.engine.gauges()["fills"] == 0
    driver.step(report(Kind.SIGNED, int(orders[0]["order_id"]), order_hash=HASH))
    assert driver.engine.gauges()["fills"] == 1
    assert driver.engine.world.lots.size(UP) == 20 * MICROS


def test_repeated_and_later_reports_of_a_fill_move_no_money_twice() -> None:
    """MATCHED, MATCHED again, CONFIRMED, then an old MINED: one fill."""
    driver, orders = quoting()
    live(driver, orders[0])
    for settlement in (Settlement.MATCHED, Settlement.MATCHED, Settlement.CONFIRMED, 3):
        driver.step(fill(HASH, "0.48", "20", liquidity=Liquidity.MAKER, settlement=settlement))
    assert driver.engine.gauges()["cash_flow_micros"] == -9_600_000


def test_a_failed_fill_is_taken_back_exactly() -> None:
    """A ghost fill leaves cash, shares and fees as if it had never been."""
    driver, orders = quoting()
    live(driver, orders[0])
    driver.step(fill(HASH, "0.48", "20", liquidity=Liquidity.TAKER))
    assert driver.engine.gauges()["cash_flow_micros"] < -9_600_000
    driver.step(fill(HASH, "0.48", "20", settlement=Settlement.FAILED))
    assert driver.engine.gauges()["cash_flow_micros"] == 0
    assert driver.engine.world.lots.size(UP) == 0


def test_makers_pay_no_fee_and_takers_pay_the_floor() -> None:
    """The core computes the fee the venue does not report."""
    for liquidity, fee in ((Liquidity.MAKER, 0), (Liquidity.TAKER, 349_440)):
        driver, orders = quoting()
        live(driver, orders[0])
        driver.step(fill(HASH, "0.48", "20", liquidity=liquidity))
        assert driver.engine.gauges()["cash_flow_micros"] == -9_600_000 - fee


def test_a_book_that_falls_silent_has_its_quotes_pulled() -> None:
    """No tick comes any more: once the books are too old, a quiet step cancels what rests."""
    driver, orders = quoting()
    for order, order_hash in zip(orders, (HASH, HASH[::-1]), strict=True):
        live(driver, order, order_hash)
    assert not driver.step(after_ns=4 * SECOND)
    assert len(of_kind(driver.step(after_ns=2 * SECOND), Kind.CANCEL)) == 2


def test_a_refused_quote_is_not_repeated_until_the_market_moves() -> None:
    """A rejection does not start a storm of the same order."""
    driver, orders = quoting()
    order_id = int(orders[0]["order_id"])
    refused = driver.step(report(Kind.REJECT, order_id, reason=Reason.VENUE_POST_ONLY_CROSSES))
    assert not of_kind(refused, Kind.NEW_ORDER)
    moved = driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}))
    assert [int(o["price"]) for o in of_kind(moved, Kind.NEW_ORDER)] == [460_000]


def test_a_lost_feed_pulls_every_quote_and_allows_no_new_one() -> None:
    """Disconnected books are believed no more: cancels go out, orders do not."""
    driver, orders = quoting()
    live(driver, orders[0], HASH)
    live(driver, orders[1], HASH[::-1])
    out = driver.step(feed_status(Source.CLOB_MARKET, Connection.DISCONNECTED))
    assert {int(c["order_id"]) for c in of_kind(out, Kind.CANCEL)} == {
        int(o["order_id"]) for o in orders
    }
    delta = levels(UP, [("0.47", "5", Side.BUY)], 480_000, 500_000)
    assert not of_kind(driver.step(delta), Kind.NEW_ORDER)


def test_one_lost_book_leaves_the_others_believed() -> None:
    """A feed that names an instrument makes that book stale and no other."""
    driver, _ = quoting()
    driver.step(feed_status(Source.CLOB_MARKET, Connection.CONNECTING, UP))
    books = driver.engine.world.books
    assert (books.touch(UP).usable, books.touch(DOWN).usable) == (False, True)


def test_nothing_is_opened_while_our_own_fills_cannot_be_seen() -> None:
    """With the private stream down, quotes stay as they are and no new order leaves."""
    driver, orders = quoting()
    for order, order_hash in zip(orders, (HASH, HASH[::-1]), strict=True):
        live(driver, order, order_hash)
    driver.step(feed_status(Source.CLOB_USER, Connection.DISCONNECTED))
    order_id = int(orders[0]["order_id"])
    moved = driver.step(
        report(Kind.DONE, order_id, matched=0, reason=Reason.CANCELED),
        book(UP, {"0.46": "100"}, {"0.48": "100"}),
    )
    assert {int(d["reason"]) for d in of_kind(moved, Kind.DECISION)} == {Reason.PRIVATE_STREAM_LOST}
    assert not of_kind(moved, Kind.NEW_ORDER)


def test_what_could_not_be_quoted_is_quoted_once_our_fills_are_seen() -> None:
    """The books stand still: the private stream's coming is cause enough to ask again."""
    driver = Driver(SPREAD)
    lost = feed_status(Source.CLOB_USER, Connection.DISCONNECTED)
    known = cash(1_000 * MICROS), recovered(), lost
    driver.step(instrument(UP), instrument(DOWN), status(MarketStatus.OPEN), *known)
    books = book(UP, {"0.48": "9"}, {"0.50": "9"}), book(DOWN, {"0.50": "9"}, {"0.52": "9"})
    refused = driver.step(*books)
    assert {int(d["reason"]) for d in of_kind(refused, Kind.DECISION)} == {
        Reason.PRIVATE_STREAM_LOST
    }
    seen = driver.step(feed_status(Source.CLOB_USER, Connection.CONNECTED))
    assert len(of_kind(seen, Kind.NEW_ORDER)) == 2


def test_halt_cancels_everything_and_stops_every_new_order() -> None:
    """After HALT one CANCEL_ALL leaves and no order, until the halt is lifted."""
    driver, orders = quoting()
    live(driver, orders[0])
    out = driver.step(halt(engaged=True))
    assert len(of_kind(out, Kind.CANCEL_ALL)) == 1
    assert not driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}))
    for order in orders:
        driver.step(report(Kind.DONE, int(order["order_id"]), matched=0, reason=Reason.CANCELED))
    driver.step(halt(engaged=False))
    again = driver.step(book(UP, {"0.44": "100"}, {"0.47": "100"}))
    assert of_kind(again, Kind.NEW_ORDER)


def test_an_order_id_that_is_not_our_hash_halts() -> None:
    """The signer says the venue names an order differently: cancel everything, open nothing."""
    driver, orders = quoting()
    order_id = int(orders[0]["order_id"])
    out = driver.step(report(Kind.UNKNOWN, order_id, reason=Reason.HALT_HASH_MISMATCH))
    assert len(of_kind(out, Kind.CANCEL_ALL)) == 1
    assert driver.engine.gauges()["halted"] == Reason.HALT_HASH_MISMATCH


def test_nothing_is_bought_before_the_balance_is_known() -> None:
    """A missing input of a gate refuses; it is never assumed."""
    driver = Driver(SPREAD)
    seen = recovered(), feed_status(Source.CLOB_USER, Connection.CONNECTED)
    driver.step(*seen, instrument(UP), instrument(DOWN), status(MarketStatus.OPEN))
    out = driver.step(
        book(UP, {"0.48": "9"}, {"0.50": "9"}), book(DOWN, {"0.50": "9"}, {"0.52": "9"})
    )
    assert {int(d["reason"]) for d in of_kind(out, Kind.DECISION)} == {Reason.INSUFFICIENT_CASH}
    assert not of_kind(out, Kind.NEW_ORDER)


def test_a_market_the_venue_has_not_opened_is_not_traded() -> None:
    """Instruments, books and cash are there; without the venue's word no order leaves."""
    driver = Driver(SPREAD)
    driver.step(*account(), instrument(UP), instrument(DOWN))
    books = (book(UP, {"0.48": "9"}, {"0.50": "9"}), book(DOWN, {"0.50": "9"}, {"0.52": "9"}))
    assert not of_kind(driver.step(*books), Kind.NEW_ORDER)
    assert of_kind(driver.step(status(MarketStatus.OPEN)), Kind.NEW_ORDER)


def test_resolution_pays_out_and_ends_what_is_working() -> None:
    """The winner pays 1, the loser 0; profit is then cash, and no order is left."""
    driver, orders = quoting()
    live(driver, orders[0])
    driver.step(fill(HASH, "0.48", "20", liquidity=Liquidity.MAKER))
    driver.step(status(MarketStatus.RESOLVED, MICROS))
    gauges = driver.engine.gauges()
    assert gauges["equity_micros"] == 20 * MICROS - 9_600_000
    assert (gauges["orders_open"], gauges["exposure_micros"]) == (0, 0)


def test_dutch_book_takes_both_asks_when_they_sum_below_one_after_fees() -> None:
    """Both legs leave in one step, fill-or-kill, same size, at limits that keep the profit."""
    driver = Driver(DUTCH)
    out = driver.open_market(
        ({"0.40": "100"}, {"0.45": "30", "0.46": "50"}), ({"0.40": "100"}, {"0.48": "40"})
    )
    orders = of_kind(out, Kind.NEW_ORDER)
    assert [int(o["instrument"]) for o in orders] == [UP, DOWN]
    assert {int(o["tif"]) for o in orders} == {Tif.FOK}
    assert len({int(o["size"]) for o in orders}) == 1
    assert all(int(d["edge"]) > 0 for d in of_kind(out, Kind.DECISION))


def test_dutch_legs_spend_what_the_walk_costs_not_limit_times_size() -> None:
    """The venue fills buys by budget: at the worst price a leg of two levels would overfill."""
    driver = Driver(DUTCH)
    out = driver.open_market(
        ({"0.40": "100"}, {"0.45": "30", "0.46": "50"}), ({"0.40": "100"}, {"0.48": "40"})
    )
    up, down = of_kind(out, Kind.NEW_ORDER)
    assert int(up["budget"]) == 30 * 450_000 + 10 * 460_000
    assert int(down["budget"]) == 40 * 480_000


def test_an_emptied_book_keeps_its_last_worth() -> None:
    """When both sides vanish at the close, holdings stay valued at the last real mid."""
    driver, orders = quoting()
    live(driver, orders[0])
    driver.step(fill(HASH, "0.48", "20", liquidity=Liquidity.MAKER))
    before = driver.engine.gauges()["equity_micros"]
    driver.step(book(UP, {}, {}))
    assert driver.engine.gauges()["equity_micros"] == before


def test_dutch_book_leaves_an_edge_the_fee_eats() -> None:
    """Asks of 0.49 + 0.50 look like a cent and cost three and a half in fees."""
    driver = Driver(DUTCH)
    assert not driver.open_market(({"0.40": "9"}, {"0.49": "99"}), ({"0.40": "9"}, {"0.50": "99"}))


def test_a_leg_that_fills_alone_is_unwound_or_completed() -> None:
    """One leg killed, the other filled: a single FAK evens the pair on the cheaper side."""
    driver = Driver(DUTCH)
    out = driver.open_market(({"0.44": "100"}, {"0.45": "40"}), ({"0.46": "100"}, {"0.48": "40"}))
    first, second = (int(o["order_id"]) for o in of_kind(out, Kind.NEW_ORDER))
    driver.step(report(Kind.SIGNED, first, order_hash=HASH))
    driver.step(fill(HASH, "0.45", "40"))
    repair = driver.step(report(Kind.REJECT, second, reason=Reason.VENUE_KILLED))
    orders = of_kind(repair, Kind.NEW_ORDER)
    assert len(orders) == 1
    assert orders[0]["tif"] == Tif.FAK
    assert int(orders[0]["size"]) == 40 * MICROS
    assert (int(orders[0]["instrument"]), int(orders[0]["side"])) == (DOWN, Side.BUY)


def test_a_basket_is_sent_whole_or_not_at_all() -> None:
    """If one leg meets a gate, no leg leaves."""
    tight = EngineParams.from_json(params(DUTCH).to_json()).risk
    limits = type(tight)(**{**_fields(tight), "order_notional_max": 15 * MICROS})
    driver = Driver(DUTCH, limits=limits)
    out = driver.open_market(({"0.30": "9"}, {"0.35": "40"}), ({"0.40": "9"}, {"0.48": "40"}))
    assert not of_kind(out, Kind.NEW_ORDER)
    assert [int(d["reason"]) for d in of_kind(out, Kind.DECISION)] == [Reason.ORDER_NOTIONAL]


def test_a_crossed_or_unfinished_book_is_no_arbitrage() -> None:
    """A book that differs from the venue's claim, as inside a run of frames, fires nothing."""
    driver = Driver(DUTCH)
    driver.open_market(({"0.48": "9"}, {"0.50": "99"}), ({"0.50": "9"}, {"0.52": "99"}))
    half = levels(UP, [("0.30", "99", Side.SELL)], 290_000, 300_000)
    assert not driver.step(half)


def test_the_same_rows_give_the_same_bytes() -> None:
    """Two engines with the same parameters agree on every byte they write."""

    def run() -> bytes:
        driver = Driver(SPREAD, DUTCH)
        out = driver.open_market()
        out += driver.step(book(UP, {"0.46": "100"}, {"0.48": "100"}))
        return b"".join(r.tobytes() for r in out)

    assert run() == run()


def test_parameters_survive_their_canonical_text() -> None:
    """What the tape's header keeps is enough to build the same engine."""
    before = params(SPREAD, DUTCH)
    after = EngineParams.from_json(before.to_json())
    assert after == before
    assert after.to_json() == before.to_json()
    assert len(Engine(after).params.strategies) == 2


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("order_notional_max", 1 * MICROS, Reason.ORDER_NOTIONAL),
        ("market_notional_max", 1 * MICROS, Reason.MARKET_NOTIONAL),
        ("total_notional_max", 1 * MICROS, Reason.TOTAL_NOTIONAL),
        ("orders_per_second_max", 0, Reason.ORDER_RATE),
        ("orders_open_max", 0, Reason.ORDERS_OPEN_MAX),
        ("cash_min", 1_000 * MICROS, Reason.INSUFFICIENT_CASH),
    ],
)
def test_each_limit_stops_orders_by_its_own_name(field: str, value: int, reason: Reason) -> None:
    """A limit that is exceeded refuses the order and says which one it was."""
    limits = type(LIMITS)(**{**_fields(LIMITS), field: value})
    driver = Driver(SPREAD, limits=limits)
    out = driver.open_market()
    assert not of_kind(out, Kind.NEW_ORDER)
    assert {int(d["reason"]) for d in of_kind(out, Kind.DECISION)} == {reason}


def test_inventory_makes_the_heavy_side_stop_quoting() -> None:
    """From the hard imbalance on, only the light side is bid for."""
    driver, orders = quoting()
    live(driver, orders[0])
    order = orders[0]
    for number in range(3):
        order_hash, price = bytes([number + 1]) * 32, text_from_micros(int(order["price"]))
        out = driver.step(
            report(Kind.SIGNED, int(order["order_id"]), order_hash=order_hash),
            fill(order_hash, price, "20", liquidity=Liquidity.MAKER, trade_id=order_hash[:16]),
        )
        placed = [o for o in of_kind(out, Kind.NEW_ORDER) if o["instrument"] == UP]
        if placed:
            order = placed[0]
    assert driver.engine.world.lots.size(UP) == 60 * MICROS
    assert not placed


def test_a_quote_is_clipped_so_that_its_fill_cannot_pass_the_hard_imbalance() -> None:
    """With 50 of 60 shares held on one side, the bid there is for 10, not for 20."""
    driver, _ = quoting()
    strategy, state = driver.engine._strategies[0]
    driver.hold(UP, 50 * MICROS)
    market = driver.engine.world.instruments.markets[0]
    up, down = strategy._bids(state.world, market, 1, NOW_NS)
    assert (up[1], down[1]) == (10 * MICROS, 20 * MICROS)


def _fields(limits: object) -> dict[str, int]:
    return {name: getattr(limits, name) for name in type(limits).__slots__}
