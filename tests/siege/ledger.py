"""The exchange's truth ledger, read by its documented layout: JSON lines, money in micros."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOREIGN_OWNER = "foreign"


@dataclass
class Ledger:
    """What the venue did for one wallet. foreign: hashes of orders that the run did not send."""

    rows: list[Row]
    maker: str
    foreign: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, file: Path, maker: str, foreign: set[str]) -> Ledger:
        """Return the ledger in a file; a half-written last line is left out."""
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        placed = {r["order_hash"] for r in rows if r["type"] == "order" and _is_foreign(r)}
        return cls(rows, maker, foreign | placed)

    def of(self, kind: str) -> list[Row]:
        """Return the wallet's rows of one type, in order."""
        return [r for r in self.rows if r["type"] == kind and r.get("maker") == self.maker]

    def own_orders(self) -> list[Row]:
        """Return the accepted orders that the run sent."""
        return [row for row in self.of("order") if row["order_hash"] not in self.foreign]

    def failed_trades(self) -> set[str]:
        """Return the ids of the trades that the chain refused."""
        settled = (r for r in self.rows if r["type"] == "settle" and r["status"] == "FAILED")
        return {row["trade_id"] for row in settled}

    def alive(self) -> set[str]:
        """Return the hashes of the wallet's orders that may still fill."""
        left = {row["order_hash"]: row["size"] for row in self.of("order")}
        for row in self.rows:
            if row.get("order_hash") not in left:
                continue
            if row["type"] == "fill":
                left[row["order_hash"]] -= row["size"]
            elif row["type"] == "cancel":
                left[row["order_hash"]] = 0
        return {order_hash for order_hash, size in left.items() if size > 0}

    def shares(self) -> int:
        """Return how many micro-shares of all tokens the wallet has, failed trades left out."""
        failed = self.failed_trades()
        signs = {"BUY": 1, "SELL": -1}
        kept = (row for row in self.of("fill") if row["trade_id"] not in failed)
        return sum(signs[row["side"]] * row["size"] for row in kept)

    def cash(self) -> int:
        """Return the wallet's pUSD micros: what it began with, and what each row moved."""
        failed = self.failed_trades()
        cash = next(int(row["balance"]) for row in self.rows if row["type"] == "start")
        for row in self.rows:
            if row.get("maker") != self.maker or row.get("trade_id") in failed:
                continue
            if row["type"] == "fill":
                gross = -row["notional"] if row["side"] == "BUY" else row["notional"]
                cash += gross - row["fee"]
            elif row["type"] in ("payout", "merge", "redeem", "rebate"):
                cash += row["cash"]
            elif row["type"] == "split":
                cash -= row["cash"]
        return cash


def _is_foreign(row: Row) -> bool:
    return str(row["owner"]) == FOREIGN_OWNER
