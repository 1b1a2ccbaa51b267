"""The central book: clients' orders against each other, both outcomes as one book."""

from __future__ import annotations

import pytest
from central_support import CASH_MICROS, CENT, END_MS, MICROS, START_MS, Floor

from engine.exchange.fates import Fates
from engine.exchange.rules import VenueRules
from engine.math.fees import CURVE_V2, fee_micros
from engine.wire.codes import Side, Tif

BUY, SELL = Side.BUY, Side.SELL


def fee(size: int, price: int) -> int:
    """Return the taker fee of one fill."""
    return fee_micros(size, price, CURVE_V2, 70_000, 1)


def test_a_buyer_and_a_seller_of_one_token_exchange_it():
    """A complementary match: shares one way, pUSD the other, the taker's fee on top."""
    floor = Floor()
    floor.give_sets(0, 50)
    floor.send(0, SELL, 48, 20)
    floor.send(1, BUY, 50, 20)
    buyer, seller = floor.traders[1], floor.traders[0]
    cost = 20 * 480_000
    assert buyer.balance(0) == CASH_MICROS - cost - fee(20 * MICROS, 480_000)
    assert seller.balance(0) == CASH_MICROS - 50 * MICROS + cost
    assert buyer.balance(floor.tokens[0]) == 20 * MICROS
    assert seller.balance(floor.tokens[0]) == 30 * MICROS


def test_two_buyers_of_opposite_tokens_mint_full_sets():
    """A bid for Up and a bid for Down that add up to a pUSD match: each gets its token."""
    floor = Floor()
    floor.send(0, BUY, 45, 10, outcome=1)
    taker = floor.send(1, BUY, 57, 10)
    assert floor.answers[taker].status == "matched"
    assert floor.traders[1].balance(floor.tokens[0]) == 10 * MICROS
    assert floor.traders[0].balance(floor.tokens[1]) == 10 * MICROS
    assert floor.traders[0].balance(0) == CASH_MICROS - 4_500_000
    assert floor.answers[taker].making == 5_500_000


def test_two_sellers_of_opposite_tokens_merge_full_sets():
    """An offer of Up and an offer of Down that add up to less than a pUSD match: sets end."""
    floor = Floor()
    floor.give_sets(0, 10)
    floor.give_sets(1, 10)
    floor.send(0, SELL, 52, 10, outcome=1)
    floor.send(1, SELL, 47, 10)
    assert floor.traders[0].balance(0) == CASH_MICROS - 10 * MICROS + 5_200_000
    got = 4_800_000 - fee(10 * MICROS, 480_000)
    assert floor.traders[1].balance(0) == CASH_MICROS - 10 * MICROS + got


def test_price_comes_before_time_and_time_before_size():
    """The best price fills first; at one price the oldest, whatever the outcome it came from."""
    floor = Floor()
    floor.give_sets(0, 100)
    late = floor.send(0, SELL, 51, 10)
    first = floor.send(0, SELL, 50, 10)
    second = floor.send(1, BUY, 50, 10, outcome=1)
    floor.send(2, BUY, 51, 25)
    makers = [name for name, _, _, liquidity in floor.fills() if liquidity == "M"]
    assert makers == [first, second, late]


def test_a_partly_filled_order_keeps_its_place():
    """What is left of the oldest order fills before a younger one at the same price."""
    floor = Floor()
    floor.give_sets(0, 100)
    first = floor.send(0, SELL, 50, 10)
    second = floor.send(0, SELL, 50, 10)
    floor.send(1, BUY, 50, 5)
    floor.send(2, BUY, 50, 10)
    makers = [(name, size) for name, _, size, liquidity in floor.fills() if liquidity == "M"]
    assert makers == [(first, 5 * MICROS), (first, 5 * MICROS), (second, 5 * MICROS)]


