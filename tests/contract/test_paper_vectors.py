"""The matching model against the golden paper-trading vectors."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.exchange.market import FeeRule
from engine.exchange.matching import Fill, Order, Verdict
from engine.exchange.pool import Pool
from engine.math.units import micros_from_text
from engine.wire.codes import Liquidity, Side, Tif


class PaperRun:
    """One order through a list of snapshots, as quant.md §8 tells it."""

    def __init__(self, case: dict[str, Any]) -> None:
        order, latency = case["order"], case["latency"]
        self.placed_ms = order["now_ms"] + latency["decision_ms"] + latency["submit_ms"]
        self.expires_ms = self.placed_ms + order["ttl_ms"] if "ttl_ms" in order else None
        self.taker_delay_ms = latency["taker_delay_ms"]
        self.snapshots = case["snapshots"]
        self.fee = FeeRule(rate_ppm=micros_from_text(case["rate"]), exponent=int(case["exponent"]))
        self.pool = Pool()
        self.order = Order(
            "order",
            0,
            Side[order["side"]],
            micros_from_text(order["limit"]),
            micros_from_text(order["size"]),
            Tif[order["tif"]],
            bool(order.get("post_only")),
        )
        self.fills: list[tuple[int, Fill, int]] = []
        self._next = 0

    def run(self) -> tuple[str, int | None]:
        """Return the status and when it was reached."""
        self._show_through(self.placed_ms)
        verdict = self.pool.judge(self.order)
        if verdict is Verdict.NO_BOOK:
            return "REJECTED_NO_BOOK", self.placed_ms
        if verdict is Verdict.CROSSES:
            return "REJECTED_POST_ONLY", self.placed_ms
        marketable = verdict is Verdict.MARKETABLE
        act_ms = self.placed_ms + (self.taker_delay_ms if marketable else 0)
        if marketable or self.order.is_immediate:
            if self.expires_ms is not None and self.expires_ms <= act_ms:
                return "EXPIRED", self.expires_ms
            self._show_through(act_ms)
            fills, complete, _ = self.pool.sweep(self.order)
            self.pool.commit(self.order, fills)
            self._book(act_ms, fills)
            if complete:
                return "FILLED", act_ms
            if self.order.tif == Tif.FOK:
                return "KILLED", act_ms
            if self.order.tif == Tif.FAK:
                return ("PARTIAL_CANCELED" if fills else "CANCELED"), act_ms
        self.pool.rest(self.order)
        return self._wait()

    def _wait(self) -> tuple[str, int | None]:
        while self._next < len(self.snapshots):
            ts_ms = self.snapshots[self._next]["ts_ms"]
            if self.expires_ms is not None and ts_ms >= self.expires_ms:
                break
            self._show()
            self._book(ts_ms, [fill for _, fill in self.pool.refresh(0)])
            if not self.order.left:
                return "FILLED", ts_ms
        end = "OPEN" if self.expires_ms is None else "EXPIRED"
        return (f"PARTIAL_{end}" if self.fills else end), self.expires_ms

    def _show_through(self, now_ms: int) -> None:
        while self._next < len(self.snapshots) and self.snapshots[self._next]["ts_ms"] <= now_ms:
            self._show()
            self.pool.refresh(0)

    def _show(self) -> None:
        snapshot = self.snapshots[self._next]
        self._next += 1
        bids, asks = (
            {micros_from_text(p): micros_from_text(s) for p, s in snapshot[side]}
            for side in ("bids", "asks")
        )
        self.pool.books[0].replace(bids, asks, snapshot["ts_ms"])

    def _book(self, now_ms: int, fills: list[Fill]) -> None:
        for fill in fills:
            taker = fill.liquidity == Liquidity.TAKER
            self.fills.append(
                (now_ms, fill, self.fee.charge(fill.size, fill.price) if taker else 0)
            )


def _dollars(micros: int) -> Decimal:
    return Decimal(micros) / 1_000_000


def _cases() -> list[Any]:
    path = Path(__file__).resolve().parents[3] / "shared/vectors/quant_paper.json"
    if not path.is_file():
        return [pytest.param(None, id="absent")]
    cases = json.loads(path.read_text())["cases"]
    return [pytest.param(c, id=c["id"]) for c in cases if c["fn"] == "paper_order"]


@pytest.mark.parametrize("case", _cases())
def test_matching_agrees_with_paper_vectors(case: dict[str, Any] | None, shared_dir: Path) -> None:
    """Status, times, every fill with its fee, and the cash are those of the golden vectors."""
    if case is None:
        pytest.skip(f"golden data is absent: {shared_dir}")
    run = PaperRun(case["in"])
    status, done_ms = run.run()
    want = case["out"]
    assert (status, run.placed_ms, done_ms) == (want["status"], want["placed_ms"], want["done_ms"])
    got = [
        {
            "ts_ms": ts_ms,
            "price": _dollars(fill.price),
            "size": _dollars(fill.size),
            "fee": _dollars(fee),
            "liquidity": Liquidity(fill.liquidity).name,
        }
        for ts_ms, fill, fee in run.fills
    ]
    exact = ("price", "size", "fee")
    assert got == [
        {key: Decimal(value) if key in exact else value for key, value in fill.items()}
        for fill in want["fills"]
    ]
    fees = sum(fee for _, _, fee in run.fills)
    cash = run.order.spent if run.order.side == Side.SELL else -run.order.spent
    assert _dollars(run.order.filled) == Decimal(want["shares"])
    assert _dollars(run.order.spent) == Decimal(want["notional"])
    assert _dollars(fees) == Decimal(want["fee"])
    assert _dollars(cash - fees) == Decimal(want["cash"])
