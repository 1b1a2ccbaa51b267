"""Configuration: what is read, what is refused, and how it is said."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.host.config.load import load_settings, settings_of
from engine.host.config.schema import Settings
from engine.host.config.values import to_micros
from engine.host.errors import ConfigError, Exit

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "ops" / "config").glob("*.toml"))

LEAST = """
[run]
name = "a"
directory = "runs/a"
[venue]
rest_url = "http://127.0.0.1:1/"
market_ws_url = "ws://127.0.0.1:1/ws/market"
user_ws_url = "ws://127.0.0.1:1/ws/user"
gamma_url = "http://127.0.0.1:1/gamma"
[markets]
slugs = ["a-market"]
[feeds.market]
feeds = ["gamma", "clob_market", "clob_user"]
"""


def errors_of(tmp_path: Path, text: str | bytes) -> tuple[str, ...]:
    """Return the errors of a configuration file, without its name."""
    file = tmp_path / "x.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert caught.value.exit_code == Exit.REFUSED
    assert all(error.startswith(f"{file}: ") for error in caught.value.errors)
    assert all("\n" not in error for error in caught.value.errors)
    return tuple(error.removeprefix(f"{file}: ") for error in caught.value.errors)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_are_valid_and_named_by_their_mode(path: Path) -> None:
    """Every configuration we ship can be loaded and survives JSON; only `live.toml` is live."""
    settings = load_settings(path)
    assert settings.run.mode == ("live" if path.stem == "live" else "paper")
    assert Settings.from_json(settings.to_json()) == settings


def test_defaults_are_safe(tmp_path: Path) -> None:
    """What a file leaves out means paper, no strategy, and small caps."""
    file = tmp_path / "x.toml"
    file.write_text(LEAST)
    settings = load_settings(file)
    assert settings.run.mode == "paper"
    assert not settings.strategy.dutch_book.enabled
    assert not settings.strategy.spread.enabled
    assert settings.risk.total_notional_usd_max <= 100
    assert settings.venue.rest_url == "http://127.0.0.1:1"


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """One reading names every wrong key, each in a line of its own."""
    text = LEAST.replace('name = "a"', 'name = "A B"\nprofil = "shared"') + (
        "reconnect_ms_min = '5'\n[risk]\norder_notional_usd_max = true\n[host]\npark_us = 0\n"
    )
    keys = [error.split(": ")[0] for error in errors_of(tmp_path, text)]
    assert keys == [
        "run.name",
        "run.profil",
        "feeds.market.reconnect_ms_min",
        "risk.order_notional_usd_max",
        "host.park_us",
    ]


@pytest.mark.parametrize(
    ("addition", "error"),
    [
        ("silence_ms = 3", "feeds.market.silence_ms: unknown key; did you mean silence_ms_max?"),
        ("[rsk]", "rsk: unknown key; did you mean risk?"),
        (
            "[strategy.spred]",
            "strategy.spred.path: is missing; did you mean spread?",
        ),
        (
            "[process.core]\ncommand = []",
            "process.core.command: must not be empty (was [])",
        ),
        (
            "[strategy.spread]\nsize_shares = 1.2345678",
            "strategy.spread.size_shares: must be exact to 0.000001 (was 1.2345678)",
        ),
        ("[risk]\ncash_usd_min = nan", "risk.cash_usd_min: must be a finite number (was NaN)"),
        ("[risk]\ncash_usd_min = 1e999", "risk.cash_usd_min: must be a number the engine can hold"),
        ('[risk]\ncash_usd_min = "5"', "risk.cash_usd_min: must be a decimal number (was '5')"),
        (
            "[risk]\nbook_age_ms_max = 1.0",
            "risk.book_age_ms_max: must be a valid integer (was 1.0)",
        ),
        (
            "[risk]\norder_notional_usd_max = 60",
            "risk: order_notional_usd_max must not exceed market_notional_usd_max",
        ),
        (
            "[host.ring_capacity]\nmd = 1000",
            "host.ring_capacity.md: must be a power of two (was 1000)",
        ),
        (
            '[feeds.other]\nfeeds = ["clob_user"]',
            "(whole file): a feed must be in one group, once: feed=clob_user, times=2",
        ),
    ],
)
def test_error_names_key_and_value(tmp_path: Path, addition: str, error: str) -> None:
    """A wrong key is named with its place and its nearest match, a wrong value is shown."""
    (only,) = errors_of(tmp_path, LEAST + addition)
    assert only.startswith(error)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"[run\n", "not TOML: "),
        (b"\xff\xfe", "not UTF-8: byte=0"),
        (b"x = " + b"[" * 5_000, "not TOML: "),
        (b"#" * (2 << 20), "too long for a configuration: "),
    ],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, error: str) -> None:
    """What is not TOML is refused in one line, whatever it is instead."""
    (only,) = errors_of(tmp_path, content)
    assert only.startswith(error)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not there is named, with the reason."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.toml")


NUMBERS = (
    "1e999994", "1e-999999", "-1e999999", "nan", "-nan", "inf", "-inf", "0e999999", "0e-999999",
    "-0.0", "1" + "0" * 400, "1" + "0" * 5_000, "0x" + "f" * 5_000, "0x10", "true", "false",
    "1e1000000000000000000", "9223372036854775808", "9223372036854", "1.5", "0.0000001",
    "0." + "0" * 300 + "1", "1" * 300 + ".5", "1." + "0" * 300, '"5"', "[]", "{}", "1979-05-27",
)  # fmt: skip
NUMBER_KEYS = (
    "risk.cash_usd_min", "risk.total_notional_usd_max", "risk.book_age_ms_max", "host.warm_us",
    "host.cancel_ms_max", "host.ring_capacity.md", "host.instruments_max", "recorder.metrics_port",
    "signer.price_usd_min", "signer.order_age_ms_max", "signer.rates.orders_burst",
    "strategy.spread.size_shares", "strategy.spread.cutoff_s", "exchange.balance_usd",
    "feeds.market.ping_ms",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_every_number_has_a_range(tmp_path: Path, number: str) -> None:
    """It is refused by its key in a line, or it fits the engine's integers, in nanoseconds too."""
    refusals: list[str] = []
    for key in NUMBER_KEYS:
        table, _, name = key.rpartition(".")
        file = tmp_path / "x.toml"
        is_feed = table == "feeds.market"
        file.write_text(LEAST + ("" if is_feed else f"[{table}]\n") + f"{name} = {number}\n")
        try:
            settings = load_settings(file)
        except ConfigError as error:
            refusals += error.errors
            continue
        value: Any = settings.to_json()
        assert Settings.from_json(value) == settings
        for part in key.split("."):
            value = value[part]
        assert len(str(value)) < 40
        assert abs(int(Decimal(value) * 1_000_000)) < 2**63
        if name.endswith(("_ms", "_ms_max", "_s")):
            assert value * 1_000_000_000 < 2**63
    assert all("\n" not in line and len(line) < 400 for line in refusals)


