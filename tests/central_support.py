"""A venue with a central book, moved by hand and without sockets: what its tests share."""

from __future__ import annotations

from typing import Any

from engine.exchange.accounts import Account, Accounts
from engine.exchange.central_book import CentralBook
from engine.exchange.events import Listener, Silence
from engine.exchange.market import Market, derive_tokens
from engine.exchange.orders import Answer, Submission
from engine.exchange.rules import VenueRules
from engine.exchange.schedule import Schedule
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.wire.codes import Side, Tif

START_MS = 1_790_586_000_000
END_MS = START_MS + 900_000
CASH_MICROS = 1_000_000_000
CONDITION = "0x" + "cd" * 32
MICROS = 1_000_000
CENT = 10_000


class Floor:
    """One market with a central book, and traders `0`, `1`, … with a thousand pUSD each."""

    def __init__(
        self,
        rules: VenueRules | None = None,
        traders: int = 3,
        truth: TruthLedger | None = None,
        listener: Listener | None = None,
        **changes: Any,
    ) -> None:
        self.schedule = Schedule(START_MS)
        self.accounts = Accounts("central")
        self.traders = [self.accounts.account(f"0x{n + 1:040x}") for n in range(traders)]
        for trader in self.traders:
            trader.add(0, CASH_MICROS)
        self.venue = Venue(
            rules or VenueRules(taker_delay_ms=0),
            self.schedule,
            self.accounts,
            truth or TruthLedger(),
            listener or Silence(),
            "central",
            CentralBook,
        )
        fields: dict[str, Any] = {
            "slug": "btc-updown-15m-1790586000",
            "condition_id": CONDITION,
            "question": "Bitcoin Up or Down",
            "tokens": derive_tokens(CONDITION),
            "start_ms": START_MS,
            "end_ms": END_MS,
            "payouts": (MICROS, 0),
        }
        self.listing = self.venue.open_market(Market(**(fields | changes)))
        self.tokens = self.listing.market.tokens
        self.answers: dict[str, Answer] = {}
        self._count = 0

    @property
    def book(self) -> CentralBook:
        """The market's central book."""
        pool = self.listing.pool
        assert isinstance(pool, CentralBook)
        return pool

    def send(
        self,
        trader: int | Account,
        side: Side,
        cents: float,
        shares: float,
        tif: Tif = Tif.GTC,
        *,
        outcome: int = 0,
        post_only: bool = False,
        expiration_s: int = 0,
    ) -> str:
        """Send an order; return its hash. shares: pUSD for FOK and FAK buys."""
        self._count += 1
        name = f"0x{self._count:064x}"
        price = round(cents * CENT)
        if side == Side.BUY and tif in (Tif.FOK, Tif.FAK):
            maker = round(shares * 100) * CENT
            taker = maker * MICROS // price // 100 * 100
        else:
            size = round(shares * 100) * CENT
            usd = price * size // MICROS
            if tif in (Tif.FOK, Tif.FAK):
                usd = usd // 100 * 100
            maker, taker = (usd, size) if side == Side.BUY else (size, usd)
        account = self.traders[trader] if isinstance(trader, int) else trader
        submission = Submission(
            name,
            account,
            "key",
            self.listing.market,
            outcome,
            side,
            maker,
            taker,
            tif,
            post_only,
            expiration_s,
        )

        def reply(answer: Answer) -> None:
            self.answers[name] = answer

        self.venue.submit(submission, reply)
        return name

    def give_sets(self, trader: int, shares: float) -> None:
        """Turn a trader's pUSD into full sets."""
        size = round(shares * 100) * CENT
        account = self.traders[trader]
        account.add(0, -size)
        for token in self.tokens:
            account.add(token, size)

    def wealth(self) -> int:
        """Return all pUSD there is: the traders', the fees taken, and what backs full sets."""
        up, down = (sum(a.balance(token) for a in self.accounts) for token in self.tokens)
        assert up == down, "every share is half of a full set"
        cash = sum(account.balance(0) for account in self.accounts)
        return cash + self.venue.fees - self.venue.rebates.paid + up

    def fills(self) -> list[tuple[str, int, int, str]]:
        """Return (order, price, size, liquidity) of every leg, in order."""
        return [
            (
                trade.order.order_hash,
                trade.fill.price,
                trade.fill.size,
                "MT"[trade.fill.liquidity == 0],
            )
            for trade in self.venue.trades.values()
        ]
