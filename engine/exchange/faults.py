"""Makes a scenario happen. The servers ask before they act; moments come by the venue's clock.

```
server                      asks                          and does
HTTP, every request         Faults.request(method, path)  what the fault says, around its handler
a stream, every connection  Faults.frames(stream, hang_up)  sends what the filter makes of a frame
venue, every order          Venue.refuses                 refuses with the text
desk, every sweep           OrderDesk.dust_of             leaves so much of the order unfilled
oracle, every observation   ReferencePrices.distort       observes another price, or none
```
Each fault has its own seeded chance, so that adding one does not change when another fires.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from functools import partial

from engine.exchange.frame_faults import FrameFilter
from engine.exchange.listing import Listing
from engine.exchange.matching import Order
from engine.exchange.orders import Answer, Submission
from engine.exchange.reference_prices import ReferencePrices
from engine.exchange.scenario import Fault, FaultKind, Scenario, Seam
from engine.exchange.schedule import NEVER_MS, Phase
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from engine.exchange.venue_mode import Trading, VenueMode
from engine.wire.codes import Side, Tif

TRADING = {
    FaultKind.CANCEL_ONLY: Trading.CANCEL_ONLY,
    FaultKind.DISABLED: Trading.DISABLED,
    FaultKind.THROTTLED: Trading.THROTTLED,
}
RETRY_AFTER_S = 10


class Trigger:
    """One fault's own clock, chance and count."""

    __slots__ = ("_chance", "_left", "_venue", "_window_ms", "fault")

    def __init__(self, fault: Fault, seed: int, venue: Venue) -> None:
        """It does not fire before `arm`."""
        self.fault = fault
        self._venue = venue
        self._chance = random.Random(f"{seed}/{fault.number}")  # noqa: S311  a simulation
        self._left = fault.times
        self._window_ms = (NEVER_MS, NEVER_MS)

    def arm(self) -> None:
        """Let the fault's times count from the venue's present."""
        start_ms = self._venue.schedule.now_ms + int(self.fault.from_s * 1_000)
        self._window_ms = (start_ms, start_ms + int(self.fault.for_s * 1_000))

    @property
    def start_ms(self) -> int:
        """When it begins."""
        return self._window_ms[0]

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return self._window_ms[1]

    def fires(self, where: str) -> bool:
        """Draw whether it happens now; if so, count it and write it down."""
        start_ms, end_ms = self._window_ms
        now_ms = self._venue.schedule.now_ms
        if not self._left or not start_ms <= now_ms < end_ms:
            return False
        if self._chance.random() >= self.fault.chance:
            return False
        self._left -= 1
        self.record(where)
        return True

    def record(self, where: str) -> None:
        """Write that it happened."""
        now_ms, fault = self._venue.schedule.now_ms, self.fault
        self._venue.truth.write(
            "fault", now_ms, number=fault.number, fault=str(fault.kind), where=where
        )


