"""The exchange itself: listed markets, accounts, the order desk. No sockets, no clock of its own.

One instance serves every use: behind the servers, in a backtest, in a simulation. Whoever drives it
owns the schedule and shows it books; whoever wants to know implements `Listener`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.exchange.accounts import Account, Accounts
from engine.exchange.books import Change, Levels
from engine.exchange.desk import OrderDesk
from engine.exchange.events import Listener
from engine.exchange.listing import EDGE, Listing
from engine.exchange.market import Market
from engine.exchange.matching import Matcher
from engine.exchange.orders import Reply, Submission, Trade, VenueOrder
from engine.exchange.pool import Pool
from engine.exchange.rebates import Rebates
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.settlement import Settlement
from engine.exchange.texts import MICROS
from engine.exchange.truth import TruthLedger
from engine.wire.codes import MarketStatus

Shown = tuple[int, Levels, Levels]  # outcome, bids, asks


class Venue:
    """All markets and all orders. `find` gives the listing and outcome of a token."""

    __slots__ = (
        "_by_token",
        "_listener",
        "_new_pool",
        "_settlement",
        "_unresolved",
        "accounts",
        "desk",
        "listings",
        "refuses",
        "rules",
        "schedule",
        "truth",
    )

    def __init__(
        self,
        rules: VenueRules,
        schedule: Schedule,
        accounts: Accounts,
        truth: TruthLedger,
        listener: Listener,
        seed: str = "",
        new_pool: Callable[[], Matcher] = Pool,
    ) -> None:
        """seed: ids and fates follow from it.  new_pool: what orders of a market meet."""
        self.rules = rules
        self.schedule = schedule
        self.accounts = accounts
        self.truth = truth
        self._listener = listener
        self._settlement = Settlement(rules, schedule, truth, listener, seed)
        self.desk = OrderDesk(rules, schedule, self._settlement, truth, listener, self._announce)
        self._new_pool = new_pool
        self.refuses: Callable[[Submission], str] = _never  # why the venue won't have an order
        self.listings: dict[str, Listing] = {}  # by condition id
        self._by_token: dict[int, tuple[Listing, int]] = {}
        self._unresolved: list[tuple[Listing, tuple[int, int]]] | None = None  # results held back

    @property
    def trades(self) -> dict[str, Trade]:
        """Every trade of our orders, by id, in order of matching."""
        return self._settlement.trades

    @property
    def rebates(self) -> Rebates:
        """What makers have earned."""
        return self._settlement.rebates

    @property
    def fees(self) -> int:
        """Taker fees taken so far, in micros."""
        return self._settlement.fees

    def open_market(self, market: Market) -> Listing:
        """List a market; its window's end closes it, and resolves it if its payouts are known."""
        listing = Listing(market, self._new_pool())
        self.listings[market.condition_id] = listing
        for outcome, token in enumerate(market.tokens):
            self._by_token[token] = (listing, outcome)
            listing.pool.books[outcome].time_ms = self.schedule.now_ms  # an empty book has a time
        self.schedule.at(market.end_ms, Phase.EXPIRE, lambda: self._end_window(listing))
        self._listener.market_listed(listing)
        return listing

    def find(self, token: int) -> tuple[Listing, int] | None:
        """Return the listing and outcome number of a token, or None."""
        return self._by_token.get(token)

    def show(self, listing: Listing, books: Iterable[Shown]) -> None:
        """Put new books on display, all at once, then let resting orders fill from them."""
        if not listing.is_open:
            return
        changed: list[tuple[int, list[Change]]] = []
        first: list[int] = []
        for outcome, bids, asks in books:
            book = listing.pool.books[outcome]
            was_known = book.known
            changes = book.replace(bids, asks, self.schedule.now_ms)
            if not was_known:
                first.append(outcome)
            if changes:
                changed.append((outcome, changes))
        self._refine_tick(listing, changed)
        if first:
            self._listener.books_replaced(listing, first)
        later = [entry for entry in changed if entry[0] not in first]
        if later:
            self._listener.books_changed(listing, later)
        for outcome, _ in changed:
            self.desk.fill_resting(listing.pool.refresh(outcome))

    def show_trade(self, listing: Listing, outcome: int, side: int, price: int, size: int) -> None:
        """Show a public trade that is not ours: resting orders may have been next in the queue."""
        if listing.is_open:
            self.desk.fill_resting(listing.pool.printed(outcome, side, price, size))

    def submit(self, submission: Submission, reply: Reply) -> None:
        """Hand an order to the desk; `reply` is called once, now or after the taker delay."""
        refusal = self.refuses(submission)
        if refusal:
            self.desk.refuse(submission, refusal, reply)
            return
        listing = self.listings[submission.market.condition_id]
        self.desk.submit(submission, listing, reply)

    def cancel(self, account: Account, hashes: Iterable[str]) -> dict[str, str]:
        """Cancel orders of an account's owner; return for each hash "" or why it was not."""
        out: dict[str, str] = {}
        for order_hash in dict.fromkeys(hashes):  # one named twice is cancelled once
            order = self.desk.orders.get(order_hash)
            if order is not None and order.submission.trader != account.owner:
                out[order_hash] = "Order not found or already canceled"
            else:
                out[order_hash] = self.desk.cancel(order_hash, self._listing_of)
        return out

    def orders_of(
        self, account: Account, wanted: Callable[[VenueOrder], bool] | None = None
    ) -> list[VenueOrder]:
        """Return the open orders of an account's owner, from all its wallets, oldest first."""
        mine = (o for o in self.desk.open.values() if o.submission.trader == account.owner)
        return [order for order in mine if wanted is None or wanted(order)]

    def set_tick(self, listing: Listing, tick: int) -> None:
        """Put a market on another grid; what rests stays where it is."""
        old_tick, listing.tick = listing.tick, tick
        if tick != old_tick:
            self._listener.tick_changed(listing, old_tick)

    def close(self, listing: Listing) -> None:
        """End trading in a market: cancel its orders, empty its books; harmless if ended."""
        if not listing.is_open:
            return
        listing.status = MarketStatus.CLOSED
        self.desk.close_market(listing)
        for book in listing.pool.books:
            book.replace({}, {}, self.schedule.now_ms)
        self._listener.books_replaced(listing, [0, 1])

    def resolve(self, listing: Listing, payouts: tuple[int, int]) -> None:
        """End a market for good and pay its shares; harmless if it is resolved."""
        if listing.status == MarketStatus.RESOLVED:
            return
        self.close(listing)
        if self._unresolved is not None:
            self._unresolved.append((listing, payouts))
            return
        listing.status = MarketStatus.RESOLVED
        listing.payouts = payouts
        self._settlement.pay_out(listing, payouts, self.accounts)
        self._listener.market_resolved(listing)

    def hold_results(self) -> None:
        """Leave markets closed, without a result, until `release_results`."""
        self._unresolved = self._unresolved or []

    def release_results(self) -> None:
        """Resolve what was held back, and from now on at once."""
        held, self._unresolved = self._unresolved or [], None
        for listing, payouts in held:
            self.resolve(listing, payouts)

    def _end_window(self, listing: Listing) -> None:
        if listing.market.payouts is None:
            self.close(listing)
        else:
            self.resolve(listing, listing.market.payouts)

    def _announce(self, listing: Listing) -> None:
        """Tell what orders have changed in the displayed books, and follow with the tick."""
        changed = listing.pool.drain()
        if not changed:
            return
        for outcome, _ in changed:
            listing.pool.books[outcome].time_ms = self.schedule.now_ms
        self._listener.books_changed(listing, changed)
        _, up = changed[0]
        # Only a level there can bring the touch there.
        if any(not EDGE <= change.price <= MICROS - EDGE for change in up) and listing.is_near_edge:
            self.set_tick(listing, listing.next_tick)

    def _listing_of(self, order: VenueOrder) -> Listing:
        return self.listings[order.submission.market.condition_id]

    def _refine_tick(self, listing: Listing, changed: list[tuple[int, list[Change]]]) -> None:
        tick = listing.tick
        off_grid = [c.price for _, changes in changed for c in changes if c.price % tick]
        if off_grid:
            self.set_tick(listing, listing.finer_tick(off_grid))


def _never(_submission: Submission) -> str:
    return ""
