"""A simulated bitcoin price, one value a second, the same for the same seed. Pure.

Log returns are normal with a volatility that wanders around its mean, and now and then a jump:
enough for windows that are decided early, late, and in the last second.
"""

from __future__ import annotations

import math
import random

START_USD = 100_000.0
SIGMA = 8.9e-5  # per √second: 50 % a year
SIGMA_MEMORY = 0.998  # of the log-volatility, a second: about eight minutes
SIGMA_NOISE = 0.012
JUMPS_PER_S = 1 / 1_800
JUMP_SIGMA = 0.001


class BtcPath:
    """`step` moves it on by a second."""

    __slots__ = ("_chance", "_log_price", "_log_sigma")

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(f"{seed}/btc")  # noqa: S311  a simulation
        self._log_price = math.log(START_USD)
        self._log_sigma = 0.0

    def step(self) -> int:
        """Return the next second's price in micros of USD."""
        chance = self._chance
        self._log_sigma = SIGMA_MEMORY * self._log_sigma + SIGMA_NOISE * chance.gauss(0.0, 1.0)
        self._log_price += SIGMA * math.exp(self._log_sigma) * chance.gauss(0.0, 1.0)
        if chance.random() < JUMPS_PER_S:
            self._log_price += JUMP_SIGMA * chance.gauss(0.0, 1.0)
        return round(math.exp(self._log_price) * 1_000_000)


def up_probability(
    spot: float, strike: float, left_s: float, sigma: float = SIGMA, mean: float | None = None
) -> float:
    """Return the chance that the 60-second mean at the end is at least `strike`.

    spot, strike: in one unit.  left_s: until the end.  mean: of the part of the last minute that
    has passed, needed when less than a minute is left. Source: quant.md §3.2 `p_up_twap`, no drift.
    """
    window_s = 60.0
    if left_s >= window_s or mean is None:
        centre, time_s = spot, max(left_s - 2 * window_s / 3, left_s / 3)
    else:
        weight = max(left_s, 0.0) / window_s
        centre = (1 - weight) * mean + weight * spot
        time_s = max(left_s, 0.0) ** 3 / (3 * window_s**2)
    deviation = spot * sigma * math.sqrt(time_s)
    if not deviation:
        return 1.0 if centre >= strike else 0.0
    return 0.5 * math.erfc((strike - centre) / (deviation * math.sqrt(2.0)))
