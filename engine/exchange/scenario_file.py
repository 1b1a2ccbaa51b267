"""Reads a scenario file strictly: all that is wrong in it is named at once.

What the keys mean is in `engine.exchange.scenario`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.exchange.fates import Fates
from engine.exchange.scenario import (
    FOREVER_S,
    SEAM_OF,
    STREAMS,
    Fault,
    FaultKind,
    Scenario,
    Seam,
)
from engine.host.errors import RefuseError
from engine.math.units import micros_from_text

_COMMON = {
    Seam.REQUEST: {"route", "from_s", "for_s", "chance", "times"},
    Seam.ORDER: {"from_s", "for_s", "chance", "times"},
    Seam.FRAME: {"stream", "from_s", "for_s", "chance", "times"},
    Seam.PRICE: {"from_s", "for_s", "chance", "times"},
    Seam.MOMENT: {"from_s"},
    Seam.MODE: {"from_s", "for_s"},
}
_OWN = {
    FaultKind.LATE_REPLY: {"delay_ms"},
    FaultKind.SLOW_BYTES: {"delay_ms"},
    FaultKind.ERROR_BEFORE: {"status", "text", "page", "body", "location"},
    FaultKind.ERROR_AFTER: {"status", "text", "page", "body", "location"},
    FaultKind.REFUSE: {"text"},
    FaultKind.DUST: {"dust"},
    FaultKind.REWORD: {"text"},
    FaultKind.MUTE: {"outcome"},
    FaultKind.RESTART: {"down_s", "post_only_s"},
    FaultKind.TICK: {"market", "tick"},
    FaultKind.CLOSE: {"market"},
    FaultKind.FOREIGN_ORDER: {"market", "account", "outcome", "side", "price", "size"},
    FaultKind.PRICE_JUMP: {"percent"},
    FaultKind.CLOCK_OFF: {"ahead_ms"},
}
DUST_MAX = 10_000  # micro-shares
DAY_MS = 86_400_000


def load_scenario(path: Path, fates: Fates) -> Scenario:
    """Return the scenario in a file. fates: what `[settlement]` changes.

    Raises RefuseError that names the file and all that is wrong in it.
    """
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RefuseError(f"scenario cannot be read: file={path}, {error}") from None
    problems: list[str] = [f"unknown key: {key}" for key in data.keys() - _TOP]
    seed = data.get("seed", 0)
    if not isinstance(seed, int):
        problems.append(f"seed must be a whole number: seed={seed!r:.40}")
    waits = data.get("waits", False)
    if not isinstance(waits, bool):
        problems.append(f"waits must be true or false: waits={waits!r:.40}")
    settlement = _settlement(data.get("settlement", {}), fates, problems)
    entries = data.get("fault", [])
    if not isinstance(entries, list):
        problems.append("faults are an array of tables: [[fault]]")
        entries = []
    faults = [_fault(number, entry, problems) for number, entry in enumerate(entries, 1)]
    if problems:
        raise RefuseError(f"scenario is not valid: file={path}, " + "; ".join(problems))
    placed = tuple(fault for fault in faults if fault is not None)
    return Scenario(seed, settlement, placed, waits)


_TOP = {"seed", "waits", "settlement", "fault"}


def _settlement(table: Any, fates: Fates, problems: list[str]) -> Fates | None:
    if not isinstance(table, dict):
        problems.append("settlement must be a table")
        return None
    if not table:
        return None
    known = {f.name: getattr(fates, f.name) for f in fields(Fates)}
    for key, value in table.items():
        if key not in known:
            problems.append(f"settlement has an unknown key: {key}")
        elif type(value) is not type(known[key]):
            problems.append(f"settlement has a wrong value: {key}={value!r:.40}")
    try:
        return None if problems else Fates(**(known | table))
    except ValueError as error:
        problems.append(f"settlement: {error}")
        return None


def _fault(number: int, entry: Any, problems: list[str]) -> Fault | None:
    """Return one entry, or None after noting what is wrong with it."""
    kinds = [*FaultKind]
    if not isinstance(entry, dict) or entry.get("kind") not in kinds:
        kind = entry.get("kind") if isinstance(entry, dict) else entry
        problems.append(f"fault {number} has an unknown kind: kind={kind!r:.40}")
        return None
    kind = FaultKind(entry["kind"])
    allowed = _COMMON[SEAM_OF[kind]] | _OWN.get(kind, set())
    bad = [
        f"fault {number} ({kind}) {_complaint(key, value, allowed)}"
        for key, value in entry.items()
        if key != "kind" and _complaint(key, value, allowed)
    ]
    if bad:
        problems += bad
        return None
    return Fault(number, kind, **{key: _READ[key](v) for key, v in entry.items() if key != "kind"})


def _complaint(key: str, value: Any, allowed: set[str]) -> str:
    if key not in allowed:
        return f"does not have: {key}"
    try:
        _READ[key](value)
    except (ValueError, TypeError, ArithmeticError):
        return f"has a wrong value: {key}={value!r:.40}"
    return ""


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= FOREVER_S:
        raise ValueError
    return float(value)


def _chance(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError
    return float(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _micros(value: Any) -> int:
    micros = micros_from_text(_text(value))
    if micros <= 0:
        raise ValueError
    return micros


def _dust(value: Any) -> int:
    if _micros(value) > DUST_MAX:
        raise ValueError
    return _micros(value)


def _percent(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -100 < value <= 1_000:
        raise ValueError
    return value


def _offset(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > DAY_MS:
        raise ValueError
    return value


def _status(value: Any) -> int:
    if not 200 <= _whole(value) <= 599:
        raise ValueError
    return _whole(value)


def _one_of(names: Mapping[str, Any]) -> Any:
    return lambda value: names[value] if value in names else _refuse()


def _refuse() -> None:
    raise ValueError


_READ: dict[str, Any] = {
    "route": _text,
    "stream": _one_of({name: name for name in STREAMS}),
    "from_s": _seconds,
    "for_s": _seconds,
    "chance": _chance,
    "times": _whole,
    "delay_ms": _whole,
    "status": _status,
    "text": _text,
    "page": _flag,
    "body": _text,
    "location": _text,
    "outcome": _one_of({"up": 0, "down": 1}),
    "down_s": _seconds,
    "post_only_s": _seconds,
    "market": _text,
    "tick": _micros,
    "account": _whole,
    "side": _one_of({"BUY": "BUY", "SELL": "SELL"}),
    "price": _micros,
    "size": _micros,
    "dust": _dust,
    "percent": _percent,
    "ahead_ms": _offset,
}
