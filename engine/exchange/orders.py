"""An order as the venue knows it, and the trades that came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from engine.exchange.accounts import Account
from engine.exchange.fates import TradeStatus
from engine.exchange.market import Market
from engine.exchange.matching import Fill, Order

HOUSE = ""  # the owner of orders that nobody outside can ask for


class Status(StrEnum):
    """The venue's words for where an order stands."""

    LIVE = "LIVE"
    DELAYED = "DELAYED"  # marketable, held by the taker delay
    MATCHED = "MATCHED"
    CANCELED = "CANCELED"
    CANCELED_MARKET_RESOLVED = "CANCELED_MARKET_RESOLVED"
    INVALID = "INVALID"  # failed its second validation, after the hold


class Answer(NamedTuple):
    """What a client is told of an order it posted. error: "" if accepted. Amounts in micros."""

    order_hash: str
    error: str = ""
    http_status: int = 200
    status: str = ""
    making: int = 0
    taking: int = 0
    trade_ids: tuple[str, ...] = ()


Reply = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class Submission:
    """An order whose signature, owner and token are already verified; amounts as signed, micros.

    owner: the API key it came with, `HOUSE` for the exchange's own traders.
    expiration_s: the venue's "expiration", 0 = none.  builder: whose code it carried, b"" = none.
    session_key: the address that signed it for the account's owner, "" = himself.
    """

    order_hash: str
    account: Account
    owner: str
    market: Market
    outcome: int
    side: int
    maker_amount: int
    taker_amount: int
    tif: int
    post_only: bool
    expiration_s: int
    builder: bytes = b""
    session_key: str = ""

    @property
    def trader(self) -> str:
        """Who may see and cancel it: the owner does not, where a session key signed."""
        return self.session_key or self.account.owner


@dataclass(slots=True, eq=False)
class VenueOrder:
    """One accepted order. held: what it holds of its account, micros of pUSD or shares."""

    submission: Submission
    terms: Order
    created_ms: int
    status: Status = Status.LIVE
    held: int = 0
    trade_ids: list[str] = field(default_factory=list)
    reply: Reply | None = None  # the client who still waits for the end of the taker delay

    @property
    def order_hash(self) -> str:
        """The venue's id of the order."""
        return self.submission.order_hash

    @property
    def token(self) -> int:
        """The token it trades."""
        return self.submission.market.tokens[self.submission.outcome]

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in (Status.LIVE, Status.DELAYED)


@dataclass(slots=True, eq=False)
class Trade:
    """One fill of one order: a leg of a trade. The other leg has the same `trade_id`.

    counter: the other leg's order; None if it is the recorded market's, a stranger.
    counter_hash: its hash, whoever has it.  mirrored: the other leg is of the other token (a mint
    or a merge), so one of them sees its own trade under that token.  receipt: what it brought and
    may not be used yet, (asset, micros).
    """

    trade_id: str
    order: VenueOrder
    fill: Fill
    fee: int
    matched_ms: int
    updated_ms: int
    counter_hash: str
    transaction_hash: str
    mirrored: bool
    status: TradeStatus = TradeStatus.MATCHED
    counter: VenueOrder | None = None
    receipt: tuple[int, int] | None = None
