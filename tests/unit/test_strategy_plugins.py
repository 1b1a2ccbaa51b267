"""Strategies from outside: `[strategy.NAME]` with a path, from the file to the object."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from core_driver import SPREAD

from engine.core.params import EngineParams, StrategyParams, from_settings
from engine.core.strategies.load import StrategyError, load_strategy
from engine.core.strategies.spread import Spread
from engine.host.config.load import settings_of
from engine.host.config.schema import Settings
from engine.host.errors import ConfigError

PATH = "my_strategies.maker:Maker"


def settings(**strategies: dict[str, Any]) -> Settings:
    """Return small settings with these strategies."""
    url = "http://127.0.0.1:1"
    return settings_of(
        {
            "run": {"name": "t", "directory": "t"},
            "venue": {"rest_url": url, "gamma_url": url}
            | {"market_ws_url": "ws://127.0.0.1:1", "user_ws_url": "ws://127.0.0.1:1"},
            "markets": {"slugs": ["s"]},
            "feeds": {"market": {"feeds": ["gamma"]}},
            "strategy": strategies,
        },
        "t.toml",
    )


def params_of(chosen: Settings) -> EngineParams:
    """Return the core's parameters as a process finds them: through JSON."""
    return from_settings(chosen.to_json(), run_seed=1)


def errors_of(**strategies: dict[str, Any]) -> tuple[str, ...]:
    """Return what a configuration with these strategies is refused for."""
    with pytest.raises(ConfigError) as caught:
        settings(**strategies)
    return caught.value.errors


def test_a_strategy_of_ones_own_reaches_the_core_with_its_parameters():
    """Its numbers arrive in the core's units, told by their names, after the strategies we have."""
    chosen = settings(
        maker={
            "path": PATH,
            "enabled": True,
            "edge_usd_min": Decimal("0.0125"),
            "size_shares": 5,
            "wait_ms": 3,
            "levels": Decimal("2.0"),
        },
        spread={"enabled": True},
    )
    spread, maker = params_of(chosen).strategies
    assert spread.name == "spread"
    assert (maker.name, maker.path) == ("maker", PATH)
    assert maker.values == {
        "edge_usd_min": 12_500,
        "size_shares": 5_000_000,
        "wait_ms": 3_000_000,
        "levels": 2,
    }


def test_settings_with_a_plugin_survive_the_way_through_json():
    """`run.json` carries a plugin's parameters exactly."""
    chosen = settings(maker={"path": PATH, "edge_usd_min": Decimal("0.000001"), "levels": 3})
    assert Settings.from_json(chosen.to_json()) == chosen


def test_a_plugin_is_disabled_unless_it_says_otherwise():
    """Naming a strategy does not make it trade."""
    assert params_of(settings(maker={"path": PATH})).strategies == ()


def test_a_misspelt_strategy_is_not_taken_for_a_plugin():
    """A table without a path and with no known name is an error that names the nearest one."""
    (error,) = errors_of(dutch_boook={"enabled": True})
    assert error == "t.toml: strategy.dutch_boook.path: is missing; did you mean dutch_book?"


def test_our_own_strategies_take_no_path():
    """The name of a strategy we have cannot stand for another."""
    (error,) = errors_of(spread={"path": PATH})
    assert error.startswith("t.toml: strategy.spread.path: unknown key")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"path": "maker"}, "maker.path: must match"),
        ({"path": PATH, "flag": True}, "maker.flag: must be a decimal number (was True)"),
        ({"path": PATH, "note": "x"}, "maker.note: must be a decimal number (was 'x')"),
        ({"path": PATH, "wait_ms": Decimal("0.5")}, "maker: must be a whole number"),
        ({"path": PATH, "size_shares": Decimal("1e-7")}, "maker.size_shares: must be exact"),
    ],
)
def test_a_plugins_parameters_are_numbers_in_their_units(value: dict[str, Any], error: str):
    """What the core could not hold as an integer is refused by name."""
    (found,) = errors_of(maker=value)
    assert found.startswith(f"t.toml: strategy.{error}")


def test_a_path_becomes_the_strategy_it_names():
    """The strategies we have are loaded the way any other is."""
    assert isinstance(load_strategy(SPREAD), Spread)


@pytest.mark.parametrize(
    "path",
    [
        "engine.core.strategies.absent:Spread",
        "engine.core.strategies.spread:Absent",
        "engine.core.strategies.spread:MICROS",
        "engine.core.strategies.spread:Spread",
    ],
)
def test_a_strategy_that_cannot_be_had_is_named(path: str):
    """No module, no class, not a class, or parameters missing: one error with name and path."""
    with pytest.raises(StrategyError, match=rf"strategy=maker, path={path}, \w+Error"):
        load_strategy(StrategyParams("maker", path, {}))
