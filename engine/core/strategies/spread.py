"""Spread capture: a post-only bid on both outcomes, together never above the cap.

A bid on Down at d is an offer of Up at 1 − d, so two bids are a two-sided quote. Each pair that
fills earns 1 − u − d; an unpaired leg is inventory, and inventory makes the heavy side give way.
Quant reference, sections 4.1 and 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.core.intents import Intent, Quote
from engine.core.params import StrategyParams
from engine.core.strategies.base import Event, State
from engine.core.world.instruments import Market
from engine.core.world.world import World
from engine.math.ladder import cap_pair, post_only_bid


@dataclass(slots=True)
class Quoted:
    """The bids last wanted in a market (0 = none) and when, in venue time."""

    up: int = 0
    down: int = 0
    at_ns: int = 0


@dataclass(slots=True)
class Memory:
    """What is quoted, by market number."""

    quoted: dict[int, Quoted] = field(default_factory=dict)


class Spread:
    """Quotes both outcomes of every market between its opening lead and its cutoff."""

    pair_edge: int | None = None
    follows_touch = True

    def __init__(self, params: StrategyParams) -> None:
        v = params.values
        self._size = v["size_shares"]
        self._total_max = v["target_total_usd"]
        self._improve_ticks = v["improve_ticks"]
        self._price_min, self._price_max = v["price_usd_min"], v["price_usd_max"]
        self._moderate = v["imbalance_shares_moderate"]
        self._hard = v["imbalance_shares_hard"]
        self._cutoff_ns, self._lead_ns = v["cutoff_s"], v["lead_s"]
        self._requote_ns, self._requote_ticks = v["requote_ms"], v["requote_ticks_min"]

    def initial(self) -> Memory:
        """Return an empty memory."""
        return Memory()

    def decide(self, state: State, event: Event) -> Sequence[Intent]:
        """Return the quotes wanted on both outcomes, or nothing where they may stay as they are."""
        market, world = event.market, state.world
        quoted = state.memory.quoted.setdefault(market.number, Quoted())
        venue_ns = world.venue_ns(market)
        up, down = self._bids(world, market, state.strategy, venue_ns)
        pulls = (up == 0 and quoted.up != 0) or (down == 0 and quoted.down != 0)
        if not pulls and not self._worth_moving(quoted, up, down, market.up.tick, venue_ns):
            return ()
        quoted.up, quoted.down, quoted.at_ns = up, down, venue_ns
        return (
            Quote(market.up.index, ((up, self._size),) if up else ()),
            Quote(market.down.index, ((down, self._size),) if down else ()),
        )

    def _bids(self, world: World, market: Market, strategy: int, venue_ns: int) -> tuple[int, int]:
        """Return the bids wanted now in micros, 0 where none is."""
        up, down = market.up, market.down
        touch_up, touch_down = world.books.touch(up.index), world.books.touch(down.index)
        if not (market.is_open and touch_up.usable and touch_down.usable):
            return 0, 0
        if not up.open_ns - self._lead_ns <= venue_ns < up.close_ns - self._cutoff_ns:
            return 0, 0
        held_up = world.position(strategy, up.index).size
        held_down = world.position(strategy, down.index).size
        step_up, step_down = self._improve_ticks * up.tick, self._improve_ticks * down.tick
        bid_up = post_only_bid(touch_up.bid + step_up, touch_up.ask, up.tick)
        bid_down = post_only_bid(touch_down.bid + step_down, touch_down.ask, down.tick)
        if not self._price_min <= bid_up <= self._price_max:
            bid_up = 0
        if not self._price_min <= bid_down <= self._price_max:
            bid_down = 0
        bid_up, bid_down = self._lean(bid_up, bid_down, held_up - held_down, up.tick)
        return cap_pair(bid_up, bid_down, self._total_max, up.tick, held_up, held_down)

    def _lean(self, up: int, down: int, imbalance: int, tick: int) -> tuple[int, int]:
        """Make the heavy side give way: one tick from `moderate` on, the whole bid from `hard`."""
        if imbalance >= self._hard:
            return 0, down
        if -imbalance >= self._hard:
            return up, 0
        if imbalance >= self._moderate:
            return max(0, up - tick), down
        if -imbalance >= self._moderate:
            return up, max(0, down - tick)
        return up, down

    def _worth_moving(self, quoted: Quoted, up: int, down: int, tick: int, venue_ns: int) -> bool:
        """Whether the change is large enough and the last one long enough ago."""
        if quoted.at_ns and venue_ns - quoted.at_ns < self._requote_ns:
            return False
        moved = max(abs(up - quoted.up), abs(down - quoted.down))
        return moved >= self._requote_ticks * tick
