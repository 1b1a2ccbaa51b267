"""The truth ledger: what really happened to every order. Append-only JSON lines.

Whoever checks a trading system against this exchange reads this file and nothing else, so its
layout is a promise. Every line has `seq` (1, 2, …), `ts` (venue ms) and `type`; money, prices and
sizes are integer micros; sides are "BUY" and "SELL"; hashes and ids are the venue's.

```
type       further keys
---------  -----------------------------------------------------------------------------------------
fund       an account of the exchange's own traders: maker, name, cash
start      mode, markets [slug, …], accounts [address, …], balance
order      accepted: order_hash, owner, maker, condition_id, token_id, outcome, side, price, size,
           budget (FOK/FAK buys, else 0), order_type, post_only, expiration (s, 0 = none)
reject     refused, never live: order_hash, maker, token_id, reason
fill       trade_id, order_hash, maker, condition_id, token_id, side, liquidity "TAKER" | "MAKER",
           price, size, notional, fee (takers only, on top of a buy, out of a sale)
cancel     over, not filled: order_hash, maker, filled, reason "cancelled" | "expired" | "killed" |
           "resolved" | "balance" | "own" (a taker of its own owner reached it)
settle     trade_id, status "MINED" | "CONFIRMED" | "RETRYING" | "FAILED"
resolve    condition_id, slug, payouts [up, down] micros a share
payout     condition_id, maker, token_id, shares, cash
split      through the relayer: condition_id, maker, amount (of each outcome), cash (given)
merge      the same backwards: condition_id, maker, amount, cash (received)
redeem     condition_id, maker, amount (shares of either outcome), cash (received)
rebate     maker, condition_id, cash
fault      the scenario struck: number (its place in the file), fault (its kind), where
```
`order.size` is what a full fill at the limit gives; `maker` is the account's address.
A trade between two orders here is two fills with one `trade_id`. `notional` is rounded down, or
one micro more, as the contract has it: the same for both, and for a mint or merge the two add up to
`size`. FAILED reverses every fill of the trade: notional, fee and size.
An order that fails before the desk (credentials, signature, unknown token) leaves no row.
Rows are written when the loop's turn ends, and before any client is told: a killed process loses at
most what nobody had heard of.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from engine.host.errors import RefuseError


class TruthLedger:
    """Writes rows; remembers nothing. Without a path nothing is kept at all."""

    __slots__ = ("_descriptor", "_rows", "_sequence", "on_first")

    def __init__(self, path: Path | None = None) -> None:
        """Append to `path`; RefuseError when it cannot be written."""
        self._rows: list[bytes] = []
        self._sequence = 0
        self._descriptor = -1
        self.on_first: Callable[[], object] = _nothing  # called when a row waits to be flushed
        if path is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            try:
                self._descriptor = os.open(path, flags, 0o600)
            except OSError as error:
                raise RefuseError(
                    f"truth ledger cannot be written: file={path}, {error.strerror}"
                ) from None

    @property
    def is_kept(self) -> bool:
        """Whether rows go anywhere."""
        return self._descriptor >= 0

    def write(self, kind: str, ts_ms: int, **fields: Any) -> None:
        """Add one row; it reaches the file with the next `flush`."""
        if not self.is_kept:
            return
        self._sequence += 1
        row = {"seq": self._sequence, "ts": ts_ms, "type": kind, **fields}
        if not self._rows:
            self.on_first()
        self._rows.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def flush(self) -> None:
        """Write what waits, in one go."""
        if self._rows:
            data = memoryview(b"".join(self._rows))
            self._rows.clear()
            while data:
                data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if self.is_kept:
            self.flush()
            os.close(self._descriptor)
            self._descriptor = -1


def _nothing() -> None:
    pass
