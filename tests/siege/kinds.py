"""The kinds of rounds: what goes wrong in each, at seeded moments."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from siege import cuts, disks, hostile, kills, limits
from siege.stage import Stage

Drive = Callable[[Stage], None]
Write = Callable[[random.Random], str]


def _nothing(_rng: random.Random) -> str:
    return ""


@dataclass(frozen=True)
class Kind:
    """drive: what is done to a run that trades.  scenario: what the venue does by itself."""

    name: str
    drive: Drive
    scenario: Write = _nothing
    strategy: str = "spread"
    limit_usd: int = 60
    is_slow_disk: bool = False
    is_small_disk: bool = False


KINDS = (
    Kind("kill", kills.kill),
    Kind("hostile orders", hostile.endure, hostile.orders),
    Kind("freeze", kills.freeze),
    Kind("cut", cuts.cut),
    Kind("limits", limits.restart, strategy="hoarder", limit_usd=20),
    Kind("hostile stream", hostile.endure, hostile.stream),
    Kind("slow disk", disks.slow, is_slow_disk=True),
    Kind("kill all", kills.kill_all),
    Kind("hostile cancels", hostile.endure_halt, hostile.cancels),
    Kind("elsewhere", limits.elsewhere),
    Kind("limits under fire", limits.restart, hostile.orders, strategy="hoarder", limit_usd=20),
    Kind("files", cuts.files),
    Kind("hostile look-ups", hostile.endure, hostile.look_ups),
    Kind("full disk", disks.full, is_small_disk=True),
    Kind("redirects", hostile.endure_halt, hostile.redirects),
    Kind("takes", hostile.endure, hostile.orders, strategy="hoarder"),
)


def kind_of(seed: str, number: int) -> Kind:
    """Return the kind of a round: a seed has its own order, and each kind comes equally often."""
    kinds = list(KINDS)
    random.Random(seed).shuffle(kinds)
    return kinds[(number - 1) % len(kinds)]
