"""From match to money: cash and shares change hands, trades settle or fail, markets pay out.

Cash and shares change hands at the match, as the venue's own ledger does; the trade's status tells
how far the chain has come, by the trade's fate (`fates.py`). Where trades may fail, what they bring
is held until MINED, so that FAILED can reverse both legs exactly: cash, shares and fee.
A resolution ends every fate of its market that is still open: what was to fail, fails before it.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import partial

from engine.exchange.accounts import CASH, Accounts
from engine.exchange.events import Listener
from engine.exchange.fates import Steps, TradeStatus
from engine.exchange.listing import Listing
from engine.exchange.matching import Fill, other_side
from engine.exchange.orders import HOUSE, Trade, VenueOrder
from engine.exchange.rebates import Rebates
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.truth import TruthLedger
from engine.wire.codes import Liquidity, Side

Legs = tuple[Trade, ...]  # the taker's and, unless he is a stranger, the maker's


class Settlement:
    """Books fills and payouts. Keeps the last `VenueRules.history_max` legs that a client can ask
    for, by a name of their own.

    fees: taker fees taken so far, less those of failed trades, micros.
    """

    __slots__ = (
        "_count",
        "_listener",
        "_open",
        "_rules",
        "_schedule",
        "_seed",
        "_trade_id",
        "_transaction",
        "_truth",
        "fees",
        "rebates",
        "trades",
    )

    def __init__(
        self,
        rules: VenueRules,
        schedule: Schedule,
        truth: TruthLedger,
        listener: Listener,
        seed: str,
    ) -> None:
        self._rules = rules
        self._schedule = schedule
        self._truth = truth
        self._listener = listener
        self._seed = seed
        self._count = 0
        self._trade_id = self._transaction = ""  # of the trade being booked
        self._open: dict[str, dict[str, tuple[Legs, Steps]]] = {}  # by condition and trade id
        self.fees = 0
        self.rebates = Rebates(schedule, truth, pays=rules.pays_rebates)
        self.trades: dict[str, Trade] = {}

    def book(self, order: VenueOrder, fill: Fill, maker: VenueOrder | None = None) -> Trade:
        """Move cash and shares of one fill, announce the trade, let it settle.

        maker: whose resting order gave it, None for a stranger's. Returns the leg of `order`.
        """
        self._count += 1
        self._trade_id = str(uuid.UUID(bytes=self._digest("trade", self._count)[:16], version=4))
        self._transaction = "0x" + self._digest("transaction", self._count).hex()
        taker = fill.liquidity == Liquidity.TAKER
        if maker is None:
            # Real takers come from either token; a client that reads a maker fill from the top
            # level of the trade is wrong every second time.
            mirrored = not taker and self._count % 2 == 0
            legs: Legs = (self._leg(order, fill, mirrored, None),)
        else:
            mirrored = maker.terms.outcome != order.terms.outcome
            maker_fill = other_side(fill, maker.terms, makes_set=mirrored)
            legs = (
                self._leg(order, fill, mirrored, maker),
                self._leg(maker, maker_fill, mirrored, order),
            )
            self._accrue(legs, 1)
        for leg in legs:
            self._listener.trade_changed(leg)
        self._begin(legs)
        return legs[0]

    def pay_out(self, listing: Listing, payouts: tuple[int, int], accounts: Accounts) -> None:
        """Turn every share of a resolved market into its payout."""
        now_ms = self._schedule.now_ms
        market = listing.market
        self._finish(market.condition_id)
        self._truth.write(
            "resolve",
            now_ms,
            condition_id=market.condition_id,
            slug=market.slug,
            payouts=payouts,
        )
        for account in accounts:
            for token, payout in zip(market.tokens, payouts, strict=True):
                shares = account.balance(token)
                if not shares:
                    continue
                cash = shares * payout // 1_000_000
                account.add(token, -shares)
                account.add(CASH, cash)
                self._truth.write(
                    "payout",
                    now_ms,
                    condition_id=market.condition_id,
                    maker=account.address,
                    token_id=str(token),
                    shares=shares,
                    cash=cash,
                )

    def _leg(
        self, order: VenueOrder, fill: Fill, mirrored: bool, counter: VenueOrder | None
    ) -> Trade:
        """Move one side's cash and shares, and write it down."""
        submission, number = order.submission, self._count
        taker = fill.liquidity == Liquidity.TAKER
        fee = submission.market.fee.charge(fill.size, fill.price) if taker else 0
        notional = fill.notional
        submission.account.settle(order.token, submission.side, fill.size, notional, fee)
        self.fees += fee
        now_ms = self._schedule.now_ms
        stranger = "0x" + self._digest("counterparty", number).hex() if counter is None else ""
        leg = Trade(
            trade_id=self._trade_id,
            order=order,
            fill=fill,
            fee=fee,
            matched_ms=now_ms,
            updated_ms=now_ms,
            counter_hash=counter.order_hash if counter is not None else stranger,
            transaction_hash=self._transaction,
            mirrored=mirrored,
            counter=counter,
        )
        if self._rules.fates.holds_receipts:
            buys = submission.side == Side.BUY
            leg.receipt = (order.token, fill.size) if buys else (CASH, notional - fee)
            submission.account.hold(*leg.receipt)
        if submission.owner != HOUSE:
            name = leg.trade_id if leg.trade_id not in self.trades else leg.trade_id + "/maker"
            self.trades[name] = leg
            if len(self.trades) > self._rules.history_max:
                del self.trades[next(iter(self.trades))]
        order.trade_ids.append(leg.trade_id)
        self._truth.write(
            "fill",
            now_ms,
            trade_id=leg.trade_id,
            order_hash=order.order_hash,
            maker=submission.account.address,
            condition_id=submission.market.condition_id,
            token_id=str(order.token),
            side=Side(submission.side).name,
            liquidity=Liquidity(fill.liquidity).name,
            price=fill.price,
            size=fill.size,
            notional=notional,
            fee=fee,
        )
        return leg

    def _accrue(self, legs: Legs, sign: int) -> None:
        """Count a fill between two clients for the maker's rebate, or take it back."""
        taker, maker = legs
        market = maker.order.submission.market
        equivalent = market.fee.charge(maker.fill.size, maker.fill.price)
        account = maker.order.submission.account
        self.rebates.accrue(market, sign * taker.fee, account, sign * equivalent)

    def _begin(self, legs: Legs) -> None:
        """Draw the trade's fate and let it come."""
        fates = self._rules.fates
        chance = int.from_bytes(self._digest("fate", self._count)[:16], "big")
        steps = fates.draw(chance)
        if fates.holds_receipts:
            condition = legs[0].order.submission.market.condition_id
            self._open.setdefault(condition, {})[legs[0].trade_id] = (legs, steps)
        for status, delay_ms in steps:
            step = partial(self._step, legs, status)
            self._schedule.at(legs[0].matched_ms + delay_ms, Phase.ACT, step)

    def _finish(self, condition: str) -> None:
        """End the fates of a market about to pay out: fail what was to fail, free the rest."""
        for legs, steps in list(self._open.pop(condition, {}).values()):
            if steps and steps[-1][0] is TradeStatus.FAILED:
                self._step(legs, TradeStatus.FAILED)
            for leg in legs:
                _free(leg)

    def _step(self, legs: Legs, status: TradeStatus) -> None:
        first = legs[0]
        if first.status.is_final:
            return
        now_ms = self._schedule.now_ms
        self._truth.write("settle", now_ms, trade_id=first.trade_id, status=str(status))
        if status is TradeStatus.FAILED and len(legs) == 2:
            self._accrue(legs, -1)
        for leg in legs:
            leg.status = status
            leg.updated_ms = now_ms
            if status is not TradeStatus.RETRYING:
                _free(leg)
            if status is TradeStatus.FAILED:
                self._reverse(leg)
            self._listener.trade_changed(leg)
        if status.is_final:
            condition = first.order.submission.market.condition_id
            self._open.get(condition, {}).pop(first.trade_id, None)

    def _reverse(self, leg: Trade) -> None:
        """Undo a leg to the micro; its order does not come back."""
        submission, fill = leg.order.submission, leg.fill
        token, side = leg.order.token, 1 - submission.side
        submission.account.settle(token, side, fill.size, fill.notional, -leg.fee)
        self.fees -= leg.fee

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *parts))).encode()).digest()


def _free(leg: Trade) -> None:
    """Let the owner use what a leg brought."""
    if leg.receipt is not None:
        asset, amount = leg.receipt
        leg.order.submission.account.hold(asset, -amount)
        leg.receipt = None
