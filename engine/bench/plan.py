"""What a run of the bench measures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.bench import market
from engine.bench.market import Arming
from engine.host.errors import RefuseError

CLOSING_TICKS = 20  # uncounted: a tick that was coalesced is answered by a later one


class Signing(StrEnum):
    """The rungs of the signing ladder."""

    FULL = "full"
    NONCE = "nonce"
    PRESIGNED = "presigned"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. rate: ticks a second.  ticks: counted ones, over all rounds.

    armed: some of the orders are armed, so that both ways are measured in the same rounds.
    signing: the rung of all orders; those that are presigned are all armed.
    """

    profile: str
    rate: int
    ticks: int
    rounds: int
    warmup_ticks: int
    armed: bool = False
    signing: Signing = Signing.FULL

    @property
    def arming(self) -> Arming:
        """For which ticks orders are armed; RefuseError where both ways are asked for and one."""
        if self.signing is not Signing.PRESIGNED:
            return Arming.IN_TURNS if self.armed else Arming.NEVER
        if self.armed:
            raise RefuseError("presigned orders are all armed: armed=True, signing=presigned")
        return Arming.ALWAYS

    @property
    def round_ticks(self) -> tuple[int, int]:
        """The counted ticks of one round, and all of them; the books end as they began."""
        counted = -(-self.ticks // self.rounds)
        every = self.warmup_ticks + counted + CLOSING_TICKS
        every += -every % market.STATE_TICKS
        if every > market.ROUND_TICKS_MAX:
            raise RefuseError(
                f"too many ticks for a round: ticks={every}, max={market.ROUND_TICKS_MAX}; "
                "take more rounds"
            )
        return counted, every
