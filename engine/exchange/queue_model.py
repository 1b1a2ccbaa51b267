"""Where a resting order stands in a queue nobody shows, from trades and level sizes. Pure.

```
accepted                front = the level's size: everything there was before us
trade of q at the price front −= q; what goes beyond the front is ours
level prev → new        what left without a trade left from before or from behind us: the model says
```
`risk_averse` believes that everybody leaves from behind us, until there is no one left there. The
others share a decrease between back and front by a probability that depends on how much is on
either side. Units are the caller's, the same for all quantities.
Source: quant.md §8 `queue_model`; hftbacktest `models/queue.rs`; Rigtorp 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class QueueKind(StrEnum):
    """How decreases of a level are shared between the front and the back of the queue."""

    RISK_AVERSE = "risk_averse"
    POWER = "power"
    LOG = "log"
    POWER2 = "power2"
    LOG2 = "log2"
    POWER3 = "power3"


@dataclass(frozen=True, slots=True)
class QueueModel:
    """A kind of queue and its exponent (`log` kinds have none)."""

    kind: QueueKind = QueueKind.RISK_AVERSE
    exponent: float = 3.0

    def behind(self, front: float, back: float) -> float:
        """Return the probability that what left was behind us. Negative quantities count as 0."""
        front, back = max(front, 0.0), max(back, 0.0)
        match self.kind:
            case QueueKind.POWER:
                return _share(back**self.exponent, front**self.exponent)
            case QueueKind.LOG:
                return _share(math.log1p(back), math.log1p(front))
            case QueueKind.POWER2:
                return _part(back**self.exponent, (front + back) ** self.exponent)
            case QueueKind.LOG2:
                return _part(math.log1p(back), math.log1p(front + back))
            case QueueKind.POWER3:
                total = front + back
                return 1.0 - (front / total) ** self.exponent if total else 1.0
            case QueueKind.RISK_AVERSE:
                return 1.0


@dataclass(slots=True)
class QueuePlace:
    """One order's place. front: what is estimated to be before it; negative = ours by right."""

    model: QueueModel
    front: float
    lot: float
    _traded: float = 0.0  # since the level's size was last seen

    def trade(self, quantity: float) -> None:
        """A trade happened at the order's price."""
        self.front -= quantity
        self._traded += quantity

    def resize(self, old: float, new: float) -> None:
        """The level's displayed size changed."""
        if self.model.kind is QueueKind.RISK_AVERSE:
            self.front = min(self.front, new)
            return
        change = old - new - self._traded  # what left without a trade; negative = it grew
        self._traded = 0.0
        if change < 0:
            self.front = min(self.front, new)
            return
        back = old - self.front
        behind = self.model.behind(self.front, back)
        front = self.front - (1.0 - behind) * change
        self.front = min(front + min(back - behind * change, 0.0), new)

    def claim(self, left: float) -> float:
        """Return how much of `left` has been traded beyond the front, in whole lots, and take it.

        Half a lot rounds to the even number of lots.
        """
        lots = round(-self.front / self.lot)
        if lots <= 0:
            return 0.0
        self.front = 0.0
        return min(lots * self.lot, left)


def _share(part: float, other: float) -> float:
    return part / (part + other) if part + other else 1.0


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
