"""A core that was taken over: whatever it writes to its ring, nothing out of policy is signed.

The real duty reads the real ring, in this process: decoding, instruments, policy, templates, order
log, reports. What it may sign is decided again here, from the record's own fields and the settings,
by rules written a second time. Records come in three ways: raw noise under every kind, in-policy
orders with one field broken, and in-policy orders with bits flipped. Announcements are fuzzed too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bus.ring import Discipline, QueueReader, QueueWriter, create_ring
from engine.host.clock import Clock
from engine.host.config.signing import Signer
from engine.host.duty import create_counters
from engine.host.runfile import RunFile
from engine.host.secrets import Account, ApiCredentials
from engine.wire.codes import Kind, Side, Tif
from engine.wire.records import RECORD_WORDS, new, typed, words
from signer import tally
from signer.duty import SignerDuty
from signer.ecdsa import SigningKey
from signer.log_format import EntryKind, scan
from signer.wallets import Wallet

RUN_ID = 7
CHUNK = 2_048
TOKEN_ID = 1 << 255 | 1 << 50
KINDS = [int(kind) for kind in Kind]
PRICES, SIZE_MAX, NOTIONAL_MAX, SIZE_MIN = (50_000, 950_000), 50_000_000, 10_000_000, 5_000_000
SETTINGS = {
    "price_usd_min": "0.05",
    "price_usd_max": "0.95",
    "size_shares_max": "50",
    "order_notional_usd_max": "10",
    "orders_per_second_max": 1_000_000_000,
    "daily_notional_usd_max": "0",
    "token_ids": [str(TOKEN_ID)],
    "order_age_ms_max": 10_000,
}
AGE_NS_MAX = 70_000_000_000  # the above, and what a round of this test may take


class Attack:
    """A signer's duty and the two ends of its rings."""

    def __init__(self, directory: Path) -> None:
        runtime_dir = directory / "runtime"
        runtime_dir.mkdir(mode=0o700)
        many = dict.fromkeys(("orders_per_second", "orders_burst", "post_order_per_10s"), 10**9)
        settings = {
            "run": {"mode": "paper", "profile": "shared"},
            "venue": {"rest_url": "http://127.0.0.1:1", "chain_id": 137},
            "signer": Signer().model_dump(mode="json")
            | SETTINGS
            | {"rates": Signer().rates.model_dump() | many},
        }
        self.runtime = RunFile(
            RUN_ID,
            Clock.anchored().offset_ns,
            settings,
            str(directory / "state"),
            runtime_dir=runtime_dir,
        )
        for name in ("orders", "exec"):
            create_ring(self.runtime.ring(name), Discipline.QUEUE, 2 * CHUNK, RUN_ID)
        key = SigningKey(b"\x42" * 32)
        account = Account(key.address, key.address, ApiCredentials("k", "c2VjcmV0", "p"))
        self._counters = create_counters(self.runtime.counters("signer"), tally.NAMES)
        wallet = Wallet.of(key, 0, key.address)
        self.duty = SignerDuty(self.runtime, account, wallet, self._counters)
        self.orders = QueueWriter(self.runtime.ring("orders"), RUN_ID)
        self.exec = QueueReader(self.runtime.ring("exec"), RUN_ID)
        self._rows = np.zeros((2 * CHUNK, RECORD_WORDS), np.int64)

    def write(self, rows: np.ndarray) -> None:
        """Write records as the core would, and let the signer do them all."""
        assert self.orders.offer(rows)
        idle = 0
        while idle < 3:
            idle = 0 if self.duty.work() else idle + 1

    def reports(self) -> np.ndarray:
        """What the signer has told since, rows of int64[16]."""
        count = self.exec.poll(self._rows)
        return self._rows[:count]

    def close(self) -> None:
        """End the signer and the rings."""
        self.duty.close()
        self._counters.close()
        self.orders.close()
        self.exec.close()


@contextmanager
def attacked(directory: Path) -> Iterator[Attack]:
    """A started signer whose venue cannot be reached."""
    attack = Attack(directory)
    attack.duty.start()
    try:
        yield attack
    finally:
        attack.close()


