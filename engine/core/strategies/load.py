"""Strategies are plugins: a dotted path in the configuration becomes an object here."""

from __future__ import annotations

from importlib import import_module

from engine.core.params import StrategyParams
from engine.core.strategies.base import Strategy


class StrategyError(ValueError):
    """A configured strategy that cannot be had; the message names it and its path."""


def load_strategy(chosen: StrategyParams) -> Strategy:
    """Return the strategy at `chosen.path`, made with its parameters.

    Raises StrategyError where the path leads nowhere or the strategy refuses its parameters.
    """
    module, _, name = chosen.path.partition(":")
    try:
        strategy: Strategy = getattr(import_module(module), name)(chosen)
    except (ImportError, AttributeError, TypeError, ValueError, KeyError) as error:
        raise StrategyError(
            f"strategy cannot be loaded: strategy={chosen.name}, path={chosen.path}, "
            f"{type(error).__name__}: {error}"
        ) from error
    return strategy
