"""The market stream's manners: how a client begins, and what he hears of trades and new markets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiohttp import ClientWebSocketResponse
from deadlines import PATIENCE_S
from exchange_support import END_MS, Served, market, served

from engine.exchange.market import derive_tokens
from engine.exchange.rules import VenueRules
from engine.exchange.server.frames import book_hash
from engine.wire.codes import Side, Tif

NO_DELAY = VenueRules(taker_delay_ms=0)
OTHER = "0x" + "cd" * 32


async def receive(socket: ClientWebSocketResponse) -> Any:
    """Return the next frame, decoded."""
    return orjson.loads(await socket.receive_str(timeout=PATIENCE_S))


async def heard(exchange: Served, socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    """Return all events that were sent before now."""
    await socket.send_str("PING")
    events = []
    while (text := await socket.receive_str(timeout=PATIENCE_S)) != "PONG":
        events.append(orjson.loads(text))
    return events


@pytest.mark.parametrize("path", ["market", "user"])
@pytest.mark.parametrize(
    "text", ["PING", "hello", "[]", '{"operation":"subscribe","assets_ids":[],"markets":[]}']
)
async def test_a_socket_that_does_not_begin_with_a_subscription_is_closed(path: str, text: str):
    """The first frame is a subscription, or the venue hangs up with 1008."""
    async with served() as exchange:
        socket = await exchange.session.ws_connect(f"{exchange.url}/ws/{path}")
        await socket.send_str(text)
        await socket.receive(timeout=PATIENCE_S)
        assert socket.close_code == 1008


async def test_whole_books_follow_a_trade():
    """After its trades a taker's sweep is told as two whole books, whose hash knows the price."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        socket = await exchange.market_socket()
        await receive(socket)
        await exchange.post(Side.BUY, "0.51", "20", Tif.FAK)
        events = await heard(exchange, socket)
        kinds = [event["event_type"] for event in events]
        assert kinds == ["last_trade_price", "last_trade_price", "book", "book"]
        listing = exchange.hand.listing
        for outcome, book in enumerate(events[2:]):
            assert book["asset_id"] == str(listing.market.tokens[outcome])
            assert book["last_trade_price"] == "0.51"
            assert book["hash"] == book_hash(listing, outcome)


async def test_an_order_without_a_trade_sends_no_book():
    """A killed order and a resting one change no book that is not theirs."""
    async with served(NO_DELAY) as exchange:
        exchange.hand.show()
        socket = await exchange.market_socket()
        await receive(socket)
        await exchange.post(Side.BUY, "0.49", "20", Tif.FOK)
        await exchange.post(Side.BUY, "0.49", "20")
        assert await heard(exchange, socket) == []


async def test_a_new_market_is_told_to_all_with_custom_features():
    """Whatever one subscribed to, each new market comes, with its tokens and its fees."""
    async with served() as exchange:
        custom = await exchange.market_socket(custom_feature_enabled=True)
        plain = await exchange.market_socket()
        for socket in (custom, plain):
            await receive(socket)
        made = market(
            slug="btc-updown-15m-1790586900",
            condition_id=OTHER,
            question='Up, or "Down"?',
            tokens=derive_tokens(OTHER),
            start_ms=END_MS,
            end_ms=END_MS + 900_000,
        )
        exchange.hand.venue.open_market(made)
        (event,) = await heard(exchange, custom)
        assert await heard(exchange, plain) == []
        tokens = [str(token) for token in made.tokens]
        assert (event["event_type"], event["slug"]) == ("new_market", made.slug)
        assert (event["market"], event["condition_id"]) == (OTHER, OTHER)
        assert (event["assets_ids"], event["clob_token_ids"]) == (tokens, tokens)
        assert (event["question"], event["outcomes"]) == ('Up, or "Down"?', ["Up", "Down"])
        assert event["order_price_min_tick_size"] == "0.01"
        assert event["fee_schedule"] == {
            "exponent": "1",
            "rate": "0.07",
            "taker_only": True,
            "rebate_rate": "0.2",
        }
