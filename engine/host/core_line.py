"""What the core is told of a halt, until it has it: the control ring may be full for a moment."""

from __future__ import annotations

from engine.host.fleet import Fleet
from engine.host.plan import Role
from engine.wire.codes import Reason


class CoreLine:
    """The supervisor's word to the core. The last one counts."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._untold: Reason | None = None

    def halt(self, reason: Reason) -> bool:
        """Tell a halt; return whether it went in. One that did not is told by `retry`."""
        is_told = self._fleet.tell_core(reason, is_engaged=True)
        self._untold = None if is_told else reason
        return is_told

    def lift(self, reason: Reason) -> None:
        """Tell that a halt is over."""
        self._untold = None
        self._fleet.tell_core(reason, is_engaged=False)

    def retry(self) -> None:
        """Tell a living core what did not go in."""
        core = self._fleet.one(Role.CORE)
        if self._untold is not None and core is not None and core.is_alive:
            self.halt(self._untold)
