"""The market stream's texts, byte for byte in the venue's spelling.

Formatted by hand because the spelling is the point: the subscribe dump is compact JSON, later
frames have a space after each comma and none after a colon, which no JSON library writes. Nothing
needs escaping: every value is a number, a hash or a word of ours. Source: feeds.md §1.2-1.4 and the
recorded frames.
"""

from __future__ import annotations

import json
from typing import Any

from engine.exchange.book_hash import BookSummary, level_text, version_text
from engine.exchange.books import Book, Change, Levels
from engine.exchange.listing import Listing
from engine.exchange.market import Market
from engine.exchange.texts import decimal_text
from engine.wire.codes import FeeCurve, Side
from signer.contracts import Generation

SIDE_NAMES = (Side.BUY.name, Side.SELL.name)


def levels_text(levels: Levels, side: int) -> str:
    """Return one side as the venue lists it, worst first: bids ascend, asks descend; compact."""
    ordered = sorted(levels.items(), reverse=side == Side.SELL)
    return ",".join(
        [level_text(decimal_text(price), decimal_text(size)) for price, size in ordered]
    )


def book_hash(listing: Listing, outcome: int) -> str:
    """Return the venue's hash of a book as it stands."""
    book = listing.pool.books[outcome]
    bids, asks = levels_text(book.bids, Side.BUY), levels_text(book.asks, Side.SELL)
    return _summary(listing, outcome, bids, asks).hash()


def rest_book(listing: Listing, outcome: int) -> str:
    """Return the body of `GET /book`."""
    book = listing.pool.books[outcome]
    bids, asks = levels_text(book.bids, Side.BUY), levels_text(book.asks, Side.SELL)
    summary = _summary(listing, outcome, bids, asks)
    return summary.text(summary.hash())


def book_frame(listing: Listing, outcome: int) -> str:
    """Return a `book` event, compact, as the subscribe dump has it."""
    book = listing.pool.books[outcome]
    bids, asks = levels_text(book.bids, Side.BUY), levels_text(book.asks, Side.SELL)
    market = listing.market
    return (
        f'{{"market":"{market.condition_id}","asset_id":"{market.tokens[outcome]}",'
        f'"timestamp":"{book.time_ms}","hash":"{_summary(listing, outcome, bids, asks).hash()}",'
        f'"bids":[{bids}],"asks":[{asks}],"tick_size":"{decimal_text(listing.tick)}",'
        f'"event_type":"book","last_trade_price":"{listing.last_trade_price}"'
        f"{version_text(book_version(market))}}}"
    )


def dump_frame(books: list[str]) -> str:
    """Return the answer to a subscription: all its books in one array, and a newline."""
    return f"[{','.join(books)}]\n"


def price_change_frame(
    listing: Listing, changes: list[tuple[int, list[Change]]], now_ms: int
) -> str:
    """Return one `price_change` event for all changes of a market in one millisecond.

    Every entry carries the hash and the touch of its book after the whole frame.
    """
    market = listing.market
    entries: list[str] = []
    for outcome, levels in changes:
        book = listing.pool.books[outcome]
        head = f'{{"asset_id":"{market.tokens[outcome]}", "price":"'
        tail = (
            f'", "hash":"{book_hash(listing, outcome)}", '
            f'"best_bid":"{decimal_text(book.best_bid)}", '
            f'"best_ask":"{decimal_text(book.best_ask)}"}}'
        )
        entries += [
            f'{head}{decimal_text(price)}", "size":"{decimal_text(size)}", '
            f'"side":"{SIDE_NAMES[side]}{tail}'
            for side, price, size in levels
        ]
    return (
        f'{{"market":"{market.condition_id}", "price_changes":[{", ".join(entries)}], '
        f'"timestamp":"{now_ms}", "event_type":"price_change"}}'
    )


def tick_size_frame(listing: Listing, outcome: int, old_tick: int, now_ms: int) -> str:
    """Return a `tick_size_change` event."""
    market = listing.market
    return (
        f'{{"market":"{market.condition_id}", "asset_id":"{market.tokens[outcome]}", '
        f'"old_tick_size":"{decimal_text(old_tick)}", '
        f'"new_tick_size":"{decimal_text(listing.tick)}", '
        f'"timestamp":"{now_ms}", "event_type":"tick_size_change"}}'
    )


