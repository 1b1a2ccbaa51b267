"""What becomes of an order at the exchange, told without sockets."""

from __future__ import annotations

import pytest
from exchange_support import CASH_MICROS, END_MS, Hand

from engine.exchange.accounts import CASH
from engine.exchange.orders import Answer
from engine.exchange.rules import VenueRules
from engine.math.fees import CURVE_V2, fee_micros
from engine.wire.codes import Side, Tif

NO_DELAY = VenueRules(taker_delay_ms=0)


def accepted(answer: Answer | None) -> Answer:
    """Return an answer that came at once and is no refusal."""
    assert answer is not None
    assert answer.error == ""
    return answer


def refused(answer: Answer | None) -> str:
    """Return the text of a refusal that came at once."""
    assert answer is not None
    assert answer.error
    return answer.error


def test_marketable_order_waits_for_the_taker_delay():
    """A crossing order is judged on arrival and filled from the book in force 150 ms later."""
    hand = Hand()
    hand.show()
    assert hand.submit(Side.BUY, "0.51", "40") is None
    hand.show(asks=(("0.51", "25"), ("0.52", "60")), after_ms=100)
    hand.wait(49)
    assert hand.answers == []
    hand.wait(2)
    (answer,) = hand.answers
    assert (answer.status, answer.taking, answer.making) == ("live", 25_000_000, 12_750_000)


def test_held_order_cannot_be_cancelled():
    """During the taker delay a cancel is refused in the venue's words."""
    hand = Hand()
    hand.show()
    hand.submit(Side.BUY, "0.51", "40")
    (order_hash,) = hand.venue.desk.open
    assert hand.venue.cancel(hand.account, [order_hash]) == {
        order_hash: "cannot cancel because the order is in pending/delayed status"
    }


def test_taker_pays_each_level_and_its_fee():
    """A sweep costs every level's own price and fee, in pUSD, and gives exactly the shares."""
    hand = Hand(NO_DELAY)
    hand.show()
    accepted(hand.submit(Side.BUY, "0.51", "60"))
    fees = sum(fee_micros(30_000_000, price, CURVE_V2, 70_000, 1) for price in (500_000, 510_000))
    spent = 15_000_000 + 15_300_000
    assert hand.account.balance(CASH) == CASH_MICROS - spent - fees
    assert hand.account.balance(hand.listing.market.tokens[0]) == 60_000_000
    assert hand.listing.last_trade_price == "0.51"


def test_resting_order_fills_at_its_limit_without_fee():
    """A resting bid fills at its own price when the ask falls through it, and pays no fee."""
    hand = Hand()
    hand.show()
    assert accepted(hand.submit(Side.BUY, "0.49", "20", post_only=True)).status == "live"
    assert hand.account.held[CASH] == 9_800_000
    hand.show(asks=(("0.46", "15"), ("0.50", "30")))
    assert hand.account.balance(CASH) == CASH_MICROS - 15 * 490_000
    assert hand.account.held[CASH] == 5 * 490_000
    assert [event for event, _, _ in hand.journal.orders] == ["PLACEMENT", "UPDATE"]


def test_both_tokens_share_one_liquidity():
    """What a buyer of Up took is gone for a seller of Down: they are the same offers."""
    hand = Hand(NO_DELAY)
    hand.show()
    hand.account.add(hand.listing.market.tokens[1], 100_000_000)
    accepted(hand.submit(Side.BUY, "0.50", "30"))
    text = refused(hand.submit(Side.SELL, "0.50", "30", Tif.FAK, outcome=1))
    assert text.startswith("no orders found to match with FAK order")
    hand.show(asks=(("0.51", "40"),))
    hand.show()
    accepted(hand.submit(Side.SELL, "0.50", "30", Tif.FAK, outcome=1))


