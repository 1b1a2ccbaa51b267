"""The crowd of the `agents` mode: a market maker, an informed trader, noise. All from one seed.

```
each second   the price moves and is observed
   + 100 ms   the maker quotes around what the price was two seconds ago
   + 350 ms   the informed trader takes what is mispriced against the price of now
   + 0…999 ms noise: buys, sells, rests, cancels, for reasons of its own
```
Every trader decides from the displayed books and the reference prices alone, through a `Seat`.
Without orders from outside, a seed gives the same day again, event by event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from engine.exchange.btc_path import SIGMA, up_probability
from engine.exchange.oracle import SECOND_MS, SYMBOL, Oracle
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.schedule import Phase
from engine.exchange.seat import CENT, Seat
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.exchange.windows import Window, Windows
from engine.wire.codes import Side

CASH = 1_000_000 * MICROS
NOISE_TRADERS = 4


class View(NamedTuple):
    """What a trader believes of a window. fair: of Up, 0…1."""

    window: Window
    fair: float


class MarketMaker:
    """Quotes both sides of every window, one ladder each, leaning against what he holds."""

    LEVELS = 3
    HALF_SPREAD = 12_000  # micros
    SIZES = (20 * MICROS, 60 * MICROS)
    SKEW = 40  # micros of price per share held
    SKEW_MAX = 30_000

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._quotes: dict[tuple[Window, int, int], str] = {}  # by Up's side and price

    def act(self, views: list[View]) -> None:
        """Move the quotes: cancel what is wanted no more, add what is missing."""
        wanted = {key: None for view in views for key in self._ladder(view)}
        for key, order_hash in list(self._quotes.items()):
            if key not in wanted or not self._seat.is_open(order_hash):
                self._seat.cancel(order_hash)
                del self._quotes[key]
        for key in wanted:
            if key not in self._quotes:
                self._quotes[key] = self._place(*key)

    def _ladder(self, view: View) -> list[tuple[Window, int, int]]:
        window, listing = view.window, view.window.listing
        tick, account = listing.tick, self._seat.account
        up, down = (account.balance(token) for token in listing.market.tokens)
        skew = min(max((up - down) // MICROS * self.SKEW, -self.SKEW_MAX), self.SKEW_MAX)
        middle = round(view.fair * MICROS) - skew
        bid = (middle - self.HALF_SPREAD) // tick * tick
        ask = -(-(middle + self.HALF_SPREAD) // tick) * tick
        step = max(tick, CENT)
        prices = [(Side.BUY, bid - n * step) for n in range(self.LEVELS)]
        prices += [(Side.SELL, ask + n * step) for n in range(self.LEVELS)]
        return [(window, side, p) for side, p in prices if tick <= p <= MICROS - tick]

    def _place(self, window: Window, side: int, price: int) -> str:
        """Sell what he has rather than buy its complement."""
        seat, listing = self._seat, window.listing
        size = seat.chance.randint(*self.SIZES) // CENT * CENT
        outcome, other = (0, 1) if side == Side.SELL else (1, 0)  # the token he would sell
        own_price = price if outcome == 0 else MICROS - price
        if seat.owns(listing, outcome) >= size:
            return seat.quote(listing, outcome, Side.SELL, own_price, size, post_only=True)
        return seat.quote(listing, other, Side.BUY, MICROS - own_price, size, post_only=True)


class Informed:
    """Takes a touch that is wrong by more than the fee and his margin."""

    EDGE = 0.012
    SHARE_OF_TIMES = 0.4
    BUDGET = 60 * MICROS

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def act(self, views: list[View]) -> None:
        """Look at every window, some of the times."""
        for window, fair in views:
            if self._seat.chance.random() > self.SHARE_OF_TIMES:
                continue
            listing = window.listing
            for outcome, value in ((0, fair), (1, 1.0 - fair)):
                ask = listing.pool.books[outcome].best_ask
                if ask == MICROS:
                    continue
                price = ask / MICROS
                fee = listing.market.fee.rate_ppm / MICROS * price * (1.0 - price)
                if value - price - fee > self.EDGE:
                    self._seat.take(listing, outcome, Side.BUY, ask, self.BUDGET)


class Noise:
    """Trades for reasons of its own."""

    ACTS_PER_S = 0.12
    BUDGETS = (2 * MICROS, 40 * MICROS)
    RESTING = (5 * MICROS, 30 * MICROS)

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._resting: deque[str] = deque()

    def next_ms(self) -> int | None:
        """Return when in this second it acts, or None."""
        chance = self._seat.chance
        return chance.randrange(SECOND_MS) if chance.random() < self.ACTS_PER_S else None

    def act(self, views: list[View]) -> None:
        """Do one thing in one window."""
        if not views:
            return
        chance = self._seat.chance
        listing = chance.choice(views).window.listing
        outcome, what, tick = chance.randint(0, 1), chance.random(), listing.tick
        book = listing.pool.books[outcome]
        if what < 0.55:
            limit = min(book.best_ask + 2 * tick, MICROS - tick)
            budget = chance.randint(*self.BUDGETS)
            if budget * MICROS // limit >= listing.market.min_size:
                self._seat.take(listing, outcome, Side.BUY, limit, budget)
        elif what < 0.75:
            size = self._seat.owns(listing, outcome)
            if size >= listing.market.min_size:
                limit = max(book.best_bid - 2 * tick, tick)
                self._seat.take(listing, outcome, Side.SELL, limit, size)
        elif what < 0.92:
            price = book.best_bid - chance.randint(-1, 4) * tick
            size = chance.randint(*self.RESTING) // CENT * CENT
            if tick <= price <= MICROS - tick:
                self._resting.append(
                    self._seat.quote(listing, outcome, Side.BUY, price, size, post_only=False)
                )
        elif self._resting:
            self._seat.cancel(self._resting.popleft())


class Crowd:
    """All agents of a series of windows; acts whenever the oracle has a price."""

    __slots__ = ("_informed", "_maker", "_noise", "_prices", "_recent", "_schedule", "_windows")

    MAKER_LAG_S = 2
    MAKER_MS, INFORMED_MS = 100, 350  # after the price

    def __init__(
        self, venue: Venue, prices: ReferencePrices, windows: Windows, oracle: Oracle, seed: str
    ) -> None:
        self._windows = windows
        self._prices = prices
        self._schedule = venue.schedule
        self._recent: deque[int] = deque(maxlen=self.MAKER_LAG_S + 1)
        self._maker = MarketMaker(Seat(venue, "maker", seed, CASH))
        self._informed = Informed(Seat(venue, "informed", seed, CASH))
        self._noise = [
            Noise(Seat(venue, f"noise {number}", seed, CASH)) for number in range(NOISE_TRADERS)
        ]
        oracle.on_price = self._second

    def _second(self, price: int) -> None:
        """Let everybody act on a price in his own time."""
        self._recent.append(price)
        known = self._recent[0]
        self._later(self.MAKER_MS, lambda: self._maker.act(self._views(known)))
        self._later(self.INFORMED_MS, lambda: self._informed.act(self._views(price)))
        for noise in self._noise:
            after_ms = noise.next_ms()
            if after_ms is not None:
                self._later(after_ms, partial(self._disturb, noise))

    def _disturb(self, noise: Noise) -> None:
        noise.act(self._views(self._recent[-1]))

    def _later(self, after_ms: int, action: Callable[[], None]) -> None:
        self._schedule.at(self._schedule.now_ms + after_ms, Phase.ACT, action)

    def _views(self, price: int) -> list[View]:
        """Return what a trader who knows `price` believes of every window that trades."""
        now_ms = self._schedule.now_ms
        return [View(w, self._fair(w, price, now_ms)) for w in self._windows.trading]

    def _fair(self, window: Window, price: int, now_ms: int) -> float:
        market = window.listing.market
        if not window.strike:
            return 0.5
        left_s = (market.end_ms - now_ms) / SECOND_MS
        passed_s = int(60 - left_s)
        mean = None
        if passed_s > 0:
            observed = self._prices.mean(SYMBOL, passed_s)
            mean = float(observed.value) if observed is not None else None
        fair = up_probability(float(price), float(window.strike), left_s, SIGMA, mean)
        return min(max(fair, 0.005), 0.995)
