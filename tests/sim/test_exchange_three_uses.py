"""One matching model, three uses: in process, as a server, as paper trading on a live feed.

How: a seeded script of books, orders, cancels and waits is played three times. In process it calls
the venue; as a server the same orders come signed over HTTP; on paper they come signed over HTTP
too, and the books come as the records the market feed writes. The fills must be the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadlines import PATIENCE_S
from exchange_support import CONDITION, Hand, Served, levels, mirrored, served

from engine.exchange.mirror import Mirror
from engine.wire.codes import FeeCurve, Flag, Kind, Side, Tif
from engine.wire.records import new, words

DEADLINE_S = PATIENCE_S
FAR_S = 4_000_000_000
GIFT = 2_000 * 1_000_000
STEPS = 120

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Show:
    """Another book, `after_ms` later."""

    bids: Rows
    asks: Rows
    after_ms: int


@dataclass(frozen=True)
class Send:
    """An order; `size` is pUSD for market buys."""

    side: Side
    price: str
    size: str
    tif: Tif
    outcome: int
    post_only: bool


@dataclass(frozen=True)
class Cancel:
    """Cancel the order sent as number `index`."""

    index: int


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    ms: int


Step = Show | Send | Cancel | Wait
Fill = tuple[int, int, int, int, int]  # order's number, price, size, fee, liquidity


def script(seed: int) -> list[Step]:
    """Return a market's life: books that move, and orders of every type around them."""
    chance = random.Random(seed)
    steps: list[Step] = [_book(chance, 50)]
    middle, sent = 50, 0
    for _ in range(STEPS):
        what = chance.random()
        if what < 0.4:
            middle = min(max(middle + chance.randint(-2, 2), 20), 80)
            steps.append(_book(chance, middle))
        elif what < 0.8:
            sent += 1
            tif = chance.choice([Tif.GTC, Tif.GTC, Tif.FAK, Tif.FOK])
            outcome = chance.randint(0, 1)
            cents = (middle if outcome == 0 else 100 - middle) + chance.randint(-4, 4)
            size = f"{chance.randint(500, 6_000) / 100:.2f}"
            post_only = tif == Tif.GTC and chance.random() < 0.3
            side = chance.choice([Side.BUY, Side.SELL])
            steps.append(Send(side, f"{cents / 100:.2f}", size, tif, outcome, post_only))
        elif what < 0.88 and sent:
            steps.append(Cancel(chance.randrange(sent)))
        else:
            steps.append(Wait(chance.randint(1, 400)))
    return [*steps, Wait(1_000)]


def _book(chance: random.Random, middle: int) -> Show:
    def side(sign: int) -> Rows:
        return tuple(
            (f"{(middle + sign * level) / 100:.2f}", f"{chance.randint(100, 9_000) / 100:.2f}")
            for level in range(1, 4)
        )

    return Show(side(-1), side(1), chance.randint(1, 120))


@dataclass
class InProcess:
    """The venue called directly."""

    hand: Hand
    names: list[str] = field(default_factory=list)

    async def show(self, step: Show) -> None:
        """Put a book on display."""
        self.hand.show(step.bids, step.asks, step.after_ms)

    async def send(self, step: Send) -> None:
        """Submit an order."""
        self.hand.submit(
            step.side,
            step.price,
            step.size,
            step.tif,
            outcome=step.outcome,
            post_only=step.post_only,
        )
        self.names.append(f"0x{self.hand._hashes:064x}")

    async def cancel(self, name: str) -> None:
        """Cancel an order."""
        self.hand.venue.cancel(self.hand.account, [name])

    async def end(self) -> None:
        """Nothing is left to hear."""


@dataclass
class OverHttp:
    """The venue behind its server. books: how it is shown one."""

    venue: Served
    books: Callable[[Show], None]
    names: list[str] = field(default_factory=list)
    posts: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def hand(self) -> Hand:
        """The venue's clock and account."""
        return self.venue.hand

    async def show(self, step: Show) -> None:
        """Put a book on display."""
        self.books(step)

    async def send(self, step: Send) -> None:
        """Post a signed order; go on when the desk has it, its answer may come much later."""
        text, name = self.venue.order(
            step.side,
            step.price,
            step.size,
            step.tif,
            outcome=step.outcome,
            post_only=step.post_only,
        )
        self.names.append(name)
        post = asyncio.create_task(self.venue.call("POST", "/order", text))
        self.posts.append(post)
        async with asyncio.timeout(DEADLINE_S):
            while name not in self.hand.venue.desk.orders and not post.done():
                await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        """Cancel an order."""
        await self.venue.call("DELETE", "/order", b'{"orderID":"%b"}' % name.encode())

    async def end(self) -> None:
        """Hear every answer."""
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self.posts)