def test_market_buy_spends_its_budget():
    """A FAK buy targets pUSD: a better price buys more shares, to four decimals."""
    hand = Hand(NO_DELAY)
    hand.show()
    answer = accepted(hand.submit(Side.BUY, "0.53", "10", Tif.FAK))
    assert (answer.status, answer.making, answer.taking) == ("matched", 10_000_000, 20_000_000)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (("0.505", "10", Tif.GTC), "breaks minimum tick size rule: 0.01"),
        (("0.49", "4", Tif.GTC), "Size (4) lower than the minimum: 5"),
        (("0.49", "3000", Tif.GTC), "not enough balance / allowance: the balance is not enough"),
        (("0.52", "80", Tif.FOK), "order couldn't be fully filled. FOK orders are fully filled"),
        (("0.40", "10", Tif.FAK), "no orders found to match with FAK order."),
    ],
)
def test_refusals_use_the_venues_words(terms: tuple[str, str, Tif], text: str):
    """Every reason to refuse an order has the text by which clients know it."""
    hand = Hand(NO_DELAY)
    hand.show()
    price, size, tif = terms
    assert text in refused(hand.submit(Side.BUY, price, size, tif))
    assert hand.account.held.get(CASH, 0) == 0


def test_post_only_never_takes():
    """A post-only order that would cross is refused, and FOK or FAK cannot be post-only."""
    hand = Hand(NO_DELAY)
    hand.show()
    crossing = hand.submit(Side.BUY, "0.50", "10", post_only=True)
    assert refused(crossing) == "invalid post-only order: order crosses book"
    wrong = hand.submit(Side.BUY, "0.50", "10", Tif.FAK, post_only=True)
    assert refused(wrong).startswith("invalid post-only order: only GTC and GTD")


def test_market_without_a_book_is_not_ready():
    """Before the first book of a market nothing can be judged."""
    hand = Hand(NO_DELAY)
    text = refused(hand.submit(Side.BUY, "0.50", "10"))
    assert text == "the market is not yet ready to process new orders"


def test_good_till_date_needs_three_minutes_and_ends_one_early():
    """A GTD order needs 180 s of life and leaves the book 60 s before its stated time."""
    hand = Hand(NO_DELAY)
    hand.show()
    now_s = hand.schedule.now_ms // 1_000
    soon = hand.submit(Side.BUY, "0.45", "10", Tif.GTD, expiration_s=now_s + 100)
    assert refused(soon) == "invalid expiration"
    accepted(hand.submit(Side.BUY, "0.45", "10", Tif.GTD, expiration_s=now_s + 200))
    hand.schedule.advance((now_s + 140) * 1_000)
    assert not hand.venue.desk.open
    assert hand.account.held[CASH] == 0


def test_balance_is_judged_again_after_the_hold():
    """A budget that met a better price owes a higher fee: short of it, the order fails whole."""
    hand = Hand()
    hand.account.add(CASH, 10_100_000 - CASH_MICROS)
    hand.show(asks=(("0.90", "30"),))
    assert hand.submit(Side.BUY, "0.90", "10", Tif.FAK) is None
    hand.show(asks=(("0.50", "30"),))
    hand.wait(200)
    (answer,) = hand.answers
    assert answer.error == (
        "not enough balance / allowance: the balance is not enough -> "
        "balance: 10100000, order amount: 10350000"
    )
    assert hand.account.held[CASH] == 0
    assert hand.account.balance(CASH) == 10_100_000


def test_resolution_cancels_and_pays():
    """At the end of its window a market cancels what is open and pays a winner's share 1 pUSD."""
    hand = Hand(NO_DELAY)
    hand.show()
    accepted(hand.submit(Side.BUY, "0.50", "10"))
    accepted(hand.submit(Side.BUY, "0.40", "10"))
    before = hand.account.balance(CASH)
    hand.schedule.advance(END_MS)
    assert hand.account.balance(CASH) == before + 10_000_000
    assert hand.account.held[CASH] == 0
    assert hand.journal.orders[-1][2] == "CANCELED_MARKET_RESOLVED"
    assert "does not exist" in refused(hand.submit(Side.BUY, "0.40", "10"))


