"""Order and trade objects of the account, streamed or read back, as exact values. Pure.

A trade is told from the taker's side even to its makers: a maker's fill is the leg of
`maker_orders` that carries our key or address, and that leg may be the other token and side.
The fee is never in these objects (`fee_rate_bps` is a legacy flag): a taker's fill says -1.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace

import msgspec

from engine.host.secrets import Account
from engine.wire.codes import Liquidity, OrderStatus, Settlement, Side
from engine.wire.status_texts import order_status_of, settlement_of
from feeds.clob_frames import side_of
from feeds.numbers import MICROS, micros_floor, order_hash_of, token_number, venue_ns_lenient

FEE_UNSAID = -1
REPEAT_MAX = 255

Stamp = str | int | None


class OrderObject(msgspec.Struct):
    """An order as the stream and `/data/orders` describe it; size_matched may be empty."""

    id: str
    asset_id: str
    side: str
    price: str
    original_size: str
    size_matched: str = ""
    status: str | None = None
    type: str = ""
    timestamp: Stamp = None


class MakerLeg(msgspec.Struct):
    """One resting order of a trade."""

    order_id: str
    matched_amount: str
    price: str
    asset_id: str
    owner: str = ""
    maker_address: str = ""
    side: str = ""


class TradeObject(msgspec.Struct):
    """A trade as the stream and `/data/trades` describe it."""

    id: str
    asset_id: str
    side: str
    size: str
    price: str
    status: str
    taker_order_id: str
    trader_side: str = ""
    owner: str = ""
    maker_address: str = ""
    maker_orders: list[MakerLeg] | None = None
    match_time: Stamp = None
    matchtime: Stamp = None
    timestamp: Stamp = None
    last_update: Stamp = None


@dataclass(frozen=True, slots=True)
class OrderValue:
    """What an order object says, in micros. matched: None where it is left empty."""

    order_hash: bytes
    token_id: str
    status: OrderStatus
    side: Side
    price: int
    size: int
    matched: int | None
    venue_ns: int


@dataclass(frozen=True, slots=True)
class FillValue:
    """Our part of a trade, in micros.

    repeat: how many parts of the same order come before it by price and size: the same number in
    whatever order a message lists them, as its place in a list would not be.  matched_s: epoch
    seconds, 0 = not said.
    """

    trade_id: bytes
    order_hash: bytes
    token_id: str
    settlement: Settlement
    side: Side
    price: int
    size: int
    liquidity: Liquidity
    repeat: int
    venue_ns: int
    matched_s: int


@dataclass(frozen=True, slots=True)
class Identity:
    """How the venue names us: key in `owner`, addresses in `maker_address`; all lower case."""

    key: str
    addresses: frozenset[str]

    @classmethod
    def of(cls, account: Account) -> Identity:
        """Return the names of an account."""
        addresses = frozenset({account.funder.lower(), account.address.lower()})
        return cls(account.api.key.lower(), addresses)

    def owns(self, owner: str, maker_address: str) -> bool:
        """Return whether either name is ours."""
        return owner.lower() == self.key or maker_address.lower() in self.addresses


def trade_key(text: str) -> bytes:
    """Return a trade id as 16 bytes: the UUID it is, or a digest of whatever else it may be."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def order_status(order: OrderObject) -> OrderStatus:
    """Return an order's status from its text, else from the event's type.

    A word that is not known counts as LIVE: the order may rest, which is the worst it can do.
    """
    if order.type == "CANCELLATION":
        return OrderStatus.CANCELED
    return order_status_of(order.status or "") or OrderStatus.LIVE


def order_value(order: OrderObject) -> OrderValue:
    """Return an order's values; ValueError names what makes no sense."""
    token_number(order.asset_id)
    return OrderValue(
        order_hash=order_hash_of(order.id),
        token_id=order.asset_id,
        status=order_status(order),
        side=side_of(order.side),
        price=_price(order.price),
        size=micros_floor(order.original_size),
        matched=micros_floor(order.size_matched) if order.size_matched else None,
        venue_ns=venue_ns_lenient(order.timestamp),
    )


def fill_values(trade: TradeObject, identity: Identity) -> list[FillValue]:
    """Return our parts of a trade: the taker's, our maker legs, or (trading with ourselves) both.

    ValueError names what makes no sense.
    """
    settlement = settlement_of(trade.status)
    match_ns = venue_ns_lenient(trade.match_time or trade.matchtime)
    stamp_ns = venue_ns_lenient(trade.timestamp or trade.last_update) or match_ns
    fills: list[FillValue] = []

    def add(
        order_id: str, token_id: str, side: Side, price: str, size: str, as_: Liquidity
    ) -> None:
        token_number(token_id)
        fills.append(
            FillValue(
                trade_id=trade_key(trade.id),
                order_hash=order_hash_of(order_id),
                token_id=token_id,
                settlement=settlement,
                side=side,
                price=_price(price),
                size=micros_floor(size),
                liquidity=as_,
                repeat=0,
                venue_ns=stamp_ns,
                matched_s=(match_ns or stamp_ns) // 1_000_000_000,
            )
        )

    taker_side = side_of(trade.side)
    role = trade.trader_side.upper()
    if role == "TAKER" or (role != "MAKER" and identity.owns(trade.owner, trade.maker_address)):
        add(
            trade.taker_order_id,
            trade.asset_id,
            taker_side,
            trade.price,
            trade.size,
            Liquidity.TAKER,
        )
    for leg in trade.maker_orders or ():
        if identity.owns(leg.owner, leg.maker_address):
            side = _leg_side(leg, trade, taker_side)
            add(leg.order_id, leg.asset_id, side, leg.price, leg.matched_amount, Liquidity.MAKER)
    return _numbered(fills)


def _numbered(fills: list[FillValue]) -> list[FillValue]:
    """Return fills with their repeats: those of one order are counted by price, then size."""
    seen: dict[bytes, int] = {}
    repeats: dict[int, int] = {}
    for k in sorted(range(len(fills)), key=lambda k: (fills[k].price, fills[k].size)):
        repeats[k] = seen.get(fills[k].order_hash, 0)
        seen[fills[k].order_hash] = repeats[k] + 1
    return [replace(each, repeat=min(repeats[k], REPEAT_MAX)) for k, each in enumerate(fills)]


def _leg_side(leg: MakerLeg, trade: TradeObject, taker_side: Side) -> Side:
    """Return a leg's side; unsaid, it is the taker's other one, or his own in the other token."""
    if leg.side:
        return side_of(leg.side)
    return Side(1 - taker_side) if leg.asset_id == trade.asset_id else taker_side


def _price(text: str) -> int:
    """Return a price in micros, rounded down: the venue prints quotients in full."""
    price = micros_floor(text)
    if price > MICROS:
        raise ValueError(f"price must not exceed 1: price={text[:40]!r}")
    return price
