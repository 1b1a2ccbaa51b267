"""Orders and trades as JSON objects, the same for REST and the user stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.exchange.fates import TradeStatus
from engine.exchange.orders import Trade, VenueOrder
from engine.exchange.texts import MICROS, decimal_text
from engine.wire.codes import Liquidity, Side, Tif

STRANGER_OWNER = "00000000-0000-4000-8000-000000000000"  # the recorded market's account
STRANGER_ADDRESS = "0x" + "11" * 20
NO_HASH = ""


def order_view(order: VenueOrder) -> dict[str, Any]:
    """Return the venue's order object."""
    submission, terms = order.submission, order.terms
    return {
        "id": order.order_hash,
        "status": str(order.status),
        "market": submission.market.condition_id,
        "asset_id": str(order.token),
        "owner": submission.owner,
        "maker_address": submission.account.address,
        "side": Side(terms.side).name,
        "price": decimal_text(terms.limit),
        "original_size": decimal_text(terms.size),
        "size_matched": decimal_text(terms.filled),
        "outcome": submission.market.outcomes[submission.outcome],
        "order_type": Tif(terms.tif).name,
        "expiration": str(submission.expiration_s),
        "created_at": str(order.created_ms // 1_000),
        "associate_trades": list(order.trade_ids),
    }


def trade_view(trade: Trade) -> dict[str, Any]:
    """Return the venue's trade object: top level the taker's, makers in `maker_orders`."""
    fill, market = trade.fill, trade.order.submission.market
    taker, maker = _own_leg(trade), _other_leg(trade)
    if fill.liquidity == Liquidity.MAKER:
        taker, maker = maker, taker
    return {
        "id": trade.trade_id,
        "taker_order_id": taker.order_id,
        "market": market.condition_id,
        "asset_id": str(market.tokens[taker.outcome]),
        "side": Side(taker.side).name,
        "size": decimal_text(fill.size),
        "price": decimal_text(taker.price),
        "fee_rate_bps": "0",
        "status": str(trade.status),
        "match_time": str(trade.matched_ms // 1_000),
        "match_time_nano": str(trade.matched_ms * 1_000_000),
        "last_update": str(trade.updated_ms // 1_000),
        "outcome": market.outcomes[taker.outcome],
        "owner": taker.owner,
        "trade_owner": taker.owner,
        "maker_address": taker.address,
        "bucket_index": 0,
        "transaction_hash": NO_HASH
        if trade.status is TradeStatus.MATCHED
        else trade.transaction_hash,
        "trader_side": Liquidity(fill.liquidity).name,
        "maker_orders": [
            {
                "order_id": maker.order_id,
                "owner": maker.owner,
                "maker_address": maker.address,
                "matched_amount": decimal_text(fill.size),
                "price": decimal_text(maker.price),
                "fee_rate_bps": "0",
                "asset_id": str(market.tokens[maker.outcome]),
                "outcome": market.outcomes[maker.outcome],
                "outcome_index": maker.outcome,
                "side": Side(maker.side).name,
            }
        ],
    }


class _Leg(NamedTuple):
    """Who traded what, on one side of a trade."""

    order_id: str
    owner: str
    address: str
    side: int
    outcome: int
    price: int


def _own_leg(trade: Trade) -> _Leg:
    submission = trade.order.submission
    return _Leg(
        trade.order.order_hash,
        submission.owner,
        submission.account.address,
        submission.side,
        submission.outcome,
        trade.fill.price,
    )


def _other_leg(trade: Trade) -> _Leg:
    """Return the other side: of this token, or in a mint or merge the same side of the other."""
    own, counter = _own_leg(trade), trade.counter
    if counter is None:
        who = (trade.counter_hash, STRANGER_OWNER, STRANGER_ADDRESS)
    else:
        key = counter.submission.owner or STRANGER_OWNER
        who = (counter.order_hash, key, counter.submission.account.address)
    if trade.mirrored:
        return _Leg(*who, own.side, 1 - own.outcome, MICROS - own.price)
    return _Leg(*who, 1 - own.side, own.outcome, own.price)


def answer_view(
    order_hash: str, status: str, making: int, taking: int, trade_ids: tuple[str, ...]
) -> dict[str, Any]:
    """Return the success body of `POST /order`; amounts are decimals, "" if nothing matched."""
    return {
        "success": True,
        "errorMsg": "",
        "orderID": order_hash,
        "status": status,
        "makingAmount": decimal_text(making) if making else "",
        "takingAmount": decimal_text(taking) if taking else "",
        "transactionsHashes": [],
        "tradeIDs": list(trade_ids),
    }
