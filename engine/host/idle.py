"""How a duty loop waits when a round found nothing to do.

```
profile    ring-polling loop                       loop that waits on sockets
pipeline   spin                                    spin (the loop polls with a zero timeout)
shared     yield, then sleep `park_us`             let the loop sleep on its sockets, 1 ms at most
fused      yield                                   yield
```
Where processes outnumber cores, spinning first hurts and yielding at once is best; a parked loop
costs its first record up to `park_us` and a wake-up, and leaves the core to the others.
With `host.park = "futex"` the core sleeps until one of its rings has something instead: it wakes a
tenth as often for nothing, for a laptop or low rates. On a quiet machine its first record is as
fast as a parked loop's; where processes outnumber free cores it is slower, for the kernel then
likes to wake it on the core of the very process that woke it.
A feed has no ring to poll in a hurry: its loop may sleep, for a frame on a socket wakes it at once.
A signer or a fused process must poll rings, so it never sleeps in the loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

# How long a loop yields before it parks. In time and not in rounds: the cheaper a round, the sooner
# they would be over, and a core that parks between two ticks costs the second one a wake-up.
PATIENCE_US = 2_000
# The loop's own timers count in milliseconds; a shorter sleep in it would be a spin in disguise.
LOOP_SLEEP_S = 0.001


class Wait(Enum):
    """What to do after an idle round."""

    SPIN = "spin"
    YIELD = "yield"
    PARK = "park"
    SOCKETS = "sockets"


# An enum finds its members by a slow road, and a loop that never sleeps asks at every turn.
_SPIN, _YIELD = Wait.SPIN, Wait.YIELD


def sleep_us(duration_us: int) -> None:
    """Sleep for some microseconds, whatever comes meanwhile."""
    time.sleep(duration_us * 1e-6)


@dataclass(slots=True)
class Idle:
    """A wait strategy and since when nothing was found.

    wait: what to do.  park_us: how long PARK sleeps.  patience_us: how long PARK and SOCKETS merely
    yield before they sleep.  nap: how PARK sleeps, given `park_us`.  now_ns: a clock.
    """

    wait: Wait
    park_us: int = 100
    patience_us: int = PATIENCE_US
    nap: Callable[[int], None] = sleep_us
    now_ns: Callable[[], int] = time.monotonic_ns
    _is_over: bool = False  # its patience
    _idle_ns: int = 0  # since when, 0 = it is busy

    @classmethod
    def for_profile(
        cls, profile: str, *, park_us: int = 100, waits_on_sockets: bool = False
    ) -> Idle:
        """Return the strategy of `profile` (pipeline, shared, fused); see the table above."""
        if profile == "pipeline":
            return cls(Wait.SPIN)
        if profile == "fused":
            return cls(Wait.YIELD)
        if profile == "shared":
            return cls(Wait.SOCKETS if waits_on_sockets else Wait.PARK, park_us)
        raise ValueError(f"unknown profile: profile={profile}")

    def idle(self, worked: int) -> float:
        """Hot path. Wait as the strategy says; return the seconds the loop itself should sleep.

        worked: what the round returned; anything but 0 starts the patience anew. The answer is 0.0
        for every strategy but SOCKETS, and a process without a loop need not look at it.
        """
        if worked:
            self._idle_ns, self._is_over = 0, False
            return 0.0
        wait = self.wait
        if wait is _YIELD:
            os.sched_yield()
            return 0.0
        if wait is _SPIN:
            return 0.0
        now_ns = self.now_ns()
        if self._idle_ns == 0:
            self._idle_ns = now_ns
        self._is_over = now_ns - self._idle_ns >= self.patience_us * 1_000
        if not self._is_over:
            os.sched_yield()
            return 0.0
        if wait is Wait.SOCKETS:
            return LOOP_SLEEP_S
        self.nap(self.park_us)
        return 0.0

    @property
    def never_sleeps(self) -> bool:
        """Whether the loop keeps its core however long it finds nothing."""
        return self.wait is _SPIN or self.wait is _YIELD

    @property
    def is_patient(self) -> bool:
        """Whether the loop has found nothing for a while, or cannot tell: the moment for
        housekeeping."""
        return self._is_over or self.never_sleeps
