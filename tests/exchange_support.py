"""What the tests of the local exchange share: a small market, signed orders, a served venue."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession, ClientWebSocketResponse, web

from engine.exchange.accounts import Account, Accounts, ApiKey
from engine.exchange.books import Levels
from engine.exchange.events import OrderEvent, Silence
from engine.exchange.faults import Faults
from engine.exchange.market import Market, derive_tokens
from engine.exchange.orders import Answer, Submission, Trade, VenueOrder
from engine.exchange.rules import VenueRules
from engine.exchange.scenario import Scenario
from engine.exchange.schedule import Schedule
from engine.exchange.server.app import Hosting, build_app
from engine.exchange.server.streams import Streams
from engine.exchange.truth import TruthLedger
from engine.exchange.venue import Venue
from engine.math.units import micros_from_text
from engine.wire.codes import Side, Tif
from signer.amounts import limit_amounts, market_amounts
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.order_v2 import Order, body, order_hash

START_MS = 1_790_586_000_000
END_MS = START_MS + 900_000
CONDITION = "0x" + "ab" * 32
CASH_MICROS = 1_000_000_000

BIDS = (("0.48", "100"), ("0.47", "50"))
ASKS = (("0.50", "30"), ("0.51", "40"), ("0.53", "100"))


def levels(rows: Sequence[tuple[str, str]]) -> Levels:
    """Return price and size texts as levels in micros."""
    return {micros_from_text(price): micros_from_text(size) for price, size in rows}


def mirrored(rows: Sequence[tuple[str, str]]) -> Levels:
    """Return the same liquidity as the other token's opposite side shows it."""
    return {1_000_000 - price: size for price, size in levels(rows).items()}


def market(payouts: tuple[int, int] | None = (1_000_000, 0), **changes: Any) -> Market:
    """Return a 15-minute market that Up wins."""
    fields: dict[str, Any] = {
        "slug": "btc-updown-15m-1790586000",
        "condition_id": CONDITION,
        "question": "Bitcoin Up or Down",
        "tokens": derive_tokens(CONDITION),
        "start_ms": START_MS,
        "end_ms": END_MS,
        "payouts": payouts,
        "series": "btc-up-or-down-15m",
    }
    return Market(**(fields | changes))


@dataclass
class Journal(Silence):
    """Remembers orders and trades as they were told."""

    orders: list[tuple[OrderEvent, str, str]] = field(default_factory=list)
    trades: list[tuple[str, str]] = field(default_factory=list)

    def order_changed(self, order: VenueOrder, event: OrderEvent, detail: str = "") -> None:
        """Remember the event with the status at that moment."""
        self.orders.append((event, order.order_hash, str(order.status)))

    def trade_changed(self, trade: Trade) -> None:
        """Remember the trade with its status at that moment."""
        self.trades.append((trade.trade_id, str(trade.status)))


class Hand:
    """A venue moved by hand, without sockets: one market on display, one funded account."""

    def __init__(self, rules: VenueRules | None = None, **changes: Any) -> None:
        self.schedule = Schedule(START_MS - 1)
        self.accounts = Accounts("seed")
        self.account = self.accounts.fund(0, CASH_MICROS).account
        self.journal = Journal()
        self.venue = Venue(
            rules or VenueRules(), self.schedule, self.accounts, TruthLedger(), self.journal
        )
        self.listing = self.venue.open_market(market(**changes))
        self.answers: list[Answer] = []
        self._hashes = 0

    def show(self, bids: Any = BIDS, asks: Any = ASKS, after_ms: int = 1) -> None:
        """Show a book and its mirror, `after_ms` later."""
        self.schedule.advance(self.schedule.now_ms + after_ms)
        self.venue.show(
            self.listing,
            [(0, levels(bids), levels(asks)), (1, mirrored(asks), mirrored(bids))],
        )

    def submit(
        self,
        side: Side,
        price: str,
        size: str,
        tif: Tif = Tif.GTC,
        *,
        outcome: int = 0,
        post_only: bool = False,
        expiration_s: int = 0,
        account: Account | None = None,
        amounts: tuple[int, int] | None = None,
    ) -> Answer | None:
        """Submit an order of these human terms; return its answer if it came at once.

        amounts: maker and taker micros to sign instead of what the terms give.
        """
        self._hashes += 1
        amounts = amounts or amounts_of(side, price, size, tif, self.listing.tick)
        before = len(self.answers)
        self.venue.submit(
            Submission(
                order_hash=f"0x{self._hashes:064x}",
                account=account or self.account,
                owner="owner",
                market=self.listing.market,
                outcome=outcome,
                side=side,
                maker_amount=amounts[0],
                taker_amount=amounts[1],
                tif=tif,
                post_only=post_only,
                expiration_s=expiration_s,
            ),
            self.answers.append,
        )
        return self.answers[before] if len(self.answers) > before else None

    def wait(self, ms: int) -> None:
        """Let venue time pass without a new book."""
        self.schedule.advance(self.schedule.now_ms + ms)


def amounts_of(side: Side, price: str, size: str, tif: Tif, tick: int) -> tuple[int, int]:
    """Return (maker, taker) amounts; `size` is pUSD for FOK and FAK buys."""
    price_micros, size_micros = micros_from_text(price), micros_from_text(size)
    if tif in (Tif.FOK, Tif.FAK):
        return market_amounts(side, price_micros, size_micros, tick)
    return limit_amounts(side, price_micros, size_micros, tick)


