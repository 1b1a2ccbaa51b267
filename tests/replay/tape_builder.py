"""Tapes made by hand: records, batches, and a small plausible run of a few markets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.tape.format import TapeHeader
from engine.tape.writer import TapeWriter
from engine.wire.codes import (
    FeeCurve,
    Flag,
    Kind,
    Liquidity,
    MarketStatus,
    Reason,
    Settlement,
    Side,
    Source,
)
from engine.wire.records import RECORD_WORDS, new, words

START_NS = 1_790_586_000_000_000_000
PARAMS = json.dumps(
    {"instruments_max": 64, "strategies": [{"name": "dutch_book"}, {"name": "spread"}]},
    sort_keys=True,
    separators=(",", ":"),
)
MICROS = 1_000_000


def record(kind: Kind, **fields: Any) -> np.ndarray:
    """One record as int64[1,16]; bytes go into V fields."""
    made = new(kind)
    for name, value in fields.items():
        made[name] = np.void(value) if isinstance(value, bytes) else value
    return words(made)


def digest(*parts: object) -> bytes:
    """32 bytes that stand for an id."""
    return hashlib.sha256(repr(parts).encode()).digest()


def instrument(index: int, outcome: int, market: int, **fields: Any) -> np.ndarray:
    """An INSTRUMENT of market number `market`; 15-minute windows, one after the other."""
    open_s = START_NS // 10**9 + 900 * market
    known = {
        "instrument": index,
        "token_id": digest("token", index),
        "condition_id": digest("market", market),
        "complement": index + 1 - 2 * outcome,
        "generation": 2,
        "outcome": outcome,
        "fee_curve": FeeCurve.V2,
        "fee_rate_ppm": 70_000,
        "fee_exponent": 1,
        "tick": 10_000,
        "min_size_cents": 500,
        "open_s": open_s,
        "close_s": open_s + 900,
        "source": Source.GAMMA,
    }
    return record(Kind.INSTRUMENT, **(known | fields))


def book(index: int, bid: int, ask: int, venue_ns: int, local_ns: int) -> np.ndarray:
    """A whole book of one level a side: a LEVELS frame in one record."""
    made = new(Kind.LEVELS)
    made["instrument"] = index
    made["flags"] = Flag.RESET | Flag.LAST | Flag.TOUCH
    made["venue_ns"], made["local_ns"] = venue_ns, local_ns
    levels = made["levels"][0]
    levels["price"][:2] = bid, ask
    levels["side"][:2] = 0, 1
    levels["size"][:2] = 500 * MICROS
    made["best_bid"], made["best_ask"] = bid, ask
    return words(made)


def resolved(index: int, payout: int, venue_ns: int, local_ns: int) -> np.ndarray:
    """The STATUS that ends an instrument."""
    return record(
        Kind.STATUS,
        instrument=index,
        status=MarketStatus.RESOLVED,
        payout=payout,
        venue_ns=venue_ns,
        local_ns=local_ns,
    )


def fill(order_id: int, index: int, price: int, size: int, **fields: Any) -> np.ndarray:
    """A FILL of an order; trade id and hash follow from the order's id."""
    known = {
        "instrument": index,
        "order_hash": digest("order", order_id),
        "trade_id": digest("trade", order_id)[:16],
        "price": price,
        "size": size,
        "fee": -1,
        "side": Side.BUY,
        "liquidity": Liquidity.TAKER,
        "settlement": Settlement.MATCHED,
        "local_ns": START_NS,
        "venue_ns": START_NS,
    }
    return record(Kind.FILL, **(known | fields))


class TapeBuilder:
    """Collects batches as the core would put them on the tape."""

    def __init__(self, params: str = PARAMS) -> None:
        self.header = TapeHeader(1, START_NS, 0, params)
        self._rows: list[np.ndarray] = []
        self.count = 0
        self.now_ns = START_NS

    def batch(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray] = (),
        now_ns: int | None = None,
        published_ns: int | None = None,
    ) -> int:
        """Add a batch, whose inputs and outputs may be of several rows each.

        Returns the sequence of its first input.
        """
        self.now_ns = now_ns if now_ns is not None else self.now_ns + 1_000_000
        first = self.count + 1
        self.add(
            record(
                Kind.TIMER, flags=Flag.BATCH, records=sum(map(len, inputs)), local_ns=self.now_ns
            ),
            *inputs,
            *outputs,
            record(
                Kind.TIMER,
                flags=Flag.PUBLISHED,
                commands=sum(map(len, outputs)),
                local_ns=published_ns if published_ns is not None else self.now_ns + 20_000,
            ),
        )
        return first

    def add(self, *rows: np.ndarray) -> None:
        """Add rows outside any batch."""
        self._rows += rows
        self.count += sum(map(len, rows))

    @property
    def rows(self) -> np.ndarray:
        """Everything so far, int64[n,16]."""
        return np.concatenate([*self._rows, np.zeros((0, RECORD_WORDS), np.int64)])

    def write(self, path: Path) -> Path:
        """Write the tape."""
        writer = TapeWriter(path, self.header)
        writer.append(self.rows, 0)
        writer.close()
        return path


