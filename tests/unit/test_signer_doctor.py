"""Which wallet to trade from, and what a clock check says."""

from __future__ import annotations

import time
from typing import Any

import pytest

from signer.doctor.approvals import approvals_of, missing_at_venue
from signer.doctor.findings import MUST_PASS, Finding, Level, obstacles
from signer.doctor.venue_checks import clock_skew
from signer.doctor.wallet_choice import Candidate, choose
from signer.rest import Reply
from signer.wallets import SignatureType

KINDS = {
    "eoa": SignatureType.EOA,
    "proxy": SignatureType.POLY_PROXY,
    "safe": SignatureType.POLY_GNOSIS_SAFE,
    "deposit_beacon": SignatureType.POLY_1271,
}


def candidates(**known: dict[str, Any]) -> list[Candidate]:
    """The four wallets of a key, with what is known of some."""
    return [
        Candidate(name, kind, f"0x{kind:040x}", **known.get(name, {}))
        for name, kind in KINDS.items()
    ]


@pytest.mark.parametrize(
    ("known", "chosen", "why"),
    [
        ({"safe": {"balance": 5_000_000}}, "safe", "it holds 5.00 pUSD"),
        ({"eoa": {"balance": 1}, "proxy": {"balance": 2}}, "proxy", "also funded: eoa"),
        ({"eoa": {"balance": 7}, "deposit_beacon": {"balance": 7}}, "deposit_beacon", "funded"),
        ({"proxy": {"is_deployed": True, "balance": 0}}, "proxy", "it is deployed"),
        ({"eoa": {"is_deployed": True}}, "deposit_beacon", "new accounts"),
        ({}, "deposit_beacon", "new accounts"),
    ],
)
def test_the_wallet_with_the_money_is_the_one_to_use(
    known: dict[str, Any], chosen: str, why: str
) -> None:
    """Else one that exists, else the kind the venue wants of new accounts."""
    choice = choose(candidates(**known))
    assert choice.candidate.name == chosen
    assert why in choice.why


def test_an_allowance_must_cover_the_balance() -> None:
    """Each exchange is asked for; nothing granted is missing even with nothing held."""
    spenders = {each.spender.lower() for each in approvals_of(137) if each.is_for_trading}
    enough = dict.fromkeys(spenders, 100)
    assert list(missing_at_venue(enough, 100, 137)) == []
    assert len(list(missing_at_venue(enough, 101, 137))) == 3
    assert [each.name for each in missing_at_venue({}, 0, 137)] == [
        "pusd.exchange_v2",
        "pusd.exchange_v2_neg_risk",
        "pusd.exchange_v3",
    ]
    assert approvals_of(80002) == []


class Timekeeper:
    """A venue that answers `GET /time` with a clock of its own."""

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ns = ahead_ms * 1_000_000
        self._now_ns = time.time_ns()

    def get(self, _path: str) -> Reply:
        """The venue's second."""
        body = b"%d" % ((self._now_ns + self._ahead_ns) // 1_000_000_000)
        return Reply(200, None, body, self._now_ns, self._now_ns + 1_000_000)

    def sleep(self, seconds: float) -> None:
        """Let time pass for both."""
        self._now_ns += int(seconds * 1e9)


@pytest.mark.parametrize(
    ("ahead_ms", "is_local", "level"),
    [
        (0, False, Level.OK),
        (60_000, False, Level.FAIL),
        (-2_500, False, Level.FAIL),
        (60_000, True, Level.INFO),
    ],
)
def test_a_clock_that_is_far_off_fails(ahead_ms: int, is_local: bool, level: Level) -> None:
    """A local exchange plays another day, and that is no fault."""
    venue = Timekeeper(ahead_ms)
    (finding,) = clock_skew(venue, is_local, venue.sleep)  # type: ignore[arg-type]
    assert (finding.id, finding.level) == ("clock.skew", level)


def findings(**levels: Level) -> list[Finding]:
    """Every check that must pass as passed, and one that need not, but for what is given."""
    known = dict.fromkeys((*MUST_PASS, "approvals.trading"), Level.OK)
    changes = {name.replace("__", "."): level for name, level in levels.items()}
    return [Finding(check_id, level, "") for check_id, level in (known | changes).items()]


@pytest.mark.parametrize(
    ("levels", "forbidding"),
    [
        ({}, []),
        ({"clock__skew": Level.WARN, "wallet__signature_type": Level.INFO}, []),
        ({"clock__skew": Level.FAIL}, ["clock.skew"]),
        ({"auth__closed_only": Level.NOT_CHECKED}, ["auth.closed_only"]),
        ({"approvals__trading": Level.NOT_CHECKED}, []),
        ({"approvals__trading": Level.FAIL}, ["approvals.trading"]),
    ],
)
def test_what_fails_or_is_not_known_forbids_live_trading(
    levels: dict[str, Level], forbidding: list[str]
) -> None:
    """No check may fail; those that must pass must also have been made."""
    assert [finding.id for finding in obstacles(findings(**levels))] == forbidding


def test_a_check_that_is_missing_forbids_live_trading() -> None:
    """An examination that forgot a check that must pass does not count as passed."""
    assert [finding.id for finding in obstacles([])] == list(MUST_PASS)