class Served:
    """A venue moved by hand and served on a real port, with one account's client."""

    def __init__(
        self,
        hand: Hand,
        streams: Streams,
        session: ClientSession,
        url: str,
        hosting: Hosting | None = None,
    ) -> None:
        self.hosting = hosting or Hosting()
        self.hand = hand
        self.streams = streams
        self.session = session
        self.url = url
        self.key: ApiKey = next(iter(hand.accounts._by_key.values()))
        self.signing = SigningKey.from_hex(hand.accounts.private_key(0))
        self.l2 = L2Signer(
            ApiCredentials(self.key.key, self.key.secret, self.key.passphrase), self.signing.address
        )
        self._salt = 0

    def order(
        self,
        side: Side,
        price: str,
        size: str,
        tif: Tif = Tif.GTC,
        *,
        outcome: int = 0,
        post_only: bool = False,
        expires_s: int = 0,
        generation: int = 2,
        signing: SigningKey | None = None,
        **changes: Any,
    ) -> tuple[bytes, str]:
        """Return the body of a signed order, and its hash."""
        self._salt += 1
        maker, taker = amounts_of(side, price, size, tif, self.hand.listing.tick)
        address = self.signing.address
        fields: dict[str, Any] = {
            "salt": self._salt,
            "maker": address,
            "signer": address,
            "token_id": self.hand.listing.market.tokens[outcome],
            "maker_amount": maker,
            "taker_amount": taker,
            "side": int(side),
            "signature_type": 0,
            "timestamp_ms": START_MS,
        }
        order = Order(**(fields | changes))
        digest = order_hash(order, exchange_domain(generation, 137, False).separator())
        signature = (signing or self.signing).sign(digest)
        text = body(order, signature, self.key.key, tif, expires_s=expires_s, post_only=post_only)
        return text, "0x" + digest.hex()

    async def call(
        self, method: str, path: str, data: bytes = b"", *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return (status, decoded answer) of a signed request."""
        route = path.partition("?")[0]
        signed = headers or self.l2.headers(START_MS // 1_000, method, route, data)
        async with self.session.request(
            method, self.url + path, data=data or None, headers=signed
        ) as response:
            return response.status, orjson.loads(await response.read())

    async def post(self, *args: Any, **kwargs: Any) -> tuple[int, Any, str]:
        """Post an order of these terms; return (status, answer, order hash)."""
        text, order_id = self.order(*args, **kwargs)
        return *(await self.call("POST", "/order", text)), order_id

    async def market_socket(self, **changes: Any) -> ClientWebSocketResponse:
        """Return a market socket subscribed to both tokens."""
        socket = await self.session.ws_connect(self.url + "/ws/market")
        tokens = [str(token) for token in self.hand.listing.market.tokens]
        await socket.send_json({"type": "market", "assets_ids": tokens, **changes})
        return socket

    async def user_socket(self, **auth: str) -> ClientWebSocketResponse:
        """Return an authenticated user socket."""
        key = self.key
        names = {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}
        socket = await self.session.ws_connect(self.url + "/ws/user")
        await socket.send_json({"type": "user", "auth": names | auth})
        return socket


@asynccontextmanager
async def served(
    rules: VenueRules | None = None,
    hosting: Hosting | None = None,
    truth: Path | None = None,
    scenario: Scenario | None = None,
    **changes: Any,
) -> AsyncIterator[Served]:
    """Serve a hand-moved venue on a free loopback port."""
    hand = Hand(rules, **changes)
    hosting = hosting or Hosting()
    streams = Streams(hand.schedule, hand.accounts, lambda token: hand.venue.find(token))
    ledger = TruthLedger(truth)
    hand.venue = Venue(hand.venue.rules, hand.schedule, hand.accounts, ledger, streams)
    hand.listing = hand.venue.open_market(hand.listing.market)
    faults = None
    if scenario is not None:
        faults = Faults(scenario, hand.venue, hosting.mode, hosting.prices, [hand.account.address])
    app = build_app(hand.venue, streams, hosting, dict, lambda: None, faults)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield Served(hand, streams, session, url, hosting)
    finally:
        await runner.cleanup()
        ledger.close()


def write_recording(folder: Path, markets: int = 2, snapshots: int = 40) -> None:
    """Write a small recording of windows one after the other, every book with its mirror."""
    rows = []
    for number in range(markets):
        start_ms = START_MS + number * 900_000
        slug = f"btc-updown-15m-{start_ms // 1_000}"
        rows.append(
            {
                "market_id": f"0x{number + 1:064x}",
                "slug": slug,
                "question": f"window {number}",
                "timeframe": "15m",
                "start_ts": start_ms,
                "end_ts": start_ms + 900_000,
                "outcome_up": "Up",
                "outcome_down": "Down",
                "payout_up": float(number % 2),
                "payout_down": float(1 - number % 2),
            }
        )
        with gzip.open(folder / f"{slug}.jsonl.gz", "wt") as target:
            for index in range(snapshots):
                ts = start_ms + 1_000 + index * 20_000
                for line in _snapshot_pair(ts, index):
                    target.write(json.dumps(line) + "\n")
    (folder / "markets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _snapshot_pair(ts: int, index: int) -> list[dict[str, Any]]:
    bid = 40 + index % 15
    bids = [[(bid - step) / 100, 10.0 + step + index] for step in range(5)]
    asks = [[(bid + 2 + step) / 100, 7.5 + step] for step in range(5)]
    return [
        {"ts": ts, "side": "UP", "bids": bids, "asks": asks},
        {
            "ts": ts,
            "side": "DOWN",
            "bids": [[round(1 - price, 2), size] for price, size in asks],
            "asks": [[round(1 - price, 2), size] for price, size in bids],
        },
    ]
