"""From match to money: trades move MATCHED → MINED → CONFIRMED, resolved markets pay out.

Cash and shares change hands at the match, as the venue's own ledger does; the trade's status only
tells how far the chain has come. Delays are venue milliseconds after the match.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import partial

from engine.exchange.accounts import CASH, Accounts
from engine.exchange.events import Listener
from engine.exchange.listing import Listing
from engine.exchange.matching import Fill
from engine.exchange.orders import Trade, TradeStatus, VenueOrder
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Phase, Schedule
from engine.exchange.truth import TruthLedger
from engine.wire.codes import Liquidity, Side


class Settlement:
    """Books fills and payouts; keeps every trade."""

    __slots__ = ("_listener", "_rules", "_schedule", "_seed", "_truth", "trades")

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
        self.trades: dict[str, Trade] = {}

    def book(self, order: VenueOrder, fill: Fill) -> Trade:
        """Move cash and shares of one fill, announce the trade, let it settle."""
        submission = order.submission
        taker = fill.liquidity == Liquidity.TAKER
        fee = submission.market.fee.charge(fill.size, fill.price) if taker else 0
        submission.account.settle(order.token, submission.side, fill.size, fill.notional, fee)
        now_ms = self._schedule.now_ms
        number = len(self.trades) + 1
        trade = Trade(
            trade_id=str(uuid.UUID(bytes=self._digest("trade", number)[:16], version=4)),
            order=order,
            fill=fill,
            fee=fee,
            matched_ms=now_ms,
            updated_ms=now_ms,
            counter_hash="0x" + self._digest("counterparty", number).hex(),
            transaction_hash="0x" + self._digest("transaction", number).hex(),
            # Real takers come from either token; a client that reads a maker fill from the top
            # level of the trade is wrong every second time.
            mirrored=not taker and number % 2 == 0,
        )
        self.trades[trade.trade_id] = trade
        order.trade_ids.append(trade.trade_id)
        self._truth.write(
            "fill",
            now_ms,
            trade_id=trade.trade_id,
            order_hash=order.order_hash,
            maker=submission.account.address,
            condition_id=submission.market.condition_id,
            token_id=str(order.token),
            side=Side(submission.side).name,
            liquidity=Liquidity(fill.liquidity).name,
            price=fill.price,
            size=fill.size,
            notional=fill.notional,
            fee=fee,
        )
        self._listener.trade_changed(trade)
        for status, delay_ms in (
            (TradeStatus.MINED, self._rules.mined_ms),
            (TradeStatus.CONFIRMED, self._rules.confirmed_ms),
        ):
            self._schedule.at(now_ms + delay_ms, Phase.ACT, partial(self._step, trade, status))
        return trade

    def pay_out(self, listing: Listing, payouts: tuple[int, int], accounts: Accounts) -> None:
        """Turn every share of a resolved market into its payout."""
        now_ms = self._schedule.now_ms
        market = listing.market
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

    def _step(self, trade: Trade, status: TradeStatus) -> None:
        trade.status = status
        trade.updated_ms = self._schedule.now_ms
        self._truth.write("settle", trade.updated_ms, trade_id=trade.trade_id, status=str(status))
        self._listener.trade_changed(trade)

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *parts))).encode()).digest()
