"""The order desk: accepts, holds, fills, rests, cancels. Everything an order can live through.

The desk owns the money side of an order: what it holds of its account while it may still fill.
The market's matcher decides what it gets, `Settlement` moves cash and shares.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from engine.exchange import rules as refusals
from engine.exchange.accounts import CASH
from engine.exchange.events import Listener, OrderEvent
from engine.exchange.listing import Listing
from engine.exchange.market import OUTCOMES
from engine.exchange.matching import Fill, Order, Sweep, Verdict
from engine.exchange.orders import HOUSE, Answer, Reply, Status, Submission, Trade, VenueOrder
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.settlement import Settlement
from engine.exchange.texts import MICROS, decimal_text
from engine.exchange.truth import TruthLedger
from engine.math.units import notional_micros_ceil
from engine.wire.codes import Side, Tif

CANNOT_CANCEL_HELD = "cannot cancel because the order is in pending/delayed status"
CANCEL_REFUSALS = {
    Status.MATCHED: "Order already matched",
    Status.DELAYED: CANNOT_CANCEL_HELD,
}


class OrderDesk:
    """Orders by hash: those that may still fill, in `open` too, in order of arrival, and the last
    `VenueRules.history_max` that have ended. What is older is not known here any more."""

    __slots__ = (
        "_announce",
        "_ended",
        "_listener",
        "_rules",
        "_schedule",
        "_settlement",
        "_truth",
        "dust_of",
        "open",
        "orders",
    )

    def __init__(
        self,
        rules: VenueRules,
        schedule: Schedule,
        settlement: Settlement,
        truth: TruthLedger,
        listener: Listener,
        announce: Callable[[Listing], None],
    ) -> None:
        """announce: tells what orders have changed in a market's displayed books."""
        self._rules = rules
        self._schedule = schedule
        self._settlement = settlement
        self._truth = truth
        self._listener = listener
        self._announce = announce
        self.dust_of: Callable[[Order], int] = _none  # micro-shares the venue's rounding loses
        self.orders: dict[str, VenueOrder] = {}
        self.open: dict[str, VenueOrder] = {}
        self._ended: deque[str] = deque()  # hashes of those to forget, the first to end first

    def submit(self, submission: Submission, listing: Listing, reply: Reply) -> None:
        """Accept or refuse an order; `reply` is called once, now or after the taker delay."""
        terms = self._read(submission, listing)
        if isinstance(terms, str):
            self.refuse(submission, terms, reply)
            return
        terms.owner = submission.account.owner
        verdict = listing.pool.judge(terms)
        passive = verdict is Verdict.PASSIVE
        error = self._verdict_error(verdict, terms)
        needed = _needed(submission, terms, with_fee=not passive)
        available = submission.account.available(_asset(submission))
        if not error and needed > min(available, submission.account.allowance):
            error = refusals.balance_error(available, needed)
        if error:
            self.refuse(submission, error, reply)
            return
        order = VenueOrder(submission, terms, self._schedule.now_ms)
        self.orders[order.order_hash] = self.open[order.order_hash] = order
        self._hold(order, needed)
        self._record(order)
        if submission.tif == Tif.GTD:
            expires_ms = self._rules.expires_ms(submission)
            self._schedule.at(expires_ms, Phase.EXPIRE, lambda: self._expire(order, listing))
        order.reply = reply
        delay_ms = self._rules.delay_ms(submission.market)
        if passive and terms.is_immediate:
            self._kill(order)
        elif passive:
            self._rest(order, listing)
        elif delay_ms:
            order.status = Status.DELAYED
            act_ms = order.created_ms + delay_ms
            self._schedule.at(act_ms, Phase.ACT, lambda: self._act(order, listing))
            if submission.market.seconds_delay:
                self._listener.order_changed(order, OrderEvent.PLACEMENT)
                self._answer(order)
        else:
            self._act(order, listing)

    def refuse(self, submission: Submission, text: str, reply: Reply) -> None:
        """Refuse an order in these words; it was never live."""
        self._truth.write(
            "reject",
            self._schedule.now_ms,
            order_hash=submission.order_hash,
            maker=submission.account.address,
            token_id=str(submission.market.tokens[submission.outcome]),
            reason=text,
        )
        reply(Answer(submission.order_hash, text, 400))

    def fill_resting(self, fills: Iterable[tuple[Order, Fill]]) -> None:
        """Book what resting orders got from a changed book or a public trade."""
        for terms, fill in fills:
            order = self.orders[terms.key]
            self._book(order, fill)
            if not terms.left:
                self._close(order, Status.MATCHED)
            self._listener.order_changed(order, OrderEvent.UPDATE)

    def cancel(self, order_hash: str, listing_of: Callable[[VenueOrder], Listing]) -> str:
        """Cancel one order; return "" or why it cannot be."""
        order = self.orders.get(order_hash)
        if order is None:
            return "Order not found or already canceled"
        if order.status is not Status.LIVE:
            return CANCEL_REFUSALS.get(order.status, "Order already canceled")
        self._end(order, listing_of(order), Status.CANCELED, "cancelled")
        return ""

    def close_market(self, listing: Listing) -> None:
        """End every open order of a market that trades no more."""
        for order in self.open_in(listing):
            self._end(order, listing, Status.CANCELED_MARKET_RESOLVED, "resolved")

    def open_in(self, listing: Listing) -> list[VenueOrder]:
        """Return the open orders of a market."""
        return [o for o in self.open.values() if o.submission.market is listing.market]

    def _read(self, submission: Submission, listing: Listing) -> Order | str:
        if not listing.is_open:
            token = submission.market.tokens[submission.outcome]
            return refusals.NO_MARKET.format(token=token)
        if submission.order_hash in self.orders:
            return refusals.DUPLICATED.format(id=submission.order_hash)
        error = refusals.timing_error(submission, self._rules, self._schedule.now_ms)
        return error or refusals.read_terms(submission, listing.tick)

    def _verdict_error(self, verdict: Verdict, terms: Order) -> str:
        if verdict is Verdict.NO_BOOK:
            return refusals.NO_BOOK
        if verdict is Verdict.CROSSES:
            return refusals.POST_ONLY_CROSSES
        if verdict is Verdict.MARKETABLE and terms.side == Side.BUY:
            amount = terms.budget or terms.limit * terms.size // MICROS
            if amount < self._rules.marketable_buy_min:
                least = decimal_text(self._rules.marketable_buy_min)
                return (
                    f"invalid amount for a marketable BUY order (${decimal_text(amount)}), "
                    f"min size: ${least}"
                )
        return ""

    def _act(self, order: VenueOrder, listing: Listing) -> None:
        """Match an order on the book in force, unless it has ended meanwhile."""
        if order.is_open:
            wanted = _without(order.terms, self.dust_of(order.terms))
            self._finish(order, listing, listing.pool.sweep(wanted))

    def _finish(self, order: VenueOrder, listing: Listing, sweep: Sweep) -> None:
        """Make a sweep happen, then kill, close or rest the order."""
        terms = order.terms
        fills, complete, own = sweep
        self._hold(order, 0)
        rest = 0 if complete or terms.is_immediate else _rest_of(terms, fills)
        account = order.submission.account
        needed = _cost(order, fills) + rest
        available = account.available(_asset(order.submission))
        if needed > min(available, account.allowance):
            self._fail(order, refusals.balance_error(available, needed))
            return
        for key in own:
            self._end(self.orders[key], listing, Status.CANCELED, "own")
        listing.pool.commit(terms, fills)
        for fill in fills:
            self._take(order, fill, listing)
        complete = complete or not (terms.is_immediate or terms.left)
        if complete or (terms.is_immediate and fills):
            self._close(order, Status.MATCHED)
            if not complete:
                self._record_end(order, "killed")
            self._listener.order_changed(order, OrderEvent.UPDATE)
            self._announce(listing)
            self._answer(order)
        elif terms.is_immediate:
            self._kill(order)
        else:
            self._hold(order, _rest_of(terms, []))
            self._rest(order, listing)
        if fills:
            self._listener.books_replaced(listing, list(range(OUTCOMES)))

    def _rest(self, order: VenueOrder, listing: Listing) -> None:
        """Let what is left of an order wait in the book; it holds what it needs."""
        order.status = Status.LIVE
        listing.pool.rest(order.terms)
        self._listener.order_changed(order, OrderEvent.PLACEMENT)
        self._announce(listing)
        self._answer(order)

    def _take(self, order: VenueOrder, fill: Fill, listing: Listing) -> None:
        """Book a taker's fill, and tell whose resting order gave it."""
        maker = self.orders[fill.maker] if fill.maker else None
        trade = self._book(order, fill, maker)
        listing.last_trade_price = decimal_text(fill.price)
        self._listener.trade_printed(listing, trade)
        if maker is not None:
            if not maker.terms.left:
                self._close(maker, Status.MATCHED)
            self._listener.order_changed(maker, OrderEvent.UPDATE)

    def _book(self, order: VenueOrder, fill: Fill, maker: VenueOrder | None = None) -> Trade:
        """Book a fill that the holds cover; what an order holds shrinks with what is left."""
        holding = [leg for leg in (order, maker) if leg is not None and leg.held]
        for leg in holding:
            self._hold(leg, 0)
        trade = self._settlement.book(order, fill, maker)
        for leg in holding:
            if leg.terms.left:
                self._hold(leg, _rest_of(leg.terms, []))
        return trade

    def _kill(self, order: VenueOrder) -> None:
        text = refusals.FOK_KILLED if order.terms.tif == Tif.FOK else refusals.FAK_KILLED
        self._close(order, Status.CANCELED)
        self._record_end(order, "killed")
        self._listener.order_changed(order, OrderEvent.CANCELLATION, text)
        self._answer(order, text)

    def _fail(self, order: VenueOrder, text: str) -> None:
        """The second validation, after the hold, did not pass."""
        self._close(order, Status.INVALID)
        self._record_end(order, "balance")
        self._listener.order_changed(order, OrderEvent.CANCELLATION, text)
        self._answer(order, text)

    def _expire(self, order: VenueOrder, listing: Listing) -> None:
        if order.is_open:
            self._end(order, listing, Status.CANCELED, "expired")

    def _end(self, order: VenueOrder, listing: Listing, status: Status, reason: str) -> None:
        listing.pool.remove(order.terms)
        self._close(order, status)
        self._record_end(order, reason)
        self._listener.order_changed(order, OrderEvent.CANCELLATION)
        self._announce(listing)
        if order.reply is not None:
            self._answer(order, refusals.NO_MARKET.format(token=order.token))

    def _close(self, order: VenueOrder, status: Status) -> None:
        """End an order, and forget what is too old; one of the house's own at once, for no client
        can ask for it."""
        order.status = status
        self._hold(order, 0)
        self.open.pop(order.order_hash, None)
        if order.submission.owner == HOUSE:
            self.orders.pop(order.order_hash, None)
            return
        self._ended.append(order.order_hash)
        if len(self._ended) > self._rules.history_max:
            del self.orders[self._ended.popleft()]

    def _hold(self, order: VenueOrder, amount: int) -> None:
        order.submission.account.hold(_asset(order.submission), amount - order.held)
        order.held = amount

    def _answer(self, order: VenueOrder, error: str = "") -> None:
        reply, order.reply = order.reply, None
        if reply is None:
            return
        terms = order.terms
        amounts = (terms.spent, terms.filled)
        making, taking = amounts if terms.side == Side.BUY else amounts[::-1]
        status = order.status.lower()
        ids = tuple(order.trade_ids)
        if error:
            reply(Answer(order.order_hash, error, 400))
        else:
            reply(Answer(order.order_hash, "", 200, status, making, taking, ids))

    def _record(self, order: VenueOrder) -> None:
        if not self._truth.is_kept:
            return
        submission, terms = order.submission, order.terms
        self._truth.write(
            "order",
            order.created_ms,
            order_hash=order.order_hash,
            owner=submission.owner,
            maker=submission.account.address,
            condition_id=submission.market.condition_id,
            token_id=str(order.token),
            outcome=submission.market.outcomes[submission.outcome],
            side=Side(terms.side).name,
            price=terms.limit,
            size=terms.size,
            budget=terms.budget,
            order_type=Tif(terms.tif).name,
            post_only=terms.post_only,
            expiration=submission.expiration_s,
        )

    def _record_end(self, order: VenueOrder, reason: str) -> None:
        self._truth.write(
            "cancel",
            self._schedule.now_ms,
            order_hash=order.order_hash,
            maker=order.submission.account.address,
            filled=order.terms.filled,
            reason=reason,
        )