class Faults:
    """A scenario at work on one venue."""

    __slots__ = ("_accounts", "_by_seam", "_is_armed", "_mode", "_venue")

    def __init__(
        self,
        scenario: Scenario,
        venue: Venue,
        mode: VenueMode,
        prices: ReferencePrices,
        accounts: list[str],
    ) -> None:
        """Begin now, unless the scenario waits.

        accounts: addresses of the test accounts, as faults number them.
        """
        self._venue = venue
        self._mode = mode
        self._accounts = accounts
        self._by_seam: dict[Seam, list[Trigger]] = {seam: [] for seam in Seam}
        for fault in scenario.faults:
            self._by_seam[fault.seam].append(Trigger(fault, scenario.seed, venue))
        self._is_armed = False
        if not scenario.waits:
            self.arm()
        if self._by_seam[Seam.ORDER]:
            venue.refuses = self.refuses
            venue.desk.dust_of = self.dust_of
        if self._by_seam[Seam.PRICE]:
            prices.distort = self.distort

    def arm(self) -> None:
        """Let all times count from now; a second call does nothing."""
        if self._is_armed:
            return
        self._is_armed = True
        for triggers in self._by_seam.values():
            for trigger in triggers:
                trigger.arm()
        for trigger in (*self._by_seam[Seam.MOMENT], *self._by_seam[Seam.MODE]):
            self._schedule(trigger)

    def request(self, method: str, path: str) -> Fault | None:
        """Return what is to happen to a request, if anything."""
        route = f"{method} {path}"
        for trigger in self._by_seam[Seam.REQUEST]:
            if _matches(trigger.fault.route, route) and trigger.fires(route):
                return trigger.fault
        return None

    def refuses(self, submission: Submission) -> str:
        """Return the text that refuses an order, or ""."""
        for trigger in self._by_seam[Seam.ORDER]:
            if trigger.fault.kind is FaultKind.REFUSE and trigger.fires(submission.order_hash):
                return trigger.fault.text
        return ""

    def dust_of(self, order: Order) -> int:
        """Return how many micro-shares less than it wants a taker is given."""
        for trigger in self._by_seam[Seam.ORDER]:
            if trigger.fault.kind is FaultKind.DUST and trigger.fires(order.key):
                return trigger.fault.dust
        return 0

    def distort(self, symbol: str, value: int) -> int | None:
        """Return what the oracle makes of a price, None if it misses the second."""
        for trigger in self._by_seam[Seam.PRICE]:
            if trigger.fires(symbol):
                gap = trigger.fault.kind is FaultKind.PRICE_GAP
                return None if gap else value * (100 + trigger.fault.percent) // 100
        return value

    def frames(self, stream: str, hang_up: Callable[[], None]) -> FrameFilter:
        """Return the filter of one connection's frames. hang_up: resets the connection."""
        triggers = [t for t in self._by_seam[Seam.FRAME] if t.fault.stream == stream]
        fires = [(t.fault, partial(t.fires, stream)) for t in triggers]
        return FrameFilter(fires, self._outcome_of, hang_up)

    def _outcome_of(self, token: str) -> int | None:
        found = self._venue.find(int(token)) if token.isdigit() else None
        return found[1] if found is not None else None

    def _schedule(self, trigger: Trigger) -> None:
        schedule = self._venue.schedule
        schedule.at(trigger.start_ms, Phase.EXPIRE, lambda: self._begin(trigger))
        if trigger.fault.seam is Seam.MODE:
            schedule.at(trigger.end_ms, Phase.EXPIRE, lambda: self._end(trigger))

    def _begin(self, trigger: Trigger) -> None:
        fault, mode = trigger.fault, self._mode
        trigger.record(fault.market or "venue")
        match fault.kind:
            case FaultKind.RESTART:
                down_ms, post_only_ms = fault.down_s * 1_000, fault.post_only_s * 1_000
                mode.restart(self._venue.schedule, int(down_ms), int(post_only_ms))
            case FaultKind.GEOBLOCKED:
                mode.geoblocked = True
            case FaultKind.CLOSED_ONLY:
                mode.closed_only = {address.lower() for address in self._accounts}
            case FaultKind.CLOCK_OFF:
                mode.clock_ahead_ms = fault.ahead_ms
            case FaultKind.UNRESOLVED:
                self._venue.hold_results()
            case FaultKind.TICK:
                self._venue.set_tick(self._market(fault), fault.tick)
            case FaultKind.CLOSE:
                self._venue.close(self._market(fault))
            case FaultKind.FOREIGN_ORDER:
                self._foreign_order(fault)
            case kind:
                mode.trading = TRADING[kind]
                mode.retry_after_s = RETRY_AFTER_S if kind is FaultKind.THROTTLED else None

    def _end(self, trigger: Trigger) -> None:
        match trigger.fault.kind:
            case FaultKind.GEOBLOCKED:
                self._mode.geoblocked = False
            case FaultKind.CLOSED_ONLY:
                self._mode.closed_only = set()
            case FaultKind.CLOCK_OFF:
                self._mode.clock_ahead_ms = 0
            case FaultKind.UNRESOLVED:
                self._venue.release_results()
            case _:
                self._mode.trading = Trading.NORMAL
                self._mode.retry_after_s = None

    def _market(self, fault: Fault) -> Listing:
        """Return the market a fault names; the one listed last if it names none that exists."""
        listings = list(self._venue.listings.values())
        named = [x for x in listings if x.market.slug == fault.market]
        return (named or listings)[-1]

    def _foreign_order(self, fault: Fault) -> None:
        """Send an order of a test account as if from another of its owner's programs."""
        venue, listing = self._venue, self._market(fault)
        account = venue.accounts.account(self._accounts[fault.account % len(self._accounts)])
        usd = fault.price * fault.size // MICROS
        side = Side[fault.side]
        name = f"foreign/{venue.schedule.now_ms}/{fault.number}"
        venue.submit(
            Submission(
                "0x" + hashlib.sha256(name.encode()).hexdigest(),
                account,
                "foreign",
                listing.market,
                max(fault.outcome, 0),
                side,
                *((usd, fault.size) if side == Side.BUY else (fault.size, usd)),
                Tif.GTC,
                post_only=False,
                expiration_s=0,
            ),
            _unheard,
        )


def _matches(pattern: str, route: str) -> bool:
    if pattern.endswith("*"):
        return route.startswith(pattern[:-1])
    return route == pattern


def _unheard(_answer: Answer) -> None:
    """Nobody waits for a foreign order's answer."""