def announcement(**changes: Any) -> np.ndarray:
    """An INSTRUMENT record of the one token that may be traded."""
    record = new(Kind.INSTRUMENT)
    record["instrument"], record["generation"], record["tick"] = 1, 2, 10_000
    record["token_id"] = np.void(TOKEN_ID.to_bytes(32, "big"))
    record["min_size_cents"] = SIZE_MIN // 10_000
    for name, value in changes.items():
        record[name] = value
    return record


def good_orders(rng: np.random.Generator, count: int, now_ns: int) -> np.ndarray:
    """In-policy orders decided now: what the mutations start from."""
    orders = new(Kind.NEW_ORDER, count)
    orders["instrument"] = 1
    orders["order_id"] = rng.integers(1, 1 << 62, count)
    orders["price"] = rng.integers(10, 90, count) * 10_000
    orders["size"] = rng.integers(500, 1_000, count) * 10_000
    orders["salt"] = rng.integers(0, 1 << 53, count)
    orders["timestamp_ms"] = 1_784_402_198_867
    orders["decided_ns"] = now_ns
    orders["tick"] = 10_000
    orders["side"] = rng.integers(0, 2, count)
    orders["post_only"] = rng.integers(0, 2, count)
    return orders


# What breaks an order whatever the core says of the market: field, and values that are all wrong.
BREAKS: list[tuple[str, list[int]]] = [
    ("price", [0, 1, -1, 49_999, 950_001, 1_000_000, -480_000, 1 << 62, -(1 << 63)]),
    ("size", [0, -1, -10_000, 50_010_000, 1 << 62, -(1 << 63), 5_000_001]),
    ("budget", [-1, -(1 << 63), 10_000_001, 1 << 62]),
    ("salt", [1 << 53, 1 << 63, (1 << 64) - 1]),
    ("timestamp_ms", [0, -1, -(1 << 63)]),
    ("expires_s", [1, -1, 1 << 62]),
    ("decided_ns", [0, 1, -1, 1 << 62, -(1 << 63), (1 << 63) - 1]),
    ("side", [2, 3, 255]),
    ("tif", [4, 5, 255]),
    ("post_only", [2, 255]),
    ("instrument", [0, 2, 3, 0xFFFF_FFFF]),
]


def broken_orders(rng: np.random.Generator, count: int, now_ns: int) -> np.ndarray:
    """Good orders with one field out of policy each."""
    orders = good_orders(rng, count, now_ns)
    for index, (name, values) in enumerate(BREAKS):
        chosen = slice(index, None, len(BREAKS))
        width = len(orders[name][chosen])
        wrong = np.array(values, np.uint64 if name == "salt" else np.int64)
        orders[name][chosen] = rng.choice(wrong, width).astype(orders[name].dtype)
    return words(orders)


def flipped_orders(rng: np.random.Generator, count: int, now_ns: int) -> np.ndarray:
    """Good orders with one to eight bits flipped anywhere."""
    rows = words(good_orders(rng, count, now_ns)).copy()
    data = rows.view(np.uint8).reshape(count, -1)
    for _ in range(int(rng.integers(1, 9))):
        at = rng.integers(0, data.shape[1], count)
        data[np.arange(count), at] ^= np.uint8(1) << rng.integers(0, 8, count).astype(np.uint8)
    return rows


def noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random bytes under every kind, and under no kind at all; half of them of instrument 1."""
    rows = rng.integers(-(1 << 63), 1 << 63, (count, RECORD_WORDS), np.int64)
    heads = rows.view(np.uint16).reshape(count, -1)
    heads[:, 0] = np.where(
        rng.random(count) < 0.9, rng.choice(KINDS, count), rng.integers(0, 1 << 16, count)
    )
    heads[::2, 2], heads[::2, 3] = 1, 0
    return rows


def is_in_policy(order: np.void, now_ns: int) -> bool:
    """Whether the settings allow an order, by its own fields, at some grid the market may have.

    now_ns: a little before it was written.
    """
    price, size, budget = int(order["price"]), int(order["size"]), int(order["budget"])
    at_once = int(order["tif"]) in (Tif.FOK, Tif.FAK)
    return (
        int(order["instrument"]) == 1
        and PRICES[0] <= price <= PRICES[1]
        and price % 100 == 0
        and 0 < size <= SIZE_MAX
        and size % 10_000 == 0
        and budget >= 0
        and max(price * size // 1_000_000, budget) <= NOTIONAL_MAX
        and int(order["side"]) in (Side.BUY, Side.SELL)
        and int(order["tif"]) in list(Tif)
        and int(order["post_only"]) in (0, 1)
        and not (at_once and order["post_only"])
        and int(order["salt"]) < 1 << 53
        and int(order["timestamp_ms"]) > 0
        and abs(int(order["decided_ns"]) - now_ns) <= AGE_NS_MAX
        and (int(order["expires_s"]) > 0) == (int(order["tif"]) == Tif.GTD)
    )


def announcements(rng: np.random.Generator) -> np.ndarray:
    """What a hostile core may say of instruments: tokens, generations and grids of its own."""
    other = np.void(rng.bytes(32))
    lies = [
        announcement(instrument=1, token_id=other),
        announcement(instrument=int(rng.integers(2, 9)), token_id=other),
        announcement(generation=int(rng.integers(0, 256))),
        announcement(tick=int(rng.integers(0, 1 << 32)), min_size_cents=0),
        announcement(instrument=2, neg_risk=int(rng.integers(0, 256)), token_id=other),
    ]
    status = new(Kind.STATUS)
    status["instrument"], status["tick"] = 1, int(rng.choice([0, -1, 100, 7, 1 << 62]))
    rows = [words(lie) for lie in lies] + [words(status), words(announcement())]
    return np.concatenate(rows)


def check_reports(rows: np.ndarray, reports: np.ndarray, now_ns: int) -> tuple[int, int]:
    """Return how many orders were out of policy and how many were signed.

    Every one out of policy must have been refused, and nothing else may have been signed.
    """
    orders = typed(rows[(rows[:, 0] & 0xFFFF) == Kind.NEW_ORDER], Kind.NEW_ORDER)
    allowed = {int(order["order_id"]) for order in orders if is_in_policy(order, now_ns)}
    kinds = reports[:, 0] & 0xFFFF
    signed = {int(np.uint64(word)) for word in reports[kinds == Kind.SIGNED, 4]}
    refused = {int(np.uint64(word)) for word in reports[kinds == Kind.REJECT, 4]}
    assert signed <= allowed
    outside = [int(order["order_id"]) for order in orders if not is_in_policy(order, now_ns)]
    assert set(outside) <= refused
    return len(outside), len(signed)


async def attack_with(directory: Path, requests: int) -> None:
    """Write records until this many orders out of policy were refused."""
    rng = np.random.default_rng(20_261_105)
    refused = signed = 0
    with attacked(directory) as attack:
        attack.write(words(announcement()))
        while refused < requests:
            now_ns = attack.runtime.clock().now_ns()
            for rows in (
                broken_orders(rng, CHUNK, now_ns),
                flipped_orders(rng, CHUNK // 8, now_ns),
                noise(rng, CHUNK // 2),
            ):
                attack.write(rows)
                out, passed = check_reports(rows, attack.reports(), now_ns)
                refused, signed = refused + out, signed + passed
            attack.write(announcements(rng))
            attack.reports()
        log = scan(attack.runtime.state("orders.log").read_bytes(), "orders.log")
        logged = [placed for placed in log.entries if placed.entry.kind == EntryKind.SIGNED]
        assert len(logged) == signed
        assert signed > 0, "orders in policy pass, or this proves nothing"


async def test_a_core_that_was_taken_over_gets_nothing_out_of_policy_signed(
    tmp_path: Path,
) -> None:
    """50,000 orders out of policy, amid noise of every kind: all refused, and no crash."""
    await attack_with(tmp_path, 50_000)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_million_orders_out_of_policy_are_refused(tmp_path: Path) -> None:
    """The same with a million."""
    await attack_with(tmp_path, 1_000_000)
