"""Orders and trades as JSON objects, the same for REST and the user stream."""

from __future__ import annotations

from typing import Any

from engine.exchange.orders import Trade, TradeStatus, VenueOrder
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
    order, fill = trade.order, trade.fill
    submission = order.submission
    market, outcome, side = submission.market, submission.outcome, submission.side
    ours = {
        "order_id": order.order_hash,
        "owner": submission.owner,
        "maker_address": submission.account.address,
    }
    stranger = {
        "order_id": trade.counter_hash,
        "owner": STRANGER_OWNER,
        "maker_address": STRANGER_ADDRESS,
    }
    if fill.liquidity == Liquidity.TAKER:
        taker, maker, taker_side, taker_outcome = ours, stranger, side, outcome
        maker_side, maker_outcome, taker_price = 1 - side, outcome, fill.price
    elif trade.mirrored:
        taker, maker, taker_side, taker_outcome = stranger, ours, side, 1 - outcome
        maker_side, maker_outcome, taker_price = side, outcome, MICROS - fill.price
    else:
        taker, maker, taker_side, taker_outcome = stranger, ours, 1 - side, outcome
        maker_side, maker_outcome, taker_price = side, outcome, fill.price
    return {
        "id": trade.trade_id,
        "taker_order_id": taker["order_id"],
        "market": market.condition_id,
        "asset_id": str(market.tokens[taker_outcome]),
        "side": Side(taker_side).name,
        "size": decimal_text(fill.size),
        "price": decimal_text(taker_price),
        "fee_rate_bps": "0",
        "status": str(trade.status),
        "match_time": str(trade.matched_ms // 1_000),
        "match_time_nano": str(trade.matched_ms * 1_000_000),
        "last_update": str(trade.updated_ms // 1_000),
        "outcome": market.outcomes[taker_outcome],
        "owner": taker["owner"],
        "trade_owner": taker["owner"],
        "maker_address": taker["maker_address"],
        "bucket_index": 0,
        "transaction_hash": NO_HASH
        if trade.status is TradeStatus.MATCHED
        else trade.transaction_hash,
        "trader_side": Liquidity(fill.liquidity).name,
        "maker_orders": [
            {
                **maker,
                "matched_amount": decimal_text(fill.size),
                "price": decimal_text(fill.price),
                "fee_rate_bps": "0",
                "asset_id": str(market.tokens[maker_outcome]),
                "outcome": market.outcomes[maker_outcome],
                "outcome_index": maker_outcome,
                "side": Side(maker_side).name,
            }
        ],
    }


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
