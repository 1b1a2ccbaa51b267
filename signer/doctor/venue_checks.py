"""Checks that need no key: this machine, the venue, and the way between them."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator

from engine.host.kernel_clock import KernelClock, read_kernel_clock
from signer.contracts import Generation
from signer.doctor.findings import Finding, Level
from signer.http import Answer, Outcome
from signer.rest import RestClient
from signer.venue_clock import VenueClock

SKEW_NS_WARN = 250_000_000
SKEW_NS_MAX = 1_000_000_000
QUESTIONS_MAX = 5
_SIGNED_VERSIONS = (Generation.V2, Generation.V3)


def coincurve() -> Iterator[Finding]:
    """`coincurve`: without the native curve an order takes a hundred times as long."""
    try:
        version = importlib.metadata.version("coincurve")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("coincurve", Level.FAIL, "coincurve is not installed: pip install coincurve")
        return
    text = f"libsecp256k1 by coincurve {version}"
    yield Finding("coincurve", Level.OK, text, {"version": version})


def order_version(venue: RestClient) -> Iterator[Finding]:
    """`venue.order_version`: the generation of orders the venue takes is one we sign."""
    version = venue.get("/version").field("version")
    known = [int(each) for each in _SIGNED_VERSIONS]
    yield Finding(
        "venue.order_version",
        Level.OK if version in known else Level.FAIL,
        f"the venue takes orders of version {version}, we sign {known} as each market asks",
        {"venue": version, "signed": known},
    )


def geoblock(url: str | None) -> Iterator[Finding]:
    """`venue.geoblock`: orders are taken from this place."""
    if url is None:
        yield Finding("venue.geoblock", Level.NOT_CHECKED, "no geoblock URL is known")
        return
    reply = RestClient(url).get("")
    blocked, country = reply.field("blocked"), reply.field("country")
    facts = {"blocked": blocked, "country": country}
    if blocked is False:
        yield Finding("venue.geoblock", Level.OK, "orders are taken from here", facts)
    elif blocked is True:
        text = f"orders are refused from here: country={country}"
        yield Finding("venue.geoblock", Level.FAIL, text, facts)
    else:
        text = f"no answer that can be read: status={reply.status}"
        yield Finding("venue.geoblock", Level.NOT_CHECKED, text)


def clock_kernel(
    is_local: bool, read: Callable[[], KernelClock] = read_kernel_clock
) -> Iterator[Finding]:
    """`clock.kernel`: somebody keeps our clock true, also in the hours to come.

    `clock.skew` says how far it is off now; a live run is not begun on a clock that may drift.
    is_local: the venue is an exchange on this machine, which keeps the time of what it plays.
    """
    try:
        clock = read()
    except OSError as error:
        text = f"the kernel does not say: {error.strerror or error}"
        yield Finding("clock.kernel", Level.NOT_CHECKED, text)
        return
    facts = {"synchronised": clock.is_synchronised, "error_us_max": clock.error_us_max}
    if clock.is_synchronised:
        text = f"the clock is synchronised, to {clock.error_us_max / 1_000:,.1f} ms at worst"
        yield Finding("clock.kernel", Level.OK, text, facts)
        return
    level = Level.INFO if is_local else Level.FAIL
    text = "nobody synchronises the clock, by the kernel's word: start chrony or systemd-timesyncd"
    yield Finding("clock.kernel", level, text, facts)


def clock_skew(
    venue: RestClient, is_local: bool, sleep: Callable[[float], None]
) -> Iterator[Finding]:
    """`clock.skew`: our clock is the venue's, as far as a few questions can tell.

    is_local: the venue is an exchange on this machine, which keeps the time of what it plays.
    """
    clock = VenueClock()
    for _ in range(QUESTIONS_MAX):
        reply = venue.get("/time")
        stamps = reply.sent_ns, reply.answered_ns
        if not clock.on_answer(Answer(Outcome.ANSWERED, reply.status, reply.body, *stamps)):
            break
        wait_ns = clock.due_ns - time.time_ns()
        if is_local or abs(clock.skew_ns) > SKEW_NS_MAX or wait_ns > 2 * SKEW_NS_MAX:
            break
        sleep(max(wait_ns, 0) / 1e9)
    if not clock.is_known:
        yield Finding("clock.skew", Level.FAIL, "the venue does not tell the time")
        return
    skew_ms = clock.skew_ns // 1_000_000
    level, text = Level.OK, "no difference is certain"
    if is_local:
        level, text = Level.INFO, "a local exchange keeps the time of what it plays"
    elif abs(clock.skew_ns) > SKEW_NS_MAX:
        level = Level.FAIL
        text = f"clocks differ by {skew_ms} ms at least: new orders would be stopped"
    elif abs(clock.skew_ns) > SKEW_NS_WARN:
        level, text = Level.WARN, f"clocks differ by {skew_ms} ms at least"
    yield Finding("clock.skew", level, text, {"skew_ms_at_least": skew_ms})