def trade_frame(
    listing: Listing, outcome: int, side: int, price: int, size: int, transaction: str, now_ms: int
) -> str:
    """Return a `last_trade_price` event: a public trade in the taker's token."""
    market = listing.market
    return (
        f'{{"market":"{market.condition_id}", "asset_id":"{market.tokens[outcome]}", '
        f'"price":"{decimal_text(price)}", "size":"{decimal_text(size)}", '
        f'"fee_rate_bps":"0", "side":"{SIDE_NAMES[side]}", "timestamp":"{now_ms}", '
        f'"event_type":"last_trade_price", "transaction_hash":"{transaction}"}}'
    )


def touch_frame(listing: Listing, outcome: int, book: Book, now_ms: int) -> str:
    """Return a `best_bid_ask` event."""
    market = listing.market
    return (
        f'{{"market":"{market.condition_id}", "asset_id":"{market.tokens[outcome]}", '
        f'"best_bid":"{decimal_text(book.best_bid)}", "best_ask":"{decimal_text(book.best_ask)}", '
        f'"spread":"{decimal_text(max(book.best_ask - book.best_bid, 0))}", '
        f'"timestamp":"{now_ms}", "event_type":"best_bid_ask"}}'
    )


def new_market_frame(listing: Listing, now_ms: int) -> str:
    """Return a `new_market` event: everything but the window's schedule."""
    market, number = listing.market, market_id(listing)
    tokens = [str(token) for token in market.tokens]
    view: dict[str, Any] = {
        "id": number,
        "question": market.question,
        "market": market.condition_id,
        "slug": market.slug,
        "description": "",
        "assets_ids": tokens,
        "outcomes": market.outcomes,
        "event_message": {
            "id": number,
            "ticker": market.slug,
            "slug": market.slug,
            "title": market.question,
            "description": "",
        },
        "timestamp": str(now_ms),
        "event_type": "new_market",
        "tags": [],
        "condition_id": market.condition_id,
        "active": True,
        "clob_token_ids": tokens,
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": decimal_text(listing.tick),
        "group_item_title": "",
        "taker_base_fee": "1000",
        "fees_enabled": market.fee.curve != FeeCurve.FREE,
    }
    if market.fee.curve == FeeCurve.V2:
        view["fee_schedule"] = {
            "exponent": str(market.fee.exponent),
            "rate": decimal_text(market.fee.rate_ppm),
            "taker_only": True,
            "rebate_rate": decimal_text(market.fee.rebate_ppm),
        }
    return json.dumps(view, separators=(", ", ":"), ensure_ascii=False)  # this one may need escapes


def resolved_frame(listing: Listing, now_ms: int) -> str:
    """Return a `market_resolved` event; the listing has payouts."""
    market, payouts = listing.market, listing.payouts
    assert payouts is not None, f"market has no payouts: slug={market.slug}"
    winner = payouts.index(max(payouts))
    up, down = market.tokens
    return (
        f'{{"id":"{market_id(listing)}", "market":"{market.condition_id}", '
        f'"assets_ids":["{up}", "{down}"], "winning_asset_id":"{market.tokens[winner]}", '
        f'"winning_outcome":"{market.outcomes[winner]}", "timestamp":"{now_ms}", "tags":[], '
        f'"event_type":"market_resolved"}}'
    )


def spaced(frame: str) -> str:
    """Return a compact frame in the spelling of later frames."""
    return frame.replace(",", ", ")


def market_id(listing: Listing) -> str:
    """Return Gamma's number of a market: any stable one will do."""
    return str(int(listing.market.condition_id[2:9], 16))


def book_version(market: Market) -> str:
    """Return how the venue's books name the protocol of a market; "" where they do not."""
    return "v2" if market.generation >= Generation.V3 else ""


def _summary(listing: Listing, outcome: int, bids: str, asks: str) -> BookSummary:
    market = listing.market
    return BookSummary(
        market=market.condition_id,
        asset_id=str(market.tokens[outcome]),
        timestamp_ms=str(listing.pool.books[outcome].time_ms),
        bids=bids,
        asks=asks,
        min_order_size=decimal_text(market.min_size),
        tick_size=decimal_text(listing.tick),
        neg_risk=market.neg_risk,
        last_trade_price=listing.last_trade_price,
        version=book_version(market),
    )