def give_shares(hand: Hand) -> None:
    """Let the account sell both tokens."""
    for token in hand.listing.market.tokens:
        hand.account.add(token, GIFT)


async def play(steps: list[Step], use: InProcess | OverHttp) -> tuple[list[Fill], list[str]]:
    """Play a script; return all fills in order, and what each order came to."""
    give_shares(use.hand)
    for step in steps:
        match step:
            case Show():
                await use.show(step)
            case Send():
                await use.send(step)
            case Cancel():
                await use.cancel(use.names[step.index])
            case Wait():
                use.hand.wait(step.ms)
    await use.end()
    venue = use.hand.venue
    numbers = {name: number for number, name in enumerate(use.names)}
    fills = [
        (numbers[t.order.order_hash], t.fill.price, t.fill.size, t.fee, t.fill.liquidity)
        for t in venue.trades.values()
    ]
    orders = venue.desk.orders
    return fills, [str(orders[n].status) if n in orders else "REFUSED" for n in use.names]


def instrument_records() -> np.ndarray[Any, Any]:
    """Return the two INSTRUMENT records of the market."""
    rows = new(Kind.INSTRUMENT, 2)
    for outcome, row in enumerate(rows):
        row["instrument"], row["complement"] = outcome + 1, 2 - outcome
        row["token_id"] = (1 << 200 | outcome).to_bytes(32, "big")
        row["condition_id"] = bytes.fromhex(CONDITION[2:])
        row["generation"], row["outcome"] = 2, outcome
        row["fee_curve"], row["fee_rate_ppm"], row["fee_exponent"] = FeeCurve.V2, 70_000, 1
        row["tick"], row["min_size_cents"], row["close_s"] = 10_000, 500, FAR_S
    return words(rows)


def book_records(instrument: int, bids: dict[int, int], asks: dict[int, int]) -> Any:
    """Return one whole book as the two LEVELS records of a frame."""
    rows = new(Kind.LEVELS, 2)
    sides = ((Side.BUY, bids, Flag.RESET), (Side.SELL, asks, Flag.LAST))
    for row, (side, shown, flag) in zip(rows, sides, strict=True):
        row["instrument"], row["flags"] = instrument, flag
        for place, (price, size) in enumerate(shown.items()):
            row["levels"][place] = (price, side, b"", size)
    return words(rows)


async def as_server(steps: list[Step]) -> Any:
    """Play a script over HTTP."""
    async with served() as venue:
        books = lambda step: venue.hand.show(step.bids, step.asks, step.after_ms)  # noqa: E731
        return await play(steps, OverHttp(venue, books))


async def as_paper(steps: list[Step]) -> Any:
    """Play a script over HTTP, the books coming from the feed's records."""
    async with served() as venue:
        hand = venue.hand
        mirror = Mirror(Path("absent.ring"), 0, hand.venue)
        mirror.feed(instrument_records())
        found = hand.venue.find(1 << 200)
        assert found is not None
        hand.listing = found[0]

        def books(step: Show) -> None:
            hand.wait(step.after_ms)
            mirror.feed(book_records(1, levels(step.bids), levels(step.asks)))
            mirror.feed(book_records(2, mirrored(step.asks), mirrored(step.bids)))

        return await play(steps, OverHttp(venue, books))


USES: list[Callable[[list[Step]], Awaitable[Any]]] = [as_server, as_paper]


@pytest.mark.parametrize("seed", range(3))
async def test_one_flow_has_the_same_fills_in_every_use(seed: int) -> None:
    """Prices, sizes, fees, liquidity, their order, and the fate of each order are the same."""
    steps = script(seed)
    fills, fates = await play(steps, InProcess(Hand()))
    assert len(fills) > 15
    assert {"REFUSED", "MATCHED"} < set(fates)
    for use in USES:
        assert await use(steps) == (fills, fates), f"seed={seed}, use={use.__name__}"
