"""What a check found: an id that never changes, how bad it is, and one line for a person.

Live trading starts only where no check fails and those of `MUST_PASS` were really made: of what is
not known there, the venue or the wallet would make an expensive surprise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad a finding is. NOT_CHECKED is no finding: it says why there is none."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result. facts: what a program wants of it, JSON values."""

    id: str
    level: Level
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


MUST_PASS = (
    "coincurve",
    "venue.reachable",
    "venue.order_version",
    "clock.skew",
    "auth.api_key",
    "auth.closed_only",
    "wallet.signature_type",
)


def obstacles(findings: Iterable[Finding]) -> list[Finding]:
    """Return what forbids live trading: what failed, and what must pass and was not checked."""
    found = list(findings)
    made = {finding.id for finding in found}
    unmade = [
        Finding(check_id, Level.NOT_CHECKED, "it was not made")
        for check_id in MUST_PASS
        if check_id not in made
    ]
    return [
        finding
        for finding in (*found, *unmade)
        if finding.level is Level.FAIL
        or (finding.level is Level.NOT_CHECKED and finding.id in MUST_PASS)
    ]
