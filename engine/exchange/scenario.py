"""The scenario file: what goes wrong at the exchange, when, and how often. TOML, seeded.

```toml
seed = 7                     # of every chance below; default 0

[settlement]                 # how trades settle: the fields of `Fates`, ppm of all trades
fail_ppm = 50_000            # ghost fills
retry_ppm = 100_000

[[fault]]
kind = "lost_reply"
route = "POST /order"        # method and path; a path that ends in * is a beginning
from_s = 10                  # venue seconds after the start; default 0
for_s = 60                   # default: to the end
chance = 0.2                 # of each request, frame or order it could hit; default 1
times = 3                    # at most; default: no limit
```
```
kind           keys                    what happens                                       matrix
-------------  ----------------------  -------------------------------------------------  ------
on requests    route (default *)
lost_request                           the connection closes, the venue never saw it      A2 A15
lost_reply                             handled, the connection closes without an answer   A1 A10
late_reply     delay_ms                handled, answered so much real time later          A3 B2
error_before   status text page        answered so, not handled                           A4 A5 A13
error_after    status text page        handled, but answered so                           A4
wrong_id                               handled, the answer names another order            A9
ghost_book                             a book of nothing but 0.01 and 0.99
slow_bytes     delay_ms                handled, answered byte by byte                     D2
reset                                  handled, reset in the middle of the answer         D3
on orders
refuse         text                    the desk refuses the order, also legs of a batch   A8 A12
on frames      stream ("market",
               "user")
mute           outcome                 nothing of it (of one token), pongs as ever        C1 C2
lose                                   the frame is lost                                  C4 B7
repeat                                 the frame comes twice                              C3 B1
shuffle                                the frame comes after the next one                 C3 B3
crossed                                the book is crossed until the next frame           C5
stale_book                             after it comes the connection's first book again   C6
odd_precision                          sizes have a seventh decimal                       B9
hang_up                                the connection is reset                            D3 D7
from_s only, at that moment
restart        down_s post_only_s      425, then post-only, then normal                   A6
tick           market tick             the market is on another grid                      A11 C7
foreign_order  market account outcome  an order of that account, sent by nobody we know   B8
               side price size
close          market                  the market closes before its time                  C8
during from_s … for_s
cancel_only, disabled, throttled       503, 503, 429 with a page                          A5 A7
geoblocked, closed_only                403; 400 for purchases of every test account       A14
```
`status`, `tick`, `price` and `size` are written as the venue does (500, "0.001"). `market` is a
slug, by default the market listed last. What fires is a row of the truth ledger (`fault`), as is
everything it makes happen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.exchange.fates import Fates
from engine.host.errors import RefuseError
from engine.math.units import micros_from_text


class Seam(StrEnum):
    """Where a fault gets in."""

    REQUEST = "request"
    ORDER = "order"
    FRAME = "frame"
    MOMENT = "moment"
    MODE = "mode"


class FaultKind(StrEnum):
    """What can go wrong; the table above."""

    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    LATE_REPLY = "late_reply"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    WRONG_ID = "wrong_id"
    GHOST_BOOK = "ghost_book"
    SLOW_BYTES = "slow_bytes"
    RESET = "reset"
    REFUSE = "refuse"
    MUTE = "mute"
    LOSE = "lose"
    REPEAT = "repeat"
    SHUFFLE = "shuffle"
    CROSSED = "crossed"
    STALE_BOOK = "stale_book"
    ODD_PRECISION = "odd_precision"
    HANG_UP = "hang_up"
    RESTART = "restart"
    TICK = "tick"
    FOREIGN_ORDER = "foreign_order"
    CLOSE = "close"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"
    THROTTLED = "throttled"
    GEOBLOCKED = "geoblocked"
    CLOSED_ONLY = "closed_only"


_SEAMS = {
    Seam.REQUEST: "lost_request lost_reply late_reply error_before error_after wrong_id ghost_book "
    "slow_bytes reset",
    Seam.ORDER: "refuse",
    Seam.FRAME: "mute lose repeat shuffle crossed stale_book odd_precision hang_up",
    Seam.MOMENT: "restart tick foreign_order close",
    Seam.MODE: "cancel_only disabled throttled geoblocked closed_only",
}
SEAM_OF = {FaultKind(name): seam for seam, names in _SEAMS.items() for name in names.split()}

_COMMON = {
    Seam.REQUEST: {"route", "from_s", "for_s", "chance", "times"},
    Seam.ORDER: {"from_s", "for_s", "chance", "times"},
    Seam.FRAME: {"stream", "from_s", "for_s", "chance", "times"},
    Seam.MOMENT: {"from_s"},
    Seam.MODE: {"from_s", "for_s"},
}
_OWN = {
    FaultKind.LATE_REPLY: {"delay_ms"},
    FaultKind.SLOW_BYTES: {"delay_ms"},
    FaultKind.ERROR_BEFORE: {"status", "text", "page"},
    FaultKind.ERROR_AFTER: {"status", "text", "page"},
    FaultKind.REFUSE: {"text"},
    FaultKind.MUTE: {"outcome"},
    FaultKind.RESTART: {"down_s", "post_only_s"},
    FaultKind.TICK: {"market", "tick"},
    FaultKind.CLOSE: {"market"},
    FaultKind.FOREIGN_ORDER: {"market", "account", "outcome", "side", "price", "size"},
}
STREAMS = ("market", "user")
FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry. number: its place in the file, from 1.  outcome: 0 Up, 1 Down, -1 both.

    Times in venue seconds after the start, delays in real ms, tick, price and size in micros.
    """

    number: int
    kind: FaultKind
    route: str = "*"
    stream: str = "market"
    from_s: float = 0.0
    for_s: float = FOREVER_S
    chance: float = 1.0
    times: int = 1 << 62
    delay_ms: int = 8_000
    status: int = 500
    text: str = "Internal server error"
    page: bool = False
    outcome: int = -1
    down_s: float = 90.0
    post_only_s: float = 120.0
    market: str = ""
    tick: int = 1_000
    account: int = 0
    side: str = "BUY"
    price: int = 10_000
    size: int = 5_000_000

    @property
    def seam(self) -> Seam:
        """Where it gets in."""
        return SEAM_OF[self.kind]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole file. fates: None = as without a scenario."""

    seed: int = 0
    fates: Fates | None = None
    faults: tuple[Fault, ...] = field(default_factory=tuple)


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
    settlement = _settlement(data.get("settlement", {}), fates, problems)
    entries = data.get("fault", [])
    if not isinstance(entries, list):
        problems.append("faults are an array of tables: [[fault]]")
        entries = []
    faults = [_fault(number, entry, problems) for number, entry in enumerate(entries, 1)]
    if problems:
        raise RefuseError(f"scenario is not valid: file={path}, " + "; ".join(problems))
    return Scenario(seed, settlement, tuple(fault for fault in faults if fault is not None))


_TOP = {"seed", "settlement", "fault"}


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


def _status(value: Any) -> int:
    if not 400 <= _whole(value) <= 599:
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
    "outcome": _one_of({"up": 0, "down": 1}),
    "down_s": _seconds,
    "post_only_s": _seconds,
    "market": _text,
    "tick": _micros,
    "account": _whole,
    "side": _one_of({"BUY": "BUY", "SELL": "SELL"}),
    "price": _micros,
    "size": _micros,
}
