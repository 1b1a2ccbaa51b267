"""Reading a configuration: one TOML file in, one frozen `Settings` out, or every error at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from engine.host.config.schema import Settings
from engine.host.errors import ConfigError

CONFIG_BYTES_MAX = 1 << 20
_VALUE_CHARS_MAX = 60


def load_settings(path: Path | str) -> Settings:
    """Return the settings of a TOML file, defaults filled in.

    Raises ConfigError with one line for each error; each names the file, the key and what was seen.
    """
    return settings_of(_read(Path(path)), str(path))


def settings_of(content: Mapping[str, Any], source: str) -> Settings:
    """Return the settings of parsed TOML, its numbers int or Decimal; errors name `source`."""
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigError([f"{source}: {line}" for line in _sentences(error)]) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(text) > CONFIG_BYTES_MAX:
        raise ConfigError([f"{path}: too long for a configuration: bytes_max={CONFIG_BYTES_MAX}"])
    try:
        return tomllib.loads(text.decode(), parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8: byte={error.start}"]) from None
    # Beside what is no TOML: an integer of more digits than Python reads, an exponent beyond all.
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from None


def _sentences(error: ValidationError) -> list[str]:
    errors: list[dict[str, Any]] = [dict(each) for each in error.errors()]
    places = [each["loc"] for each in errors]
    # A list whose only item is bad is also reported as too short: once is enough.
    return [
        _sentence(each)
        for each in errors
        if each["type"] != "too_short"
        or all(place[: len(each["loc"])] != each["loc"] for place in places if place != each["loc"])
    ]


def _sentence(error: dict[str, Any]) -> str:
    """Return one of pydantic's errors as `key: rule broken (was value)`."""
    location: tuple[str | int, ...] = error["loc"]
    key = ".".join(str(part) for part in location if part != "[key]") or "(whole file)"
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key{_nearest(location)}"
    if kind == "missing":
        return f"{key}: is missing{_stranger(location[:-1])}"
    if kind == "value_error":
        message = str(error["ctx"]["error"])
    elif kind == "string_pattern_mismatch":
        message = f"must match {error['ctx']['pattern']}"
    elif kind == "tuple_type":
        message = "must be a list"
    elif kind == "too_short":
        message = "must not be empty"
    else:
        message = error["msg"].replace("Input should", "must")
    value = error["input"]
    if isinstance(value, (Mapping, BaseModel)):
        return f"{key}: {message}"
    return f"{key}: {message} (was {_shown(value)})"


def _shown(value: Any) -> str:
    try:
        text = str(value) if isinstance(value, Decimal) else repr(value)
    except ValueError:  # an integer of more digits than Python writes, or a list with one
        text = f"too long to show: {type(value).__name__}"
    return text if len(text) <= _VALUE_CHARS_MAX else text[:_VALUE_CHARS_MAX] + "…"


def _nearest(location: tuple[str | int, ...]) -> str:
    """Return a hint at the known key closest to an unknown one, and otherwise the known keys."""
    known = _keys_at(location[:-1])
    matches = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if matches:
        return f"; did you mean {matches[0]}?"
    return f"; known keys: {', '.join(known)}" if known else ""


def _stranger(location: tuple[str | int, ...]) -> str:
    """Return a hint for a table that misses something and has no known name: it may be misspelt."""
    if not location or location[-1] in _keys_at(location[:-1]):
        return ""
    return _nearest(location)


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys a table of the schema knows; location: where the table is."""
    kind: Any = Settings
    for part in location:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            return []
    is_table = isinstance(kind, type) and issubclass(kind, BaseModel)
    return sorted(kind.model_fields) if is_table else []
