"""A served venue for foreign clients: three kinds of market, four kinds of wallet, a clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange_support import ASKS, BIDS, CASH_MICROS, Served, levels, market, mirrored, served

from engine.exchange.accounts import Account, ApiKey, WalletKind
from engine.exchange.listing import Listing
from engine.exchange.market import derive_positions, derive_tokens
from engine.exchange.rules import VenueRules
from engine.exchange.server.app import Hosting

TURN_S = 0.01
NEG_RISK_CONDITION = "0x" + "cd" * 32


@dataclass(frozen=True)
class Trader:
    """One funded wallet and what a client needs to use it."""

    private_key: str
    key: ApiKey
    wallet: Account

    @property
    def owner(self) -> str:
        """The address that signs."""
        return self.key.account.address


class Floor:
    """The venue as tests see it: from inside, and through its truth ledger."""

    def __init__(self, exchange: Served, truth: Path) -> None:
        self.exchange = exchange
        self.hand = exchange.hand
        self.venue = exchange.hand.venue
        self.url = exchange.url
        self._truth = truth
        self.standard = exchange.hand.listing
        self.neg_risk = self._open(
            slug="neg-risk",
            condition_id=NEG_RISK_CONDITION,
            tokens=derive_tokens(NEG_RISK_CONDITION),
            neg_risk=True,
        )
        condition, positions = derive_positions("v3")
        self.v3 = self._open(slug="v3", condition_id=condition, tokens=positions, generation=3)
        accounts = self.hand.accounts
        first = next(iter(accounts._by_key.values()))
        self.traders = {WalletKind.EOA: Trader(accounts.private_key(0), first, self.hand.account)}
        for kind in (WalletKind.PROXY, WalletKind.SAFE, WalletKind.DEPOSIT):
            key = accounts.fund(int(kind), CASH_MICROS, kind)
            wallet = accounts.wallet(key.account.address, kind)
            assert wallet is not None
            self.traders[kind] = Trader(accounts.private_key(int(kind)), key, wallet)
        self.show()

    @property
    def listings(self) -> list[Listing]:
        """The three markets."""
        return [self.standard, self.neg_risk, self.v3]

    def token(self, listing: Listing, outcome: int = 0) -> str:
        """Return a token as clients name it."""
        return str(listing.market.tokens[outcome])

    def show(self, bids: Any = BIDS, asks: Any = ASKS) -> None:
        """Show one book and its mirror in every market, a millisecond later."""
        self.hand.schedule.advance(self.hand.schedule.now_ms + 1)
        for listing in self.listings:
            both = [(0, levels(bids), levels(asks)), (1, mirrored(asks), mirrored(bids))]
            self.venue.show(listing, both)

    def truth(self, kind: str) -> list[dict[str, Any]]:
        """Return the ledger's rows of one type."""
        self.venue.truth.flush()
        rows = [json.loads(line) for line in self._truth.read_text().splitlines()]
        return [row for row in rows if row["type"] == kind]

    @asynccontextmanager
    async def ticking(self, speed: float = 1.0) -> AsyncIterator[None]:
        """Let the venue's clock run while the block does."""

        async def run() -> None:
            while True:
                await asyncio.sleep(TURN_S)
                self.hand.wait(max(round(TURN_S * 1_000 * speed), 1))

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()

    def _open(self, **changes: Any) -> Listing:
        return self.venue.open_market(market(**changes))


@asynccontextmanager
async def trading_floor(
    folder: Path, rules: VenueRules | None = None, hosting: Hosting | None = None
) -> AsyncIterator[Floor]:
    """Serve a floor; its truth ledger lies in `folder`. Takers are not held unless rules say so."""
    truth = folder / "truth.jsonl"
    async with served(rules or VenueRules(taker_delay_ms=0), hosting, truth) as exchange:
        yield Floor(exchange, truth)
