"""A storm of random operations on a central book, checked against what must hold whatever happens.

How: the storm plays clients of one market (every order type, both outcomes, both sides, cancels,
time, trades that fail) and after each operation looks at balances and books from outside. Who was
first in line is recomputed from the open orders alone, without the book's own queues.
"""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from central_support import CASH_MICROS, CENT, MICROS, Floor
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exchange.fates import Fates
from engine.exchange.orders import Status, VenueOrder
from engine.exchange.rules import VenueRules
from engine.wire.codes import Liquidity, Side, Tif

TRADERS = 5
SETS = 300
OPEN_MAX = 120
RULES = (
    VenueRules(taker_delay_ms=0),
    VenueRules(taker_delay_ms=150),
    VenueRules(taker_delay_ms=0, fates=Fates(fail_ppm=200_000, stuck_ppm=20_000)),
    VenueRules(
        taker_delay_ms=50,
        fates=Fates(fail_ppm=100_000, fail_ms_min=0, fail_ms_max=9_000, retry_ppm=300_000),
    ),
)


class Storm:
    """Random clients of one market. Everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rules = RULES[seed % len(RULES)]
        self.tick = self.chance.choice([10_000, 10_000, 1_000, 100])
        self.floor = Floor(self.rules, TRADERS, tick=self.tick)
        for trader in range(TRADERS):
            self.floor.give_sets(trader, SETS)
        self.wealth = self.floor.wealth()
        self.legs = 0

    def step(self) -> None:
        """Do one thing."""
        chance, venue = self.chance, self.floor.venue
        what = chance.random()
        crowded = len(venue.desk.open) > OPEN_MAX
        if what < 0.78 and not crowded:
            self._send()
        elif what < 0.92 or crowded:
            hashes = list(venue.desk.open)
            if hashes:
                order = venue.desk.open[chance.choice(hashes)]
                venue.cancel(order.submission.account, [order.order_hash])
        else:
            self.floor.schedule.advance(self.floor.schedule.now_ms + chance.randint(1, 60))

    def _send(self) -> None:
        chance, floor = self.chance, self.floor
        tif = chance.choices([Tif.GTC, Tif.GTD, Tif.FAK, Tif.FOK], [70, 5, 15, 10])[0]
        ticks = MICROS // self.tick
        middle = ticks // 2
        price = min(max(round(chance.gauss(middle, ticks / 12)), 1), ticks - 1) * self.tick
        side = chance.choice([Side.BUY, Side.SELL])
        expiration_s = floor.schedule.now_ms // 1_000 + 190 if tif == Tif.GTD else 0
        trader, outcome = chance.randrange(TRADERS), chance.randint(0, 1)
        resting = self._line() if not self.rules.taker_delay_ms else None
        name = floor.send(
            trader,
            side,
            price / CENT,
            chance.randint(500, 4_000) / 100,
            tif,
            outcome=outcome,
            post_only=tif in (Tif.GTC, Tif.GTD) and chance.random() < 0.3,
            expiration_s=expiration_s,
        )
        if resting is not None and not floor.answers[name].error:
            self.check_priority(floor.venue.desk.orders[name], resting)

    def _line(self) -> list[tuple[VenueOrder, int]]:
        """Return what rests, with its size, in order of arrival."""
        return [(order, order.terms.left) for order in self.floor.venue.desk.open.values()]

    def check_priority(self, taker: VenueOrder, line: list[tuple[VenueOrder, int]]) -> None:
        """The makers of a new order are the best-priced of the others, the older first, each whole
        before the next; and at their own price."""
        terms = taker.terms
        up_side, up_limit = up_terms(taker)
        sign = 1 if up_side == Side.BUY else -1
        able = [
            (up_terms(order)[1], left, order)
            for order, left in line
            if up_terms(order)[0] != up_side
            and sign * up_terms(order)[1] <= sign * up_limit
            and order.submission.account is not taker.submission.account
        ]
        able.sort(key=lambda entry: sign * entry[0])  # stable: arrival decides within a price
        trades = self.floor.venue.trades.values()
        got = [
            (trade.order, trade.fill)
            for trade in list(trades)[self.legs :]
            if trade.fill.liquidity == Liquidity.MAKER
        ]
        for (maker, fill), (_, left, expected) in zip(got, able, strict=False):
            assert maker is expected
            assert fill.price == maker.terms.limit
            assert fill.size == left or maker is got[-1][0]
        assert len(got) <= len(able)
        assert sum(fill.size for _, fill in got) == terms.filled
        self.legs = len(trades)

    def check(self) -> None:
        """What must hold between any two operations."""
        floor = self.floor
        assert floor.wealth() == self.wealth
        up, down = floor.book.books
        assert not up.bids or not up.asks or up.best_bid < up.best_ask
        assert up.bids == {MICROS - price: size for price, size in down.asks.items()}
        assert up.asks == {MICROS - price: size for price, size in down.bids.items()}
        for account in floor.traders:
            for asset, held in account.held.items():
                assert 0 <= held <= account.balance(asset)

    def check_book(self) -> None:
        """The displayed book is the sum of the live orders, and so are the holds without fates."""
        floor = self.floor
        shown: dict[tuple[int, int], int] = defaultdict(int)
        holds: dict[tuple[int, int], int] = defaultdict(int)
        for order in floor.venue.desk.open.values():
            if order.status is Status.LIVE:
                shown[up_terms(order)] += order.terms.left
            asset = 0 if order.terms.side == Side.BUY else order.token
            holds[id(order.submission.account), asset] += order.held
        up = floor.book.books[0]
        got = {(0, price): size for price, size in up.bids.items()}
        got |= {(1, price): size for price, size in up.asks.items()}
        assert got == shown
        if not self.rules.fates.holds_receipts:
            for account in floor.traders:
                for asset, held in account.held.items():
                    assert held == holds[id(account), asset]

    def check_fills(self) -> None:
        """No fill is through its order's limit, and nobody gets more than he asked for."""
        for trade in self.floor.venue.trades.values():
            terms, price = trade.order.terms, trade.fill.price
            assert price <= terms.limit if terms.side == Side.BUY else price >= terms.limit
            assert trade.fee == 0 or trade.fill.liquidity == Liquidity.TAKER
        self.check_settlement()
        for order in self.floor.venue.desk.orders.values():
            terms = order.terms
            assert terms.spent <= terms.budget if terms.budget else terms.filled <= terms.size

    def check_settlement(self) -> None:
        """Every trade is one that the contract's `matchOrders` would settle, to the micro.

        How: its arithmetic is repeated on the signed amounts alone. A maker takes floor(given ·
        taker amount / maker amount); no order gives more than is signed; the taker of a mint or a
        merge gets at least what his own ratio says. Source: ctf-exchange-v2, `Trading.sol`.
        """
        given_of: dict[str, int] = defaultdict(int)
        for trade in self.floor.venue.trades.values():
            fill, order = trade.fill, trade.order
            buys = order.terms.side == Side.BUY
            given, taken = (fill.notional, fill.size) if buys else (fill.size, fill.notional)
            signed = order.submission
            owed = given * signed.taker_amount // signed.maker_amount
            if fill.liquidity == Liquidity.MAKER:
                assert taken == owed
            else:
                assert taken >= owed or not trade.mirrored
            given_of[order.order_hash] += given
            assert given_of[order.order_hash] <= signed.maker_amount

    def end(self) -> None:
        """After the payout there is pUSD only, all of it, and nothing is held."""
        self.check_fills()
        floor = self.floor
        floor.schedule.advance(floor.listing.market.end_ms + 20_000)
        assert floor.wealth() == self.wealth
        assert not floor.venue.desk.open
        for account in floor.traders:
            assert not any(account.balance(token) for token in floor.tokens)
        if not self.rules.fates.stuck_ppm:
            assert not any(any(account.held.values()) for account in floor.traders)