def test_both_displayed_books_are_one_liquidity():
    """A bid for Up at p is shown as an ask of Down at 1 − p, with the same size."""
    floor = Floor()
    floor.send(0, BUY, 45, 10)
    floor.send(1, BUY, 50, 7, outcome=1)
    up, down = floor.book.books
    assert up.bids == {45 * CENT: 10 * MICROS}
    assert up.asks == {50 * CENT: 7 * MICROS}
    assert down.bids == {50 * CENT: 7 * MICROS}
    assert down.asks == {55 * CENT: 10 * MICROS}


def test_orders_of_one_owner_do_not_meet():
    """What a new order would meet of its own owner's is cancelled before it acts."""
    floor = Floor()
    floor.give_sets(0, 100)
    own = floor.send(0, SELL, 49, 10)
    other = floor.send(1, BUY, 50, 10, outcome=1)
    floor.send(0, BUY, 50, 10)
    assert floor.venue.desk.orders[own].status == "CANCELED"
    assert [name for name, _, _, liquidity in floor.fills() if liquidity == "M"] == [other]


def test_own_orders_that_a_taker_does_not_reach_stay():
    """A taker that others fill whole leaves its owner's orders behind them alone."""
    floor = Floor()
    floor.give_sets(0, 100)
    own = floor.send(0, SELL, 50, 10)
    floor.send(1, BUY, 51, 10, outcome=1)
    taker = floor.send(0, BUY, 50, 10)
    assert floor.answers[taker].making == 4_900_000
    assert floor.venue.desk.orders[own].status == "LIVE"
    assert floor.book.books[0].asks == {50 * CENT: 10 * MICROS}


def test_a_killed_fok_leaves_own_orders_alone():
    """A FOK that others cannot fill whole is killed, and its owner's resting orders stay."""
    floor = Floor()
    floor.give_sets(0, 100)
    own = floor.send(0, SELL, 50, 10)
    floor.send(1, BUY, 50, 5, outcome=1)
    killed = floor.send(0, BUY, 50, 5, Tif.FOK)
    assert "fully filled or killed" in floor.answers[killed].error
    assert floor.venue.desk.orders[own].status == "LIVE"
    assert floor.book.books[0].asks == {50 * CENT: 15 * MICROS}


def test_shares_follow_from_whole_micros_of_the_buyer():
    """5 pUSD for Up at 0.557 want 8.9766; the buyer of Down gives 3.976633, which is 8.976598.

    The rest of the buyer's order is what his rest of pUSD buys: it ends with the last of it.
    """
    floor = Floor(tick=1_000)
    maker = floor.send(0, BUY, 44.3, 20, outcome=1)
    taker = floor.send(1, BUY, 55.7, 5, Tif.FAK)
    assert (floor.answers[taker].making, floor.answers[taker].taking) == (4_999_965, 8_976_598)
    desk = floor.venue.desk
    terms = desk.orders[maker].terms
    assert (terms.filled, terms.spent) == (8_976_598, 3_976_633)
    assert terms.left == (8_860_000 - 3_976_633) * MICROS // 443_000
    floor.send(1, BUY, 55.7, 100, Tif.FAK)
    assert (terms.spent, desk.orders[maker].status) == (8_860_000, "MATCHED")
    assert 0 <= 20 * MICROS - terms.filled <= 2
    assert floor.book.books[0].asks == {}
    assert floor.wealth() == 3 * CASH_MICROS


def test_a_fok_is_filled_whole_or_killed():
    """Depth short by a hundredth of a share kills it and leaves the book as it was."""
    floor = Floor()
    floor.send(0, BUY, 50, 10, outcome=1)
    killed = floor.send(1, BUY, 50, 5.01, Tif.FOK)
    assert "fully filled or killed" in floor.answers[killed].error
    assert floor.book.books[0].asks == {50 * CENT: 10 * MICROS}
    filled = floor.send(1, BUY, 50, 5, Tif.FOK)
    assert floor.answers[filled].taking == 10 * MICROS


