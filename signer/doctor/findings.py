"""What a check found: an id that never changes, how bad it is, and one line for a person."""

from __future__ import annotations

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
