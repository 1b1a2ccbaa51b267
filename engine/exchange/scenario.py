"""The scenario file: what goes wrong at the exchange, when, and how often. TOML, seeded.

```toml
seed = 7                     # of every chance below; default 0
waits = true                 # times count from POST /_exchange/faults; default: from the start

[settlement]                 # how trades settle: the fields of `Fates`, ppm of all trades
fail_ppm = 50_000            # ghost fills                                             matrix B4
stuck_ppm = 10_000           # neither confirmed nor failed, ever                      matrix B5
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
lost_reply                             handled, the connection closes without an answer   A1 A10 R2
late_reply     delay_ms                handled, answered so much real time later          A3 B2
error_before   status text page        answered so, not handled                           A4 A5 A13
               body location
error_after    the same                handled, but answered so                           A4
wrong_id                               handled, the answer names another order            A9
ghost_book                             a book of nothing but 0.01 and 0.99
empty_page                             a list without its rows, where there are some      C13
new_schema                             the same answer under other keys                   C13
bad_row                                one row of a list is no record
slow_bytes     delay_ms                handled, answered byte by byte                     D2
reset                                  handled, reset in the middle of the answer         D3
on orders
refuse         text                    the desk refuses the order, also legs of a batch   A8 A12
dust           dust (at most "0.01")   a taker gets so much less, and counts as filled    B6
on frames      stream ("market",
               "user", "prices",
               "rtds")
mute           outcome                 nothing of it (of one token), pongs as ever        C1 C2
lose                                   the frame is lost                                  C4 B7
repeat                                 the frame comes twice                              C3 B1
shuffle                                the frame comes after the next one                 C3 B3
crossed                                the book is crossed until the next frame           C5
stale_book                             after it comes the connection's first book again   C6
odd_precision                          sizes have a seventh decimal                       B9
reword         text                    the status it tells has this name
resize                                 it comes a second time, with half its sizes
hang_up                                the connection is reset                            C12 D3 D7
on prices
price_gap                              the oracle skips the second                        C10
price_jump     percent                 it is so much higher (lower), for that second      C11
from_s only, at that moment
restart        down_s post_only_s      425, then post-only, then normal                   A6
tick           market tick             the market is on another grid                      A11 C7
foreign_order  market account outcome  an order of that account, sent by nobody we know   B8
               side price size
close          market                  the market closes before its time                  C8
during from_s … for_s
clock_off      ahead_ms                `GET /time` is so far ahead (behind, if negative)  G3
unresolved                             markets that end stay closed, without a result     K9
cancel_only, disabled, throttled       503, 503, 429 with a page                          A5 A7 R3
geoblocked, closed_only                403; 400 for purchases of every test account       A14
```
`status`, `tick`, `price` and `size` are written as the venue does (500, "0.001"). `body` is sent as
it is, in place of `{"error": text}`; `location` is where a redirect leads, the path is appended.
`market` is a slug, by default the market listed last. What fires is a row of the truth ledger
(`fault`), as is everything it makes happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from engine.exchange.fates import Fates


class Seam(StrEnum):
    """Where a fault gets in."""

    REQUEST = "request"
    ORDER = "order"
    FRAME = "frame"
    PRICE = "price"
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
    EMPTY_PAGE = "empty_page"
    NEW_SCHEMA = "new_schema"
    BAD_ROW = "bad_row"
    SLOW_BYTES = "slow_bytes"
    RESET = "reset"
    REFUSE = "refuse"
    DUST = "dust"
    MUTE = "mute"
    LOSE = "lose"
    REPEAT = "repeat"
    SHUFFLE = "shuffle"
    CROSSED = "crossed"
    STALE_BOOK = "stale_book"
    ODD_PRECISION = "odd_precision"
    REWORD = "reword"
    RESIZE = "resize"
    HANG_UP = "hang_up"
    PRICE_GAP = "price_gap"
    PRICE_JUMP = "price_jump"
    CLOCK_OFF = "clock_off"
    UNRESOLVED = "unresolved"
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
    "empty_page new_schema bad_row slow_bytes reset",
    Seam.ORDER: "refuse dust",
    Seam.FRAME: "mute lose repeat shuffle crossed stale_book odd_precision reword resize hang_up",
    Seam.PRICE: "price_gap price_jump",
    Seam.MOMENT: "restart tick foreign_order close",
    Seam.MODE: "cancel_only disabled throttled geoblocked closed_only clock_off unresolved",
}
SEAM_OF = {FaultKind(name): seam for seam, names in _SEAMS.items() for name in names.split()}

STREAMS = ("market", "user", "prices", "rtds")
FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry. number: its place in the file, from 1.  outcome: 0 Up, 1 Down, -1 both.

    Times in venue seconds after the start, delays in real ms, tick, price and sizes in micros.
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
    body: str = ""
    location: str = ""
    outcome: int = -1
    down_s: float = 90.0
    post_only_s: float = 120.0
    market: str = ""
    tick: int = 1_000
    account: int = 0
    side: str = "BUY"
    price: int = 10_000
    size: int = 5_000_000
    dust: int = 10_000
    percent: int = 20
    ahead_ms: int = 1_000

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
    waits: bool = False
