"""A feed group: some feeds that share one process, one registry of instruments, one ring.

`gamma` says what there is, `clob_market` listens to it on `md.GROUP`, and `clob_user` tells our own
orders and fills on `private`. The last two need the first, so they belong into one group with it.
"""

from __future__ import annotations

from typing import Protocol

from engine.bus.counters import CounterFile
from engine.bus.ring import BroadcastWriter, QueueWriter
from engine.host.duty import Duty
from engine.host.log import ErrorLog, Log
from engine.host.runfile import RunFile
from engine.host.secrets import Account
from feeds import clob_market, clob_user, core_watch, gamma
from feeds.clob_market import ClobMarketFeed
from feeds.clob_user import ClobUserFeed
from feeds.core_watch import CoreWatch, Repeating
from feeds.gamma import GammaFeed
from feeds.instruments import Instruments
from feeds.port import Context, GroupError

COUNTERS = (*clob_market.COUNTERS, *gamma.COUNTERS, *clob_user.COUNTERS, *core_watch.COUNTERS)
PRIVATE_RING = "private"


class Closable(Protocol):
    """What a group opened and must close."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Ends:
    """The duty that closes what the feeds wrote to; it is started first, so it is closed last."""

    name = "ends"

    def __init__(self, errors: ErrorLog) -> None:
        self._errors = errors
        self.held: list[Closable] = []

    def start(self) -> None:
        """Nothing: everything was opened when the group was built."""

    def work(self) -> int:
        """Return 0: there is nothing to do."""
        return 0

    def close(self) -> None:
        """Close rings and logs."""
        self._errors.write()
        while self.held:
            self.held.pop().close()


def feeds_of(group: str, runtime: RunFile, secrets: Account | None) -> list[str]:
    """Return the names of a group's feeds; GroupError if they make no sense together."""
    settings = runtime.settings
    if group not in settings["feeds"]:
        known = ", ".join(settings["feeds"])
        raise GroupError(f"unknown feed group: group={group}, known={known}")
    names = list(settings["feeds"][group]["feeds"])
    if "gamma" not in names:
        raise GroupError(f"feeds need gamma in their group: group={group}, feeds={names}")
    if "clob_user" in names and secrets is None:
        raise GroupError(f"clob_user needs secrets, none were given: group={group}")
    return names


def build_group(
    group: str, runtime: RunFile, secrets: Account | None, counters: CounterFile
) -> list[Duty]:
    """Return the duties of one group, in the order they are to be started.

    counters: a file that has COUNTERS among its names.  secrets: needed by `clob_user` alone.
    Raises GroupError for settings that make no sense, BusError or RingError for absent rings.
    """
    names = feeds_of(group, runtime, secrets)
    settings = runtime.settings
    clock = runtime.clock()
    process = f"feeds.{group}"
    errors = ErrorLog(runtime.log(f"{process}.venue").with_suffix(".errors.json"), clock)
    ends = Ends(errors)
    duties: list[Duty] = [ends]
    try:
        log = Log(runtime.log(process), process, clock)
        ends.held.append(log)
        context = Context(
            clock=clock,
            counters=counters,
            log=log,
            errors=errors,
            settings=settings["feeds"][group],
            venue=settings["venue"],
            markets=settings["markets"],
        )
        instruments = Instruments()
        ring = BroadcastWriter(runtime.ring(f"md.{group}"), runtime.run_id)
        ends.held.append(ring)
        indices_max = settings["host"]["instruments_max"] - 1
        gamma_feed = GammaFeed(
            context, instruments, ring, runtime.runtime_dir, indices_max=indices_max
        )
        feeds: list[Repeating] = [gamma_feed]
        watch = CoreWatch(context, runtime.counters("core"), feeds)
        duties.append(gamma_feed)
        if "clob_market" in names:
            url = context.venue["market_ws_url"]
            folder = runtime.runtime_dir
            market_feed = ClobMarketFeed(context, instruments, ring, url, folder)
            feeds.append(market_feed)
            duties.append(market_feed)
        if "clob_user" in names and secrets is not None:
            queue = QueueWriter(runtime.ring(PRIVATE_RING), runtime.run_id)
            ends.held.append(queue)
            url = context.venue["user_ws_url"]
            user_feed = ClobUserFeed(
                context, instruments, queue, secrets, url, gamma_feed.adopt, watch.is_waiting
            )
            feeds.append(user_feed)
            duties.append(user_feed)
        duties.append(watch)
    except BaseException:
        ends.close()
        raise
    return duties