def test_trades_settle_step_by_step():
    """A trade is MATCHED at once, MINED two and CONFIRMED five venue seconds later."""
    hand = Hand(NO_DELAY)
    hand.show()
    accepted(hand.submit(Side.BUY, "0.50", "10"))
    hand.wait(2_000)
    assert [status for _, status in hand.journal.trades] == ["MATCHED", "MINED"]
    hand.wait(3_000)
    assert [status for _, status in hand.journal.trades] == ["MATCHED", "MINED", "CONFIRMED"]


def test_finer_prices_refine_the_tick():
    """The first price off the grid moves the market to the finer tick, for orders too."""
    hand = Hand(NO_DELAY)
    hand.show()
    hand.show(bids=(("0.972", "100"),), asks=(("0.98", "50"),))
    assert hand.listing.tick == 1_000
    assert accepted(hand.submit(Side.BUY, "0.971", "10")).status == "live"


def test_a_duplicate_is_refused_by_its_hash():
    """The same signed order is accepted once."""
    hand = Hand(NO_DELAY)
    hand.show()
    accepted(hand.submit(Side.BUY, "0.45", "10"))
    hand._hashes -= 1
    assert refused(hand.submit(Side.BUY, "0.45", "10")).endswith("is invalid. Duplicated.")


@pytest.mark.parametrize(
    ("side", "amounts", "touch", "status"),
    [
        (Side.BUY, (1_000_000, 14_285_700), "0.07", "matched"),
        (Side.BUY, (1_000_000, 14_285_800), "0.07", ""),
        (Side.BUY, (1_000_000, 14_285_800), "0.06", "matched"),
        (Side.BUY, (10_000_000, 19_230_700), "0.52", "matched"),
        (Side.BUY, (10_000_000, 19_230_800), "0.52", ""),
        (Side.BUY, (10_000_000, 17_543_900), "0.57", ""),
        (Side.BUY, (10_000_000, 17_543_800), "0.57", "matched"),
        (Side.SELL, (14_290_000, 1_000_300), "0.07", "matched"),
        (Side.SELL, (14_290_000, 1_000_400), "0.07", ""),
        (Side.SELL, (14_290_000, 1_000_400), "0.08", "matched"),
    ],
)
@pytest.mark.parametrize("tif", [Tif.FAK, Tif.FOK])
def test_an_immediate_order_reaches_what_its_amounts_cross(
    side: Side, amounts: tuple[int, int], touch: str, status: str, tif: Tif
):
    """One unit of rounding under the touch, or over it, and the order meets nothing there."""
    hand = Hand(NO_DELAY)
    hand.account.add(hand.listing.market.tokens[0], 100_000_000)
    level = ((touch, "1000"),)
    if side == Side.BUY:
        hand.show((("0.01", "5"),), level)
    else:
        hand.show(level, (("0.99", "5"),))
    answer = hand.submit(side, touch, "1", tif, amounts=amounts)
    assert answer is not None
    assert answer.status == status
    assert bool(answer.error) == (not status)


def test_an_own_order_that_is_not_reached_stays():
    """On books that are not ours too, a taker cancels only those of its owner that it reaches."""
    hand = Hand(NO_DELAY)
    hand.account.add(hand.listing.market.tokens[0], 100_000_000)
    hand.show()
    accepted(hand.submit(Side.SELL, "0.52", "10"))
    accepted(hand.submit(Side.SELL, "0.54", "10"))
    reached, behind = hand.venue.desk.orders.values()
    accepted(hand.submit(Side.BUY, "0.50", "10"))
    refused(hand.submit(Side.BUY, "0.54", "500", Tif.FOK))
    assert (reached.status, behind.status) == ("LIVE", "LIVE")
    accepted(hand.submit(Side.BUY, "0.53", "100"))
    assert (reached.status, behind.status) == ("CANCELED", "LIVE")
