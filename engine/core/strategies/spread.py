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
from engine.core.world.books import Touch
from engine.core.world.instruments import Instrument, Market
from engine.core.world.world import World
from engine.math.ladder import cap_pair, post_only_bid
from engine.math.units import SIZE_STEP, floor_to

Bid = tuple[int, int]  # (price micros, micro-shares)
NO_BID: Bid = (0, 0)


@dataclass(slots=True)
class Quoted:
    """The bids last wanted in a market and when, in venue time."""

    up: Bid = NO_BID
    down: Bid = NO_BID
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
        pulls = (up == NO_BID and quoted.up != NO_BID) or (down == NO_BID != quoted.down)
        if not pulls and not self._worth_moving(quoted, up, down, market.up.tick, venue_ns):
            return ()
        quoted.up, quoted.down, quoted.at_ns = up, down, venue_ns
        return (
            Quote(market.up.index, (up,) if up != NO_BID else ()),
            Quote(market.down.index, (down,) if down != NO_BID else ()),
        )

    def _bids(self, world: World, market: Market, strategy: int, venue_ns: int) -> tuple[Bid, Bid]:
        """Return the bids wanted now."""
        up, down = market.up, market.down
        touch_up, touch_down = world.touch(up.index), world.touch(down.index)
        if not (market.is_open and touch_up.usable and touch_down.usable):
            return NO_BID, NO_BID
        if not up.open_ns - self._lead_ns <= venue_ns < up.close_ns - self._cutoff_ns:
            return NO_BID, NO_BID
        held_up = world.position(strategy, up.index).size
        held_down = world.position(strategy, down.index).size
        size_up = self._size_for(held_up - held_down, up)
        size_down = self._size_for(held_down - held_up, down)
        price_up = self._price_for(touch_up, up, held_up - held_down) if size_up else 0
        price_down = self._price_for(touch_down, down, held_down - held_up) if size_down else 0
        price_up, price_down = cap_pair(
            price_up, price_down, self._total_max, up.tick, held_up, held_down
        )
        return (
            (price_up, size_up) if price_up else NO_BID,
            (price_down, size_down) if price_down else NO_BID,
        )

    def _size_for(self, imbalance: int, instrument: Instrument) -> int:
        """Return the size to bid for: a full fill must not pass the hard imbalance. 0 = none.

        imbalance: micro-shares by which this side is already the heavier one.
        """
        size = floor_to(min(self._size, self._hard - imbalance), SIZE_STEP)
        return size if size >= instrument.min_size else 0

    def _price_for(self, touch: Touch, instrument: Instrument, imbalance: int) -> int:
        """Return the post-only bid in micros, 0 = none; the heavy side yields a tick."""
        wished = touch.bid + self._improve_ticks * instrument.tick
        if imbalance >= self._moderate:
            wished -= instrument.tick
        bid = post_only_bid(wished, touch.ask, instrument.tick)
        return bid if self._price_min <= bid <= self._price_max else 0

    def _worth_moving(self, quoted: Quoted, up: Bid, down: Bid, tick: int, venue_ns: int) -> bool:
        """Whether the change is large enough and the last one long enough ago."""
        if quoted.at_ns and venue_ns - quoted.at_ns < self._requote_ns:
            return False
        moved = max(abs(up[0] - quoted.up[0]), abs(down[0] - quoted.down[0]))
        resized = (up[1], down[1]) != (quoted.up[1], quoted.down[1])
        return resized or moved >= self._requote_ticks * tick
