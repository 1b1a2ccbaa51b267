"""What a wallet has at risk, computed from the venue's ledger: cost of what is held, less its full
sets, and open buys.

A sale takes its part of the cost along. A buy at once risks its budget, a resting one its size at
its price, less what was filled. Money in micros.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from siege.ledger import Ledger, Row

MICROS = 1_000_000


@dataclass
class Holdings:
    """Shares and their cost by token, its market, and what open buys may still cost by hash."""

    size: dict[str, int] = field(default_factory=dict)
    cost: dict[str, int] = field(default_factory=dict)
    market: dict[str, str] = field(default_factory=dict)
    open: dict[str, tuple[int, int]] = field(default_factory=dict)  # price, size left
    budget: dict[str, int] = field(default_factory=dict)

    def total(self) -> int:
        """Return everything at risk, micros. A full set pays 1 whatever happens."""
        resting = sum(price * size // MICROS for price, size in self.open.values())
        return self._held() + resting + sum(self.budget.values())

    def _held(self) -> int:
        tokens: dict[str, list[str]] = defaultdict(list)
        for token, market in self.market.items():
            tokens[market].append(token)
        at_risk = 0
        for pair in tokens.values():
            sets = min(self.size[token] for token in pair) if len(pair) == 2 else 0
            at_risk += max(0, sum(self.cost[token] for token in pair) - max(0, sets))
        return at_risk

    def apply(self, row: Row) -> None:
        """Follow one row of the ledger."""
        order_hash = row.get("order_hash", "")
        if row["type"] == "order" and row["side"] == "BUY":
            if row["budget"]:
                self.budget[order_hash] = row["budget"]
            else:
                self.open[order_hash] = (row["price"], row["size"])
        elif row["type"] == "cancel":
            self.open.pop(order_hash, None)
            self.budget.pop(order_hash, None)
        elif row["type"] == "fill":
            self._fill(row, order_hash)

    def _fill(self, row: Row, order_hash: str) -> None:
        token, size = row["token_id"], row["size"]
        self.market[token] = row["condition_id"]
        held, cost = self.size.get(token, 0), self.cost.get(token, 0)
        if row["side"] == "BUY":
            self.size[token], self.cost[token] = held + size, cost + row["notional"]
            if order_hash in self.open:
                price, left = self.open[order_hash]
                self.open[order_hash] = (price, max(0, left - size))
            if order_hash in self.budget:
                self.budget[order_hash] = max(0, self.budget[order_hash] - row["notional"])
        elif held:
            self.size[token] = held - size
            self.cost[token] = cost * max(0, held - size) // held


def exposures(ledger: Ledger, foreign_seen_ms: int) -> Iterator[tuple[Row, int]]:
    """Yield each order of the run and what was at risk once it was accepted, micros.

    Orders made elsewhere count from `foreign_seen_ms` on: that long a run may take to hear of them.
    Trades that fail count as if they had never been, from their beginning: a run may be more
    careful than this, never less.
    """
    failed = ledger.failed_trades()
    placed_ms = {r["order_hash"]: r["ts"] for r in ledger.of("order")}
    own = {row["order_hash"] for row in ledger.own_orders()}
    for order in ledger.own_orders():
        holdings = Holdings()
        for row in ledger.rows:
            if row["seq"] > order["seq"]:
                break
            if row.get("maker") != ledger.maker or row.get("trade_id") in failed:
                continue
            order_hash = row.get("order_hash", "")
            is_new = order["ts"] - row["ts"] < foreign_seen_ms
            if order_hash in placed_ms and order_hash not in own and is_new:
                continue
            holdings.apply(row)
        yield order, holdings.total()
