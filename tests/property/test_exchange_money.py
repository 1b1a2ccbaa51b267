"""Whatever is sent to the exchange, in whatever order: nothing is made of nothing."""

from __future__ import annotations

from collections import defaultdict

from exchange_support import CASH_MICROS, END_MS, Hand
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.exchange.accounts import CASH
from engine.exchange.books import Levels
from engine.exchange.matching import Order
from engine.exchange.pool import Pool
from engine.exchange.rules import VenueRules
from engine.wire.codes import Liquidity, Side, Tif

CENT = 10_000
CENTS = st.integers(2, 98)
SIZES = st.integers(1, 30_000).map(lambda hundredths: hundredths * CENT)
LEVELS = st.dictionaries(CENTS.map(lambda cents: cents * CENT), SIZES, max_size=6)


class Trading(RuleBasedStateMachine):
    """Books, orders, cancels and time in any order, against a ledger kept from the trades alone."""

    def __init__(self) -> None:
        super().__init__()
        self.hand = Hand(VenueRules(taker_delay_ms=150))
        self.tokens = self.hand.listing.market.tokens
        self.gift = 500 * 1_000_000
        for token in self.tokens:
            self.hand.account.add(token, self.gift)
        self.displayed_max: dict[tuple[int, int], int] = defaultdict(int)  # Up's side, price

    @rule(bids=LEVELS, asks=LEVELS, after_ms=st.integers(1, 400))
    def show(self, bids: Levels, asks: Levels, after_ms: int) -> None:
        """Another book, crossed or empty as it may be."""
        hand = self.hand
        hand.schedule.advance(hand.schedule.now_ms + after_ms)
        books = {Side.BUY: bids, Side.SELL: asks}
        for key in list(self.displayed_max):
            if key[1] not in books[Side(key[0])]:
                del self.displayed_max[key]
        for side, levels in books.items():
            for price, size in levels.items():
                seen = self.displayed_max[side, price]
                self.displayed_max[side, price] = max(seen, size)
        down_bids = {1_000_000 - price: size for price, size in asks.items()}
        down_asks = {1_000_000 - price: size for price, size in bids.items()}
        hand.venue.show(hand.listing, [(0, bids, asks), (1, down_bids, down_asks)])

    @rule(
        side=st.sampled_from(Side),
        cents=CENTS,
        hundredths=st.integers(500, 100_000),
        tif=st.sampled_from([Tif.GTC, Tif.FOK, Tif.FAK]),
        outcome=st.integers(0, 1),
        post_only=st.booleans(),
    )
    def submit(
        self, side: Side, cents: int, hundredths: int, tif: Tif, outcome: int, post_only: bool
    ) -> None:
        """Any order of any type."""
        price, size = f"{cents / 100:.2f}", f"{hundredths / 100:.2f}"
        self.hand.submit(side, price, size, tif, outcome=outcome, post_only=post_only)

    @rule(index=st.integers(0, 50))
    def cancel(self, index: int) -> None:
        """Cancel any order there ever was."""
        hashes = list(self.hand.venue.desk.orders)
        if hashes:
            self.hand.venue.cancel(self.hand.account, [hashes[index % len(hashes)]])

    @rule(ms=st.integers(1, 6_000))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.hand.wait(ms)

    @invariant()
    def cash_and_shares_follow_from_the_trades(self) -> None:
        """Every balance is the opening one plus what the trades say, to the micro."""
        want = {CASH: CASH_MICROS, self.tokens[0]: self.gift, self.tokens[1]: self.gift}
        for trade in self.hand.venue.trades.values():
            fill, order = trade.fill, trade.order
            sign = 1 if order.terms.side == Side.BUY else -1
            want[order.token] += sign * fill.size
            want[CASH] -= sign * (fill.price * fill.size // 1_000_000) + trade.fee
        assert {asset: self.hand.account.balance(asset) for asset in want} == want

    @invariant()
    def holds_are_those_of_open_orders(self) -> None:
        """What is held is the sum over open orders, and never exceeds what is owned."""
        want: dict[int, int] = defaultdict(int)
        for order in self.hand.venue.desk.open.values():
            want[CASH if order.terms.side == Side.BUY else order.token] += order.held
        for asset in (CASH, *self.tokens):
            assert self.hand.account.held.get(asset, 0) == want[asset]
            assert 0 <= want[asset] <= self.hand.account.balance(asset)

    @invariant()
    def no_fill_is_worse_than_its_limit(self) -> None:
        """Takers pay at most their limit, makers exactly theirs and no fee; nobody overfills."""
        for trade in self.hand.venue.trades.values():
            terms, price = trade.order.terms, trade.fill.price
            if trade.fill.liquidity == Liquidity.MAKER:
                assert (price, trade.fee) == (terms.limit, 0)
            elif terms.side == Side.BUY:
                assert price <= terms.limit
            else:
                assert price >= terms.limit
        for order in self.hand.venue.desk.orders.values():
            if order.terms.budget:
                assert order.terms.spent <= order.terms.budget
            else:
                assert order.terms.filled <= order.terms.size

    @invariant()
    def no_level_gives_more_than_it_showed(self) -> None:
        """Between appearing and disappearing, a price gives at most its largest displayed size."""
        for side in Side:
            for cents in range(1, 100):
                taken = self.hand.listing.pool.taken(0, side, cents * CENT)
                assert taken <= self.displayed_max.get((side, cents * CENT), 0)

    def teardown(self) -> None:
        """Resolved, the account has pUSD only: all that is left, and 1 for each winning share."""
        account = self.hand.account
        up = account.balance(self.tokens[0])
        before = account.balance(CASH)
        trades = len(self.hand.venue.trades)
        self.hand.schedule.advance(END_MS)
        assert [account.balance(token) for token in self.tokens] == [0, 0]
        if len(self.hand.venue.trades) == trades:
            assert account.balance(CASH) == before + up
        assert not any(account.held.values())
        assert not self.hand.venue.desk.open


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(asks=LEVELS, cents=CENTS, size=SIZES, budget_cents=st.integers(100, 100_000))
def test_a_budget_is_never_overspent_and_used_while_it_can_be(
    asks: Levels, cents: int, size: int, budget_cents: int
) -> None:
    """A market buy ends because its money or the depth is gone, never before and never beyond."""
    pool = Pool()
    pool.books[0].replace({}, asks, 0)
    budget = budget_cents * CENT
    order = Order("x", 0, Side.BUY, cents * CENT, size, Tif.FAK, budget=budget)
    fills, complete, _ = pool.sweep(order)
    spent = sum(fill.notional for fill in fills)
    depth = {price: shown for price, shown in asks.items() if price <= order.limit}
    assert spent <= budget
    assert [fill.price for fill in fills] == sorted(fill.price for fill in fills)
    if complete:
        assert budget - spent <= order.limit * 100 // 1_000_000 + len(fills) + 1
    else:
        assert {fill.price: fill.size for fill in fills} == depth
