"""What keeps the core from trading, in its own counters: for people and for scripts.

```
counter               should be   else
is_recovered          1           what earlier runs have left is not known yet: nothing opens
fills_unseen          0           our fills cannot be seen: nothing opens
markets_halted        0           a strategy failed there, or the venue contradicted itself
contradictions        0           what the venue said of a fill cannot be
tokens_unexplained    0           more or less of a token is held than the books explain
unexplained_micros    0           what of it counts against the limits, at its worst
orders_revived        0           proven dead, and alive: cancelled by hash
orders_unknown        0           without an outcome: looked up until there is evidence
markets_without_book  0           open markets that cannot be quoted, for want of a snapshot
orders_external       0           orders of this wallet that are not this run's
```
A counter that is not there says nothing. The last three are warnings: such orders and markets come
and go in an ordinary minute, so they are told, and the run is not called unhealthy for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_FAULTS = {
    "is_recovered": "not recovered: what earlier runs have left is not known yet",
    "fills_unseen": "our fills cannot be seen: the private feed or its read-back is too old",
    "markets_halted": "markets halted: {}",
    "contradictions": "fills that contradict what is known: {}",
    "tokens_unexplained": "tokens whose balance the books do not explain: {}",
    "unexplained_micros": "unexplained, against the limits: {} micros of pUSD",
    "orders_revived": "orders that were proven dead and are alive: {}",
}
_WARNINGS = {
    "orders_unknown": "orders without an outcome: {}",
    "markets_without_book": "open markets without a usable book: {}",
    "orders_external": "orders of this wallet that are not this run's: {}",
}
_SHOULD_BE_ONE = {"is_recovered"}


@dataclass(frozen=True, slots=True)
class Trading:
    """The core's counters of `_FAULTS` and `_WARNINGS`, as far as it has them."""

    counters: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """A line for each counter that shows the run is not well."""
        return self._lines(_FAULTS)

    @property
    def warnings(self) -> list[str]:
        """A line for each counter that a person should know of."""
        return self._lines(_WARNINGS)

    @property
    def is_healthy(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def _lines(self, texts: Mapping[str, str]) -> list[str]:
        return [
            text.format(f"{self.counters[name]:,}")
            for name, text in texts.items()
            if name in self.counters and self.counters[name] != (name in _SHOULD_BE_ONE)
        ]


def trading_of(core: Mapping[str, int]) -> Trading:
    """Return what the core's counters say."""
    names = (*_FAULTS, *_WARNINGS)
    return Trading({name: core[name] for name in names if name in core})