@given(
    sign=st.sampled_from(["", "-"]),
    digits=st.text("0123456789", min_size=1, max_size=60),
    point=st.integers(0, 60),
    exponent=st.integers(-1_000_000, 1_000_000),
)
def test_any_decimal_is_held_exactly_or_refused(
    sign: str, digits: str, point: int, exponent: int
) -> None:
    """No amount is rounded on its way in, and none raises anything but its refusal."""
    value = Decimal(f"{sign}{digits[:point] or '0'}.{digits[point:] or '0'}e{exponent}")
    content = {**tomllib.loads(LEAST), "exchange": {"balance_usd": value}}
    try:
        held = settings_of(content, "x").exchange.balance_usd
    except ConfigError:
        return
    assert held == value
    assert 0 < to_micros(held) < 2**62


@given(micros=st.integers(0, 10**15))
def test_money_is_exact(micros: int) -> None:
    """Every amount of whole micros comes through text and back to the same integer."""
    assert to_micros(Decimal(micros) / 1_000_000) == micros


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SECTIONS = st.sampled_from([*Settings.model_fields, "junk"])


@given(content=st.dictionaries(SECTIONS, JUNK))
def test_junk_is_refused_not_crashed_on(content: dict[str, Any]) -> None:
    """Whatever stands in the tables, the answer is a list of errors, one line each."""
    with pytest.raises(ConfigError) as caught:
        settings_of(content, "junk")
    assert caught.value.errors