def up_terms(order: VenueOrder) -> tuple[int, int]:
    """Return (side, price) as Up's book shows the order."""
    terms = order.terms
    if terms.outcome == 0:
        return terms.side, terms.limit
    return 1 - terms.side, MICROS - terms.limit


def rage(seed: int, operations: int) -> None:
    """Let one storm pass."""
    storm = Storm(seed)
    for number in range(operations):
        storm.step()
        storm.check()
        if number % 64 == 0:
            storm.check_book()
    storm.end()


@pytest.mark.parametrize("seed", range(8))
def test_everything_is_conserved_in_a_small_storm(seed: int) -> None:
    """Cash and shares to the micro, price-time priority, limits, and no crossed book at rest."""
    rage(seed, 1_200)


@given(st.integers(8, 1 << 30))
@settings(max_examples=12, deadline=None)
def test_everything_is_conserved_in_any_storm(seed: int) -> None:
    """The same for seeds nobody chose."""
    rage(seed, 250)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_everything_is_conserved_over_a_million_operations() -> None:
    """A hundred markets of ten thousand operations each, checked after every one."""
    for seed in range(100):
        rage(seed, 10_000)


def test_a_storm_is_its_seed() -> None:
    """Two storms of one seed make the same trades."""
    fills = []
    for _ in range(2):
        storm = Storm(3)
        for _ in range(400):
            storm.step()
        fills.append(storm.floor.fills())
    assert fills[0] == fills[1] != []


def test_the_starting_wealth_is_what_was_given() -> None:
    """The measure of conservation counts each trader's thousand pUSD, sets included."""
    assert Storm(0).wealth == TRADERS * CASH_MICROS
