"""One paper order through a list of book snapshots: `paper_order` of the quantitative reference.

The matching model is the local exchange's own; this drives it by the times a row gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from engine.exchange.market import FeeRule
from engine.exchange.matching import Fill, Order, Verdict
from engine.exchange.pool import Pool
from engine.math.units import MICROS
from engine.vectors.case import Fact, NotComputed, Row
from engine.vectors.values import decimal, exact_micros, exponent, member
from engine.wire.codes import Liquidity, Side, Tif


class _Run:
    """The order's life; `fills` are (milliseconds, fill, fee in micros)."""

    def __init__(self, given: Row) -> None:
        power = exponent(given["exponent"])
        if power is None:
            raise NotComputed
        order, latency = given["order"], given["latency"]
        self.placed_ms = order["now_ms"] + latency["decision_ms"] + latency["submit_ms"]
        self.taker_delay_ms = latency["taker_delay_ms"]
        self.expires_ms = self.placed_ms + order["ttl_ms"] if "ttl_ms" in order else None
        self.order = Order(
            "order",
            0,
            member(Side, order["side"]),
            exact_micros(order["limit"]),
            exact_micros(order["size"]),
            member(Tif, order["tif"]),
            bool(order.get("post_only")),
        )
        self.fills: list[tuple[int, Fill, int]] = []
        self._fee = FeeRule(rate_ppm=exact_micros(given["rate"]), exponent=power)
        self._pool = Pool()
        self._snapshots = given["snapshots"]
        self._next = 0

    def play(self) -> tuple[str, int | None]:
        """Return the order's status and when it was reached, None while it is open."""
        self._show_through(self.placed_ms)
        verdict = self._pool.judge(self.order)
        if verdict is Verdict.NO_BOOK:
            return "REJECTED_NO_BOOK", self.placed_ms
        if verdict is Verdict.CROSSES:
            return "REJECTED_POST_ONLY", self.placed_ms
        is_marketable = verdict is Verdict.MARKETABLE
        if is_marketable or self.order.is_immediate:
            act_ms = self.placed_ms + (self.taker_delay_ms if is_marketable else 0)
            end = self._take(act_ms)
            if end is not None:
                return end
        self._pool.rest(self.order)
        return self._wait()

    def _take(self, act_ms: int) -> tuple[str, int] | None:
        """Match on the book at `act_ms`; None where the rest of the order now waits."""
        if self.expires_ms is not None and self.expires_ms <= act_ms:
            return "EXPIRED", self.expires_ms
        self._show_through(act_ms)
        fills, is_complete, _ = self._pool.sweep(self.order)
        self._pool.commit(self.order, fills)
        self._book(act_ms, fills)
        if is_complete:
            return "FILLED", act_ms
        if self.order.tif == Tif.FOK:
            return "KILLED", act_ms
        if self.order.tif == Tif.FAK:
            return ("PARTIAL_CANCELED" if fills else "CANCELED"), act_ms
        return None

    def _wait(self) -> tuple[str, int | None]:
        while self._next < len(self._snapshots):
            now_ms = self._snapshots[self._next]["ts_ms"]
            if self.expires_ms is not None and now_ms >= self.expires_ms:
                break
            self._show()
            self._book(now_ms, [fill for _, fill in self._pool.refresh(0)])
            if not self.order.left:
                return "FILLED", now_ms
        end = "OPEN" if self.expires_ms is None else "EXPIRED"
        return (f"PARTIAL_{end}" if self.fills else end), self.expires_ms

    def _show_through(self, now_ms: int) -> None:
        while self._next < len(self._snapshots) and self._snapshots[self._next]["ts_ms"] <= now_ms:
            self._show()
            self._pool.refresh(0)

    def _show(self) -> None:
        snapshot = self._snapshots[self._next]
        self._next += 1
        bids, asks = (
            {exact_micros(price): exact_micros(size) for price, size in snapshot[side]}
            for side in ("bids", "asks")
        )
        self._pool.books[0].replace(bids, asks, snapshot["ts_ms"])

    def _book(self, now_ms: int, fills: list[Fill]) -> None:
        for fill in fills:
            is_taker = fill.liquidity == Liquidity.TAKER
            fee = self._fee.charge(fill.size, fill.price) if is_taker else 0
            self.fills.append((now_ms, fill, fee))


def paper_facts(given: Row, want: Row) -> Iterable[Fact]:
    """Yield status, times, every fill with its fee, and the cash."""
    run = _Run(given)
    status, done_ms = run.play()
    yield "status", want["status"], status
    yield "placed_ms", want["placed_ms"], run.placed_ms
    yield "done_ms", want["done_ms"], done_ms
    yield "fills", len(want["fills"]), len(run.fills)
    for index, (expected, (now_ms, fill, fee)) in enumerate(
        zip(want["fills"], run.fills, strict=True)
    ):
        yield f"fills[{index}].ts_ms", expected["ts_ms"], now_ms
        yield f"fills[{index}].price", decimal(expected["price"]), _dollars(fill.price)
        yield f"fills[{index}].size", decimal(expected["size"]), _dollars(fill.size)
        yield f"fills[{index}].fee", decimal(expected["fee"]), _dollars(fee)
        liquidity = Liquidity(fill.liquidity).name
        yield f"fills[{index}].liquidity", expected["liquidity"], liquidity
    fees = sum(fee for _, _, fee in run.fills)
    cash = run.order.spent if run.order.side == Side.SELL else -run.order.spent
    yield "shares", decimal(want["shares"]), _dollars(run.order.filled)
    yield "notional", decimal(want["notional"]), _dollars(run.order.spent)
    yield "fee", decimal(want["fee"]), _dollars(fees)
    yield "cash", decimal(want["cash"]), _dollars(cash - fees)


def _dollars(micros: int) -> Decimal:
    return Decimal(micros) / MICROS
