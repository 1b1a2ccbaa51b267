"""Ratios to baselines in one run: each budget's two sides, made and measured in turn.

A side returns the median nanoseconds of its unit of work in one round. The baselines are what a
careful bot would use instead, or the floor no engine can go below; `budgets.toml` says how much of
them ours may cost.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from clients.environments import NoEnvironment
from comparison import ROUNDS, Comparison, decide
from core_driver import UP as UP_INDEX
from core_driver import book
from feeds_support import DOWN, UP, registry
from peers.client import Client
from peers.ipc import Ways
from peers.lines import timed
from signing import FULL, NONCES, ORDERS, OWNER, SECRET, TOKEN_ID, Desk
from sortedcontainers import SortedDict
from test_core import CHANGES, changes, rows_of, snapshot
from test_decode import FRAMES, LOCAL_NS, orjson_rows

from engine.backoffice.hdr import P50
from engine.backoffice.ranks import nearest_rank
from engine.bench.plan import Plan
from engine.bench.run import measure
from engine.core import kernel
from engine.core.world.books import Books
from engine.math.units import micros_from_text
from engine.wire.codes import Side
from engine.wire.records import RECORD_WORDS, words
from feeds.clob_scan import scan

BUDGETS = Path(__file__).with_name("budgets.toml")
CALLS = 300
CLIENT_CALLS = 25
CHANGES_A_FRAME = 5
BOOK_PASSES = 5
TICK_PLAN = Plan("fused", 1_000, 6_000, 6, 200)
FLOOR_SHARE, FLOOR_ALLOWANCE_NS = 1.25, 60_000

Measure = Callable[[], float]
Sides = tuple[Measure, Measure]  # baseline, ours


class BudgetError(ValueError):
    """A budgets.toml that does not fit the ratios there are."""


class NotHere(Exception):
    """A baseline that this machine does not have; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of its baseline something may cost."""

    name: str
    what: str
    target: float
    slack: float

    @property
    def limit(self) -> float:
        """Where the gate fails."""
        return self.target * self.slack


def budgets() -> list[Budget]:
    """Return all budgets; BudgetError where the file and the ratios do not fit."""
    content = tomllib.loads(BUDGETS.read_text())
    found = [
        Budget(name, each["what"], each["target"], each.get("slack", content["slack"]))
        for name, each in content["ratios"].items()
    ]
    known = {*SIDES, TICK_TO_TRADE}
    if {budget.name for budget in found} != known:
        raise BudgetError(f"budgets and ratios differ: file={BUDGETS}, ratios={sorted(known)}")
    return found


def compare(
    names: Sequence[str],
    tell: Callable[[str], None],
    *,
    rounds: int = ROUNDS,
    until_s: float = math.inf,
) -> list[Comparison]:
    """Return a comparison of each named ratio; those without a baseline are told and left out."""
    chosen = {budget.name: budget for budget in budgets() if budget.name in names}
    done = []
    for name, budget in chosen.items():
        comparison = Comparison(name, budget.limit, noise_max=None)
        try:
            play(name, comparison, rounds, until_s)
        except NotHere as error:
            tell(f"{'SKIPPED':12} {name:32} {error}")
            continue
        tell(comparison.line())
        done.append(comparison)
    return done


def play(name: str, comparison: Comparison, rounds: int, until_s: float) -> None:
    """Play the rounds of one ratio; NotHere without its baseline."""
    if name == TICK_TO_TRADE:
        tick_to_trade(comparison)
        return
    with SIDES[name]() as (baseline, ours):
        for warm_up in (baseline, ours):
            warm_up()
        decide([comparison], lambda _: comparison.add(baseline(), ours()), rounds, until_s)


@contextlib.contextmanager
def decode(frame_name: str) -> Iterator[Sides]:
    """One frame to rows: orjson, and the scanner."""
    frame, table = FRAMES[frame_name], registry().table
    out = np.zeros((64, RECORD_WORDS), np.int64)
    indices = {UP: 1, DOWN: 2}
    yield (
        lambda: _p50(lambda: orjson_rows(frame, indices.__getitem__)),
        lambda: _p50(
            lambda: scan(np.frombuffer(frame, np.uint8), LOCAL_NS, table.slots, table.rows, out)
        ),
    )


@contextlib.contextmanager
def book_apply() -> Iterator[Sides]:
    """A stream of changes: a SortedDict a side with its best read after each frame, and ours."""
    stream = changes(1)
    frames = [stream[k : k + CHANGES_A_FRAME] for k in range(0, CHANGES, CHANGES_A_FRAME)]
    bids, asks = (SortedDict({micros_from_text(p): 1 for p in side}) for side in snapshot())
    sides = {Side.BUY: bids, Side.SELL: asks}
    books, dirty = Books(4), np.zeros(4, np.int64)
    arrays = books.sizes, books.bits, books.tops, dirty
    rows, first = rows_of(stream, CHANGES_A_FRAME), words(book(UP_INDEX, *snapshot()))
    kernel.apply_market_data(first, 0, len(first), 1, *arrays)

    def theirs() -> tuple[int, int]:
        touch = 0, 0
        for frame in frames:
            for price, size, side in frame:
                if size:
                    sides[side][price] = size
                else:
                    sides[side].pop(price, None)
            touch = bids.peekitem(-1)[0], asks.peekitem(0)[0]
        return touch

    yield (
        lambda: _p50(theirs, BOOK_PASSES),
        lambda: _p50(lambda: kernel.apply_market_data(rows, 0, len(rows), 1, *arrays), CALLS),
    )


@contextlib.contextmanager
def sign(rungs: Any) -> Iterator[Sides]:
    """An order to its body: py-clob-client-v2 with coincurve in its own process, and a rung."""
    desk = Desk(rungs)
    order = {"private_key": "0x" + SECRET.hex(), "token_id": str(TOKEN_ID), "owner": OWNER}

    def ours() -> float:
        desk.prepare()
        return _median(timed(desk.sign, ORDERS - 4))

    try:
        client = Client("py-clob-client-v2", "coincurve")
    except NoEnvironment as error:
        raise NotHere(f"py-clob-client-v2 is not to be had: {error}") from None
    with client:
        yield lambda: _median(client.ask("time", count=CLIENT_CALLS, **order)), ours


@contextlib.contextmanager
def ring(other: str) -> Iterator[Sides]:
    """Records streamed between two processes: another way, and a ring."""
    with Ways(("ring", other)) as ways:
        yield lambda: ways.streamed(other), lambda: ways.streamed("ring")


@contextlib.contextmanager
def http_post() -> Iterator[Sides]:
    """From the call to the whole request at a server: httpx, and the signer's pool."""
    if any(importlib.util.find_spec(name) is None for name in ("httpx", "requests")):
        raise NotHere("httpx and requests are not installed")
    from peers.http_post import Posts, server

    with server() as url, contextlib.closing(Posts(url)) as posts:
        yield lambda: _median(posts.httpx().out), lambda: _median(posts.ours().out)


def tick_to_trade(comparison: Comparison) -> None:
    """The whole path in real processes, floor and engine in turn."""
    with tempfile.TemporaryDirectory(prefix="halftick-gate-") as directory:
        result = measure(TICK_PLAN, Path(directory), lambda _: None)
    for floor_ns, engine_ns in result.rounds:
        comparison.add(floor_ns * FLOOR_SHARE + FLOOR_ALLOWANCE_NS, engine_ns)


TICK_TO_TRADE = "tick_to_trade"
SIDES: dict[str, Callable[[], contextlib.AbstractContextManager[Sides]]] = {
    "decode_price_change": lambda: decode("price_change x2"),
    "decode_book": lambda: decode("book 50+50"),
    "book_apply": book_apply,
    "sign_full": lambda: sign(FULL),
    "sign_nonce": lambda: sign(NONCES),
    "ring_over_zeromq": lambda: ring("zeromq"),
    "ring_over_queue": lambda: ring("queue"),
    "http_post": http_post,
}


def _p50(call: Callable[[], object], calls: int = CALLS) -> float:
    return _median(timed(call, calls))


def _median(spent_ns: Sequence[float]) -> float:
    return nearest_rank(sorted(spent_ns), P50)