def _asset(submission: Submission) -> int:
    """Return what the order gives: pUSD, or the token."""
    return CASH if submission.side == Side.BUY else submission.market.tokens[submission.outcome]


def _needed(submission: Submission, terms: Order, *, with_fee: bool) -> int:
    """Return what an order must be covered by when it arrives."""
    if terms.side == Side.SELL:
        return terms.size
    fee = submission.market.fee.charge_max(terms.size, terms.limit) if with_fee else 0
    return submission.maker_amount + fee


def _cost(order: VenueOrder, fills: Iterable[Fill]) -> int:
    """Return what these taker fills take from the account: pUSD with fees, or shares."""
    if order.terms.side == Side.SELL:
        return sum(fill.size for fill in fills)
    fee = order.submission.market.fee
    return sum(fill.notional + fee.charge(fill.size, fill.price) for fill in fills)


def _rest_of(terms: Order, fills: Iterable[Fill]) -> int:
    """Return what the unfilled part of a limit order holds, once `fills` have happened."""
    left = terms.left - sum(fill.size for fill in fills)
    return left if terms.side == Side.SELL else notional_micros_ceil(terms.limit, left)


def _without(terms: Order, dust: int) -> Order:
    """Return an order that wants `dust` micro-shares less, if it wants more than that."""
    if not dust or terms.left <= dust:
        return terms
    budget = terms.budget and max(terms.budget - notional_micros_ceil(terms.limit, dust), 1)
    return replace(terms, size=terms.size - dust, budget=budget)


def _none(_order: Order) -> int:
    return 0
