"""What drives the exchange's clock and books, by mode.

```
recorded   a recording's books on a virtual clock          Player
mirror     live market data in real time                   Mirror
closed     nothing but clients, in real time               Pacer: windows, standing markets
agents     a crowd around a simulated price, at a speed     Pacer: windows, crowd
```
"""

from __future__ import annotations

from typing import Protocol

from engine.exchange.agents import Crowd
from engine.exchange.central_book import CentralBook
from engine.exchange.market import Market, derive_positions, derive_tokens
from engine.exchange.matching import Matcher
from engine.exchange.mirror import Mirror
from engine.exchange.options import Mode, Options
from engine.exchange.oracle import Oracle
from engine.exchange.pacer import Pacer
from engine.exchange.player import Player, Progress
from engine.exchange.pool import Pool
from engine.exchange.recording import load_recording
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.venue import Venue
from engine.exchange.windows import MINUTE_MS, Windows
from engine.host.clock import Clock
from engine.host.errors import RefuseError
from signer.contracts import Generation

FIRST_MS = 1_793_577_600_000  # 2026-11-02 00:00 UTC: the day of the agents, whatever today is
DAY_MS = 86_400_000
STANDING_MS = 30 * DAY_MS


class Driver(Protocol):
    """Moves a venue's clock, and whatever else its mode moves."""

    def start(self) -> None:
        """Begin, on the running loop; a second call does nothing."""

    def stop(self) -> None:
        """End for good."""

    def progress(self) -> Progress:
        """Return how far it has come."""


def new_pool(options: Options) -> Matcher:
    """Return what the orders of one market meet in this mode."""
    if options.mode in (Mode.CLOSED, Mode.AGENTS):
        return CentralBook()
    return Pool(options.queue)


def build_driver(options: Options, venue: Venue, prices: ReferencePrices) -> Driver:
    """List the mode's first markets and return what drives them; nothing moves before `start`.

    Raises RefuseError for a recording that cannot be played.
    """
    match options.mode:
        case Mode.MIRROR:
            assert options.ring is not None, "mirror mode has a ring"
            return Mirror(options.ring, options.run_id, venue)
        case Mode.RECORDED:
            recording = load_recording(options.recording, options.markets_max)
            if not len(recording):
                raise RefuseError(f"recording has no snapshots: recording={options.recording}")
            return Player(recording, venue, options.speed)
        case Mode.AGENTS:
            return _agents(options, venue, prices)
        case Mode.CLOSED:
            return _closed(options, venue, prices)


def open_day(
    venue: Venue, prices: ReferencePrices, seed: str, minutes: int, count: int | None
) -> Windows:
    """Set up a day of windows with its crowd: everything it needs then happens by the schedule.

    count: windows, None = as many as a day has.
    """
    windows = Windows(
        venue, prices, seed, FIRST_MS, minutes, count or DAY_MS // (minutes * MINUTE_MS)
    )
    venue.schedule.advance(FIRST_MS - windows.length_ms)
    oracle = Oracle(venue.schedule, prices, seed, windows.last_ms)
    Crowd(venue, prices, windows, oracle, seed)
    windows.begin()
    oracle.begin()
    return windows


def _agents(options: Options, venue: Venue, prices: ReferencePrices) -> Driver:
    windows = open_day(venue, prices, options.seed, options.window_minutes, options.markets_max)
    return Pacer(venue.schedule, options.speed, windows.progress, end_ms=windows.last_ms)


def _closed(options: Options, venue: Venue, prices: ReferencePrices) -> Driver:
    now_ms = Clock.anchored().now_ns() // 1_000_000
    venue.schedule.advance(now_ms)
    length_ms = options.window_minutes * MINUTE_MS
    first_ms = (now_ms // length_ms + 1) * length_ms
    count = options.markets_max or DAY_MS // length_ms
    windows = Windows(venue, prices, options.seed, first_ms, options.window_minutes, count)
    oracle = Oracle(venue.schedule, prices, options.seed, windows.last_ms)
    windows.begin()
    oracle.begin()
    for market in standing_markets(options.seed, now_ms):
        venue.open_market(market)
    return Pacer(venue.schedule, 1.0, windows.progress, keeps_up=True)


def standing_markets(seed: str, now_ms: int) -> list[Market]:
    """Return markets that stay open: neg risk, generation 3, a seconds-delay."""
    neg_risk, _ = derive_positions(f"{seed}/neg risk")
    delayed, _ = derive_positions(f"{seed}/seconds delay")
    condition, positions = derive_positions(f"{seed}/generation 3")
    start_ms, end_ms = now_ms, now_ms + STANDING_MS
    return [
        Market(
            slug="standing-neg-risk",
            condition_id=neg_risk,
            question="A market of a neg risk event",
            tokens=derive_tokens(neg_risk),
            start_ms=start_ms,
            end_ms=end_ms,
            outcomes=("Yes", "No"),
            tick=1_000,
            neg_risk=True,
            taker_delay_ms=0,
        ),
        Market(
            slug="standing-generation-3",
            condition_id=condition,
            question="A market of the third protocol generation",
            tokens=positions,
            start_ms=start_ms,
            end_ms=end_ms,
            outcomes=("Yes", "No"),
            generation=Generation.V3,
            taker_delay_ms=0,
        ),
        Market(
            slug="standing-seconds-delay",
            condition_id=delayed,
            question="A market that holds marketable orders, as sports do",
            tokens=derive_tokens(delayed),
            start_ms=start_ms,
            end_ms=end_ms,
            outcomes=("Yes", "No"),
            seconds_delay=3,
        ),
    ]