def test_a_fak_takes_what_there_is():
    """What crosses fills, the rest is killed and nothing rests."""
    floor = Floor()
    floor.send(0, BUY, 50, 10, outcome=1)
    order = floor.send(1, BUY, 60, 50, Tif.FAK)
    assert (floor.answers[order].making, floor.answers[order].taking) == (5_000_000, 10_000_000)
    assert floor.book.books[0].bids == {}
    assert floor.traders[1].held[0] == 0


def test_the_hold_is_judged_again_on_the_book_of_its_end():
    """A held taker meets what rests 150 ms later; makers may leave meanwhile."""
    floor = Floor(VenueRules())
    maker = floor.send(0, BUY, 50, 10, outcome=1)
    taker = floor.send(1, BUY, 52, 10)
    assert taker not in floor.answers
    floor.venue.cancel(floor.traders[0], [maker])
    floor.send(2, BUY, 49, 10, outcome=1)
    floor.schedule.advance(START_MS + 151)
    assert floor.answers[taker].making == 5_100_000


def test_a_market_may_hold_takers_for_a_time_of_its_own():
    """A market's own taker delay replaces the venue's."""
    floor = Floor(VenueRules(), taker_delay_ms=0)
    floor.send(0, BUY, 50, 10, outcome=1)
    taker = floor.send(1, BUY, 52, 10)
    assert floor.answers[taker].status == "matched"


def test_a_seconds_delay_is_answered_at_once():
    """Who takes there hears "delayed" without amounts or trades; the fill comes seconds later."""
    floor = Floor(VenueRules(), seconds_delay=3)
    floor.send(0, BUY, 50, 10, outcome=1)
    taker = floor.send(1, BUY, 52, 10)
    answer = floor.answers[taker]
    assert (answer.status, answer.taking, answer.trade_ids) == ("delayed", 0, ())
    assert floor.venue.cancel(floor.traders[1], [taker])[taker].startswith("cannot cancel")
    floor.schedule.advance(START_MS + 3_001)
    order = floor.venue.desk.orders[taker]
    assert (order.status, order.terms.filled) == ("MATCHED", 10_000_000)
    assert floor.answers[taker] is answer


def test_post_only_is_refused_where_it_would_take():
    """Also where it would take from the other outcome."""
    floor = Floor()
    floor.send(0, BUY, 50, 10, outcome=1)
    order = floor.send(1, BUY, 50, 10, post_only=True)
    assert floor.answers[order].error == "invalid post-only order: order crosses book"


def test_the_grid_becomes_finer_near_the_edge():
    """A touch beyond 0.96 puts the market on the next finer tick."""
    floor = Floor()
    floor.send(0, BUY, 96, 10)
    assert floor.listing.tick == 10_000
    floor.send(0, BUY, 97, 10)
    assert floor.listing.tick == 1_000
    fine = floor.send(0, BUY, 97.1, 10)
    assert floor.answers[fine].status == "live"


def test_the_sides_of_a_full_set_add_up_to_the_micro():
    """A budget that buys 4-decimal sizes on a fine grid: what one rounds down the other pays."""
    floor = Floor(tick=100)
    floor.send(0, BUY, 33.33, 100, outcome=1)
    floor.send(1, BUY, 66.67, 7.77, Tif.FAK)
    (taker, maker) = floor.venue.trades.values()
    assert taker.fill.size % CENT
    assert taker.fill.notional + maker.fill.notional == taker.fill.size
    assert floor.wealth() == 3 * CASH_MICROS


