"""A seat for one of the exchange's own traders: an account and plain ways to trade from it.

House orders are verified by construction and have no API key, so they need no signature; from the
desk on they are orders like any other, held, matched and written to the truth ledger.
"""

from __future__ import annotations

import hashlib
import random

from engine.exchange.accounts import CASH, Account
from engine.exchange.listing import Listing
from engine.exchange.orders import HOUSE, Answer, Submission
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.wire.codes import Side, Tif

CENT = 10_000  # micros: sizes and budgets have two decimals
MARKET_UNIT = 100  # micros: what the other amount of a market order may have


class Seat:
    """One house trader. chance: his own randomness.  rejected: orders the desk refused."""

    __slots__ = ("_name", "_sent", "_venue", "account", "chance", "rejected")

    def __init__(self, venue: Venue, name: str, seed: str, cash: int) -> None:
        """Open his account with `cash` micros."""
        self._name = f"{seed}/{name}"
        self._venue = venue
        self._sent = 0
        self.account: Account = venue.accounts.account("0x" + self._digest("account")[:40])
        self.account.add(CASH, cash)
        self.chance = random.Random(self._name)  # noqa: S311  a simulation
        self.rejected = 0
        venue.truth.write(
            "fund", venue.schedule.now_ms, maker=self.account.address, name=name, cash=cash
        )

    def owns(self, listing: Listing, outcome: int) -> int:
        """Return the shares he may sell, rounded down to two decimals, micros."""
        return self.account.available(listing.market.tokens[outcome]) // CENT * CENT

    def quote(
        self, listing: Listing, outcome: int, side: int, price: int, size: int, *, post_only: bool
    ) -> str:
        """Send a limit order of `size` micro-shares; return its hash."""
        usd = price * size // MICROS
        amounts = (usd, size) if side == Side.BUY else (size, usd)
        return self._send(listing, outcome, side, amounts, Tif.GTC, post_only)

    def take(self, listing: Listing, outcome: int, side: int, price: int, amount: int) -> str:
        """Send a FAK order. amount: pUSD for a buy, shares for a sale, micros; rounded down."""
        maker = amount // CENT * CENT
        taker = maker * MICROS // price if side == Side.BUY else maker * price // MICROS
        amounts = (maker, taker // MARKET_UNIT * MARKET_UNIT)
        return self._send(listing, outcome, side, amounts, Tif.FAK, False)

    def cancel(self, order_hash: str) -> None:
        """Cancel an order; harmless if it is over."""
        self._venue.cancel(self.account, [order_hash])

    def is_open(self, order_hash: str) -> bool:
        """Whether an order may still fill."""
        return order_hash in self._venue.desk.open

    def _send(
        self,
        listing: Listing,
        outcome: int,
        side: int,
        amounts: tuple[int, int],
        tif: Tif,
        post_only: bool,
    ) -> str:
        self._sent += 1
        order_hash = "0x" + self._digest("order", self._sent)
        self._venue.submit(
            Submission(
                order_hash,
                self.account,
                HOUSE,
                listing.market,
                outcome,
                side,
                *amounts,
                tif,
                post_only,
                expiration_s=0,
            ),
            self._heard,
        )
        return order_hash

    def _heard(self, answer: Answer) -> None:
        self.rejected += bool(answer.error)

    def _digest(self, *parts: object) -> str:
        return hashlib.sha256("/".join(map(str, (self._name, *parts))).encode()).hexdigest()