class Trader:
    """Adds whole lives of orders to a tape: decided, signed, sent, answered, filled."""

    def __init__(self, tape: TapeBuilder) -> None:
        self._tape = tape
        self._orders = 0

    def order(
        self,
        index: int,
        side: Side,
        price: int,
        size: int,
        *,
        strategy: int,
        venue_ns: int,
        latency_ns: int,
        liquidity: Liquidity = Liquidity.TAKER,
        is_rejected: bool = False,
    ) -> int:
        """Add an order that fills whole (or is rejected); return its id."""
        self._orders += 1
        order_id = self._orders
        trigger_ns = self._tape.now_ns
        decided_ns = trigger_ns + latency_ns // 4
        opened = record(
            Kind.NEW_ORDER,
            instrument=index,
            order_id=order_id,
            side=side,
            price=price,
            size=size,
            strategy=strategy,
            trigger_ns=trigger_ns,
            decided_ns=decided_ns,
            local_ns=decided_ns,
            trace=self._tape.count,
        )
        decision = record(
            Kind.DECISION,
            instrument=index,
            order_id=order_id,
            side=side,
            price=price,
            size=size,
            strategy=strategy,
            local_ns=decided_ns,
        )
        self._tape.batch([], [decision, opened], decided_ns, decided_ns + latency_ns // 8)
        stages = {
            "polled_ns": trigger_ns + latency_ns // 2,
            "signed_ns": trigger_ns + latency_ns * 3 // 4,
            "logged_ns": trigger_ns + latency_ns * 7 // 8,
        }
        signed = record(
            Kind.SIGNED, order_id=order_id, order_hash=digest("order", order_id), **stages
        )
        answer: dict[str, Any] = stages | {
            "order_id": order_id,
            "sent_ns": trigger_ns + latency_ns,
            "answered_ns": trigger_ns + latency_ns + 2_000_000,
        }
        if is_rejected:
            reason = {"reason": Reason.VENUE_BALANCE}
            self._tape.batch([signed, record(Kind.REJECT, **answer, **reason)])
            return order_id
        self._tape.batch([signed, record(Kind.ACK, **answer)])
        filled = fill(
            order_id,
            index,
            price,
            size,
            side=side,
            liquidity=liquidity,
            venue_ns=venue_ns,
            local_ns=self._tape.now_ns,
        )
        self._tape.batch([filled, record(Kind.DONE, order_id=order_id, reason=Reason.FILLED)])
        return order_id


def demo_tape(directory: Path, markets: int = 6, seed: int = 1) -> Path:
    """Write a plausible run: books that wander and settle, two strategies, slugs beside it."""
    random = np.random.default_rng(seed)
    tape = TapeBuilder()
    trader = Trader(tape)
    slugs = []
    for market in range(markets):
        up, down = 2 * market + 1, 2 * market + 2
        tape.batch([instrument(up, 0, market), instrument(down, 1, market)])
        slug = f"btc-updown-15m-{START_NS // 10**9 + 900 * market}"
        slugs.append({"slug": slug, "condition_id": "0x" + digest("market", market).hex()})
        _play_market(tape, trader, random, market, (up, down))
    (directory / "instruments.json").write_text(json.dumps({"instruments": slugs}))
    return tape.write(directory / "tape.ht")


def _play_market(
    tape: TapeBuilder,
    trader: Trader,
    random: np.random.Generator,
    market: int,
    pair: tuple[int, int],
) -> None:
    """One window: a walk of the log odds, sharper towards the end, and some trading on it."""
    open_ns = START_NS + 900 * market * 10**9
    odds = np.cumsum(random.normal(0, 0.06, 900) * np.linspace(0.6, 2.2, 900))
    held = {pair[0]: 0, pair[1]: 0}
    for second in range(0, 900, 2):
        cell = int(np.clip(round(100 / (1 + np.exp(-odds[second]))), 2, 97))
        venue_ns = open_ns + second * 10**9
        tape.now_ns += 5_000_000
        prices = {pair[0]: (cell * 10_000, (cell + 1) * 10_000)}
        prices[pair[1]] = (MICROS - prices[pair[0]][1], MICROS - prices[pair[0]][0])
        tape.batch([book(i, *prices[i], venue_ns, tape.now_ns) for i in pair])
        if random.random() > 0.06:
            continue
        index = pair[int(random.integers(2))]
        is_taker = random.random() < 0.4
        sells = held[index] >= 20 * MICROS and random.random() < 0.5
        bid, ask = prices[index]
        size = int(random.integers(5, 21)) * MICROS
        is_rejected = bool(random.random() < 0.05)
        trader.order(
            index,
            Side.SELL if sells else Side.BUY,
            (bid if sells else ask) if is_taker else (ask if sells else bid),
            size,
            strategy=1 if is_taker else 2,
            venue_ns=venue_ns,
            latency_ns=int(random.lognormal(12.5, 0.4)),
            liquidity=Liquidity.TAKER if is_taker else Liquidity.MAKER,
            is_rejected=is_rejected,
        )
        if not is_rejected:
            held[index] += -size if sells else size
    payout = MICROS if odds[-1] > 0 else 0
    close_ns = open_ns + 900 * 10**9
    tape.batch(
        [
            resolved(pair[0], payout, close_ns, tape.now_ns),
            resolved(pair[1], MICROS - payout, close_ns, tape.now_ns),
        ]
    )