def test_a_good_till_date_order_leaves_the_book_a_minute_early():
    """Expiry empties its level."""
    floor = Floor()
    floor.send(0, BUY, 45, 10, Tif.GTD, expiration_s=START_MS // 1_000 + 200)
    floor.schedule.advance(START_MS + 139_999)
    assert floor.book.books[0].bids
    floor.schedule.advance(START_MS + 140_001)
    assert not floor.book.books[0].bids


def test_resolution_pays_full_sets_exactly_once():
    """After it, pUSD is all there is, and as much of it as before."""
    floor = Floor()
    floor.send(0, BUY, 45, 10, outcome=1)
    floor.send(1, BUY, 57, 20)
    floor.schedule.advance(END_MS)
    assert not floor.venue.desk.open
    assert floor.wealth() == 3 * CASH_MICROS
    assert all(not account.balance(token) for account in floor.accounts for token in floor.tokens)


@pytest.mark.parametrize("retry_ppm", [0, MICROS])
def test_a_ghost_fill_is_reversed_to_the_micro(retry_ppm: int):
    """FAILED gives both sides back what they gave, fee included; the order does not come back."""
    floor = Floor(
        VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=MICROS, retry_ppm=retry_ppm)),
    )
    floor.send(0, BUY, 45, 10, outcome=1)
    taker = floor.send(1, BUY, 57, 10)
    buyer = floor.traders[1]
    assert buyer.balance(floor.tokens[0]) == 10 * MICROS
    assert buyer.available(floor.tokens[0]) == 0
    floor.schedule.advance(START_MS + 4_001)
    assert [t.status for t in floor.venue.trades.values()] == ["FAILED", "FAILED"]
    assert [trader.balance(0) for trader in floor.traders] == [CASH_MICROS] * 3
    assert buyer.balance(floor.tokens[0]) == 0
    assert not any(buyer.held.values())
    assert floor.venue.fees == 0
    assert floor.venue.desk.orders[taker].terms.filled == 10 * MICROS


def test_fills_of_one_order_fail_one_by_one():
    """Each trade draws its own fate: some of an order's fills fail while others confirm."""
    floor = Floor(VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=500_000)))
    for _ in range(12):
        floor.send(0, BUY, 45, 5, outcome=1)
    floor.send(1, BUY, 57, 60)
    floor.schedule.advance(START_MS + 6_000)
    ends = {t.status for t in floor.venue.trades.values() if t.order.terms.outcome == 0}
    assert ends == {"FAILED", "CONFIRMED"}
    assert floor.wealth() == 3 * CASH_MICROS


def test_a_resolution_ends_what_is_still_settling():
    """A trade that was to fail after the payout fails before it; nothing stays held."""
    floor = Floor(VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=500_000)))
    floor.schedule.advance(END_MS - 100)
    for _ in range(12):
        floor.send(0, BUY, 45, 5, outcome=1)
    floor.send(1, BUY, 57, 60)
    floor.schedule.advance(END_MS + 10_000)
    assert floor.wealth() == 3 * CASH_MICROS
    assert not any(any(account.held.values()) for account in floor.accounts)


def test_what_was_bought_can_be_sold_when_it_is_mined():
    """Where receipts wait, selling at once is refused for balance; after MINED it is not."""
    floor = Floor(VenueRules(taker_delay_ms=0, fates=Fates(receipts_wait=True)))
    floor.send(0, BUY, 45, 10, outcome=1)
    floor.send(1, BUY, 57, 10)
    early = floor.send(1, SELL, 60, 10)
    assert floor.answers[early].error.startswith("not enough balance / allowance")
    floor.schedule.advance(START_MS + 2_001)
    late = floor.send(1, SELL, 60, 10)
    assert floor.answers[late].status == "live"


def test_makers_share_the_takers_fees():
    """A fifth of a market's taker fees is its makers', by what they gave; paid at midnight."""
    floor = Floor(VenueRules(taker_delay_ms=0, pays_rebates=True), end_ms=START_MS + 90_000_000)
    floor.send(0, BUY, 50, 1_500, outcome=1)
    floor.send(2, BUY, 50, 500, outcome=1)
    floor.send(1, BUY, 50, 1_600)
    fees = floor.venue.fees
    assert floor.venue.rebates.earned(floor.traders[0]) == {
        floor.listing.market: fees * 2 // 10 * 15 // 16
    }
    floor.schedule.advance(START_MS + 86_400_000)
    assert floor.venue.rebates.paid == fees * 2 // 10 * 15 // 16
    assert floor.wealth() == 3 * CASH_MICROS
