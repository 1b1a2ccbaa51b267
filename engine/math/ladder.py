"""From wished prices to legal quotes: tick, post-only and the combined cap (quant section 4.3).

All prices are micros; 0 stands for "no quote".
"""

from __future__ import annotations

from engine.math.units import MICROS, floor_to


def post_only_bid(price: int, best_ask: int, tick: int) -> int:
    """Return the highest legal bid not above `price`: on tick, strictly below the best ask.

    An empty ask side is 1_000_000. Returns 0 where not even one tick is left.
    """
    on_grid = floor_to(best_ask, tick)
    below_ask = on_grid - tick if on_grid == best_ask else on_grid
    bid = min(floor_to(price, tick), below_ask, MICROS - tick)
    return bid if bid >= tick else 0


def cap_pair(
    bid_up: int, bid_down: int, total_max: int, tick: int, size_up: int, size_down: int
) -> tuple[int, int]:
    """Return both bids lowered, tick by tick, until together they do not exceed `total_max`.

    The side of the larger position gives way first, else the higher bid, else Up; then they take
    turns. A side at one tick passes its turn; if both are there and the sum is still too high,
    neither quotes. A bid below one tick is dropped and the other stands alone.
    """
    up, down = (min(floor_to(b, tick), MICROS - tick) for b in (bid_up, bid_down))
    up, down = (b if b >= tick else 0 for b in (up, down))
    if up == 0 or down == 0:
        return up, down
    if size_up != size_down:
        turn_up = size_up > size_down
    else:
        turn_up = up >= down
    while up + down > total_max:
        if up == tick and down == tick:
            return 0, 0
        if turn_up and up > tick:
            up -= tick
        elif not turn_up and down > tick:
            down -= tick
        turn_up = not turn_up
    return up, down
