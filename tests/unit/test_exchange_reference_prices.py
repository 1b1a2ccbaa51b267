"""Reference prices: what is kept, what the mean over a window is."""

from __future__ import annotations

from engine.exchange.reference_prices import Observation, ReferencePrices


def test_two_minutes_are_kept_and_late_prices_dropped():
    """History is the last two minutes; an observation that is not later than the last is none."""
    prices, heard = ReferencePrices(), []
    prices.listen(lambda symbol, observation: heard.append((symbol, observation)))
    for second in range(500):
        prices.observe("btcusd", second * 1_000, 1_000_000 + second)
    prices.observe("btcusd", 499_000, 5)
    history = prices.history("btcusd")
    assert (len(history), history[-1]) == (120, Observation(499_000, 1_000_499))
    assert len(heard) == 500
    assert prices.history("ethusd") == []
    assert prices.mean("ethusd", 60) is None


def test_the_mean_covers_the_last_sixty_seconds():
    """Each point of the means is the average of its own window, also the oldest one shown."""
    prices = ReferencePrices()
    for second in range(300):
        prices.observe("btcusd", second * 1_000, second * 1_000_000)
    mean = prices.mean("btcusd", 60)
    assert mean == Observation(299_000, (240 + 299) * 1_000_000 // 2)
    means = prices.means("btcusd", 60)
    assert len(means) == 120
    assert means[0] == Observation(180_000, (121 + 180) * 1_000_000 // 2)
