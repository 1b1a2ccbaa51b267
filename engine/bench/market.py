"""The market of the bench: two tokens whose touches move at every tick, as the venue spells it.

Tick n adds a bid of Up at 0.49 and its mirror, an ask of Down at 0.51; tick n + 1 takes both away.
Every frame names its tick in the venue's timestamp, and the strategy answers tick n with an order
of `size_of(n)` shares: so each request says which frame caused it, and no pairing is guessed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from enum import IntEnum
from typing import Any

from engine.host.secrets import Account, ApiCredentials
from signer.ecdsa import SigningKey


class Arming(IntEnum):
    """Which ticks' orders are armed before them."""

    NEVER = 0
    IN_TURNS = 1  # so that both ways are measured in one run: see `is_armed`
    ALWAYS = 2


SLUG = "bench-up-or-down"
TICKS = 8192  # tick numbers repeat after so many: more than can be under way
ROUND_TICKS_MAX = TICKS // 2
STATE_TICKS = 2  # after so many ticks the books are what they were
ARMED_TICKS = 64  # so many ticks in a row are answered armed, or not, where both are measured
SIZE_SHARES_MIN = 5
TICK_SIZE = "0.01"
# The timestamp of tick 0, milliseconds: a multiple of TICKS.
BASE_MS = 1_700_000_000_000 // TICKS * TICKS

_DEEP = "100000"


def _digest(name: str) -> str:
    return hashlib.sha256(f"{SLUG} {name}".encode()).hexdigest()


CONDITION_ID = "0x" + _digest("condition")
UP, DOWN = (str(int(_digest(outcome), 16)) for outcome in ("Up", "Down"))
_HASH = _digest("book")[:40]


def throwaway_account() -> Account:
    """Return an account nobody has: its key is made here and forgotten with the process."""
    private_key = "0x" + secrets.token_hex(32)
    address = SigningKey.from_hex(private_key).address
    api = ApiCredentials(
        key="00000000-0000-4000-8000-000000000000",
        secret=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        passphrase=secrets.token_hex(32),
    )
    return Account(address, address, api, private_key=private_key)


def size_of(tick: int) -> int:
    """Return the whole shares of the order that answers a tick."""
    return SIZE_SHARES_MIN + tick % TICKS


def tick_of(size_micros: int) -> int:
    """Return the tick, modulo TICKS, that an order of this size answers."""
    return size_micros // 1_000_000 - SIZE_SHARES_MIN


def is_armed(tick: Any) -> Any:
    """Return whether a tick's order is armed before it, where both ways are measured.

    tick: a number or an array of them.
    """
    return tick // ARMED_TICKS % 2 == 1


def gamma_page() -> bytes:
    """Return Gamma's answer to the question for this market."""
    market = {
        "id": "1",
        "slug": SLUG,
        "conditionId": CONDITION_ID,
        "clobTokenIds": json.dumps([UP, DOWN]),
        "outcomes": json.dumps(["Up", "Down"]),
        "orderPriceMinTickSize": float(TICK_SIZE),
        "orderMinSize": SIZE_SHARES_MIN,
        "acceptingOrders": True,
        "closed": False,
        "negRisk": False,
        "feesEnabled": True,
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True},
        "eventStartTime": "2026-01-01T00:00:00Z",
        "endDate": "2036-01-01T00:00:00Z",
    }
    return json.dumps([market]).encode()


def dump() -> bytes:
    """Return the frame that answers a subscription: both books as they are before tick 0."""
    books = ({"bid": "0.48", "ask": "0.52"}, {"bid": "0.48", "ask": "0.52"})
    return f"[{','.join(map(_book, (UP, DOWN), books))}]".encode()


def _book(token: str, touch: dict[str, str]) -> str:
    bids = _levels("0.40", "0.44", touch["bid"])
    asks = _levels("0.60", "0.56", touch["ask"])
    return (
        f'{{"market":"{CONDITION_ID}","asset_id":"{token}","timestamp":"{BASE_MS}",'
        f'"hash":"{_HASH}","bids":[{bids}],"asks":[{asks}],"tick_size":"{TICK_SIZE}",'
        '"event_type":"book","last_trade_price":"0.50"}'
    )


def _levels(*prices: str) -> str:
    return ",".join(f'{{"price":"{price}","size":"{_DEEP}"}}' for price in prices)


def frame(tick: int) -> bytes:
    """Return the `price_change` of one tick: two changes, some 600 bytes."""
    is_there = tick % STATE_TICKS == 0
    size = "250" if is_there else "0"
    up_bid, down_ask = ("0.49", "0.51") if is_there else ("0.48", "0.52")
    up = _change(UP, "0.49", size, "BUY", up_bid, "0.52")
    down = _change(DOWN, "0.51", size, "SELL", "0.48", down_ask)
    return (
        f'{{"market":"{CONDITION_ID}", "price_changes":[{up}, {down}], '
        f'"timestamp":"{BASE_MS + tick}", "event_type":"price_change"}}'
    ).encode()


def _change(token: str, price: str, size: str, side: str, best_bid: str, best_ask: str) -> str:
    return (
        f'{{"asset_id":"{token}", "price":"{price}", "size":"{size}", "side":"{side}", '
        f'"hash":"{_HASH}", "best_bid":"{best_bid}", "best_ask":"{best_ask}"}}'
    )
