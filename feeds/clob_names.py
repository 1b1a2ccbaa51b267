"""The market channel's words as the scanner compares them, and the bits for what it has seen."""

from __future__ import annotations

from engine.wire.codes import Kind, Source
from engine.wire.records import BODY_WORD, LEVELS_PER_RECORD, pack_word0
from feeds.json_walk import word_of

# Keys.
PRICE, SIZE, SIDE, HASH = word_of("price"), word_of("size"), word_of("side"), word_of("hash")
BIDS, ASKS, MARKET, ASSET_ID = (
    word_of("bids"),
    word_of("asks"),
    word_of("market"),
    word_of("asset_id"),
)
BEST_BID, BEST_ASK, TIMESTAMP = word_of("best_bid"), word_of("best_ask"), word_of("timestamp")
TICK_SIZE, EVENT_TYPE, CHANGES = (
    word_of("tick_size"),
    word_of("event_type"),
    word_of("price_changes"),
)

# Values.
BUY, SELL = word_of("BUY"), word_of("SELL")
BOOK, PRICE_CHANGE = word_of("book"), word_of("price_change")
LAST_TRADE_PRICE, BEST_BID_ASK = word_of("last_trade_price"), word_of("best_bid_ask")

# Which keys of an object were seen; a second time is not plain.
SAW_ASSET, SAW_TIME, SAW_HASH, SAW_BIDS, SAW_ASKS = 1, 2, 4, 8, 16
SAW_TICK, SAW_EVENT, SAW_CHANGES, SAW_PRICE, SAW_SIZE = 32, 64, 128, 256, 512
SAW_SIDE, SAW_BEST_BID, SAW_BEST_ASK, SAW_MARKET = 1024, 2048, 4096, 8192

# What each event has, its market aside; a book may say its tick.
BOOK_KEYS = SAW_ASSET | SAW_TIME | SAW_HASH | SAW_BIDS | SAW_ASKS | SAW_EVENT
CHANGES_KEYS = SAW_TIME | SAW_CHANGES | SAW_EVENT
CHANGE_KEYS = SAW_ASSET | SAW_PRICE | SAW_SIZE | SAW_SIDE | SAW_HASH | SAW_BEST_BID | SAW_BEST_ASK
TRADE_KEYS = SAW_ASSET | SAW_TIME | SAW_PRICE | SAW_SIZE | SAW_SIDE | SAW_EVENT
TOUCH_KEYS = SAW_ASSET | SAW_TIME | SAW_BEST_BID | SAW_BEST_ASK | SAW_EVENT

# Rows.
CLAIM_WORD = BODY_WORD + 2 * LEVELS_PER_RECORD
HASH_WORD = CLAIM_WORD + 1
LEVELS_HEADER = pack_word0(Kind.LEVELS, Source.CLOB_MARKET, 0, 0)
TRADE_HEADER = pack_word0(Kind.TRADE, Source.CLOB_MARKET, 0, 0)
TOUCH_HEADER = pack_word0(Kind.BBO, Source.CLOB_MARKET, 0, 0)
