"""What stops new orders, for how long, and for which of them."""

from __future__ import annotations

import pytest

from engine.wire.codes import Reason, Side
from signer.admission import AUTH_REFUSALS_MAX, Admission, AdmissionSettings
from signer.http import Answer, Outcome
from signer.responses import Fate, Verdict

S = 1_000_000_000
NOW_NS = 1_000 * S
SETTINGS = AdmissionSettings(post_only_window_ns=120 * S, closed_retry_ns=5 * S)


def answered(status: int, retry_after: str = "") -> Answer:
    """An answer of now."""
    headers = {b"retry-after": retry_after.encode()} if retry_after else {}
    return Answer(Outcome.ANSWERED, status, b"", NOW_NS, NOW_NS, headers)


def refuse(reason: Reason, status: int, *, retry_after: str = "", retry_s: int = 0) -> Admission:
    """An admission after one such refusal."""
    admission = Admission(SETTINGS)
    verdict = Verdict(Fate.REFUSED, reason, retry_s=retry_s)
    admission.on_verdict(verdict, answered(status, retry_after))
    return admission


def take(admission: Admission, after_s: float) -> Reason:
    """What a purchase that takes is told."""
    return admission.objection(Side.BUY, 0, NOW_NS + int(after_s * S))


def quote(admission: Admission, after_s: float) -> Reason:
    """What a post-only quote is told."""
    return admission.objection(Side.BUY, 1, NOW_NS + int(after_s * S))


def test_nothing_is_stopped_by_itself() -> None:
    """A venue that said nothing takes everything, and ordinary refusals change nothing."""
    admission = refuse(Reason.VENUE_BALANCE, 400)
    assert take(admission, 0) == quote(admission, 0) == Reason.OK


def test_after_a_restart_quotes_come_first() -> None:
    """425: nobody for as long as it asks, then post-only orders alone, then everybody."""
    admission = refuse(Reason.VENUE_RESTARTING, 425, retry_after="30")
    assert quote(admission, 29) == take(admission, 29) == Reason.VENUE_RESTARTING
    assert quote(admission, 31) == Reason.OK
    assert take(admission, 31) == take(admission, 149) == Reason.VENUE_POST_ONLY_MODE
    assert take(admission, 151) == Reason.OK
    assert quote(refuse(Reason.VENUE_RESTARTING, 425), 1.5) == Reason.OK


@pytest.mark.parametrize(("retry_s", "ends_s"), [(40, 40), (0, 120)])
def test_a_post_only_window_lasts_as_long_as_the_venue_says(retry_s: int, ends_s: int) -> None:
    """Post-only orders pass all the while."""
    admission = refuse(Reason.VENUE_POST_ONLY_MODE, 503, retry_s=retry_s)
    assert quote(admission, 0) == Reason.OK
    assert take(admission, ends_s - 1) == Reason.VENUE_POST_ONLY_MODE
    assert take(admission, ends_s + 1) == Reason.OK


@pytest.mark.parametrize("reason", [Reason.VENUE_CANCEL_ONLY, Reason.VENUE_DISABLED])
def test_a_closed_venue_is_asked_again_after_a_while(reason: Reason) -> None:
    """Nothing passes, and the next order after the pause is the probe."""
    admission = refuse(reason, 503)
    assert take(admission, 4) == quote(admission, 4) == reason
    assert take(admission, 6) == Reason.OK


def test_throttling_stops_everybody_and_a_tokens_own_limit_nobody() -> None:
    """429 is about us; a leg refused for its token's rate is about that token."""
    assert quote(refuse(Reason.VENUE_RATE, 429, retry_after="9"), 8) == Reason.VENUE_RATE
    assert quote(refuse(Reason.VENUE_RATE, 200), 0) == Reason.OK


@pytest.mark.parametrize("reason", [Reason.VENUE_BANNED, Reason.HALT_HASH_MISMATCH])
def test_some_refusals_are_for_good(reason: Reason) -> None:
    """Geoblock, ban, and an id that is not our hash: a person has to look."""
    admission = refuse(reason, 403)
    assert quote(admission, 1_000_000) == reason


def test_closed_only_stops_purchases() -> None:
    """What is held may still be sold."""
    admission = refuse(Reason.VENUE_CLOSED_ONLY, 400)
    assert take(admission, 1_000_000) == Reason.VENUE_CLOSED_ONLY
    assert admission.objection(Side.SELL, 0, NOW_NS) == Reason.OK


def test_credentials_refused_five_times_in_a_row_are_lost() -> None:
    """Four and a success prove nothing, and neither does silence."""
    admission = Admission(SETTINGS)
    for status in (401, 401, 401, 401, 200, 401, 401, 401, 401):
        admission.on_answer(answered(status))
    assert take(admission, 0) == Reason.OK
    admission.on_answer(Answer(Outcome.TIMEOUT, 0, b"", NOW_NS, NOW_NS))
    admission.on_answer(answered(401))
    assert take(admission, 1_000_000) == Reason.VENUE_AUTH
    assert AUTH_REFUSALS_MAX == 5


def test_a_live_signer_needs_a_compared_clock() -> None:
    """Nobody has compared: no. A second apart: no. Back within it: yes. Paper does not ask."""
    live = Admission(AdmissionSettings(0, 0, clock_skew_ns_max=S))
    assert take(live, 0) == Reason.CLOCK_SKEW
    for skew_ns, reason in ((0, Reason.OK), (-S - 1, Reason.CLOCK_SKEW), (S, Reason.OK)):
        live.on_clock(skew_ns)
        assert take(live, 0) == reason
    paper = Admission(SETTINGS)
    paper.on_clock(3_600 * S)
    assert take(paper, 0) == Reason.OK


def test_orders_wait_for_the_heartbeat() -> None:
    """Beyond the venue's patience nothing is sent; a fresh answer opens again."""
    admission = Admission(SETTINGS)
    admission.beat_until_ns = NOW_NS + 10 * S
    assert quote(admission, 10) == Reason.OK
    assert quote(admission, 11) == Reason.HEARTBEAT_GAP
