"""The way out of the core: orders become candidates, and those that pass every gate become records.

Whatever leaves is exposure before anything else is asked; that it is an order of the world, too, is
seen to when its records are on their way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.core.orders import ids
from engine.core.orders.candidates import REASON, Candidates
from engine.core.orders.submission import RECORDS, admit, submit, write_decision
from engine.core.outbox import Outbox
from engine.core.strategies.base import Event
from engine.core.world.world import World
from engine.wire.codes import Reason, Side, Tif

LEGS_MAX = 2
# An enum finds its members by a slow road: looked up at every order, it costs more than the gates.
_OK = int(Reason.OK)
_BUY, _GTC = int(Side.BUY), int(Tif.GTC)


class Submitter:
    """Puts candidates before the gates and writes what they become to the outbox.

    seed: what the ids of this run's orders are made from.
    """

    __slots__ = ("_candidates", "_outbox", "_refused", "order_id", "put", "seed")

    def __init__(self, run_seed: int, outbox: Outbox) -> None:
        self.seed = ids.splitmix64(run_seed)
        self._outbox = outbox
        self._candidates = Candidates(LEGS_MAX)
        self._refused = 0  # the row that was refused last
        self.put = self._candidates.put
        self.order_id = self._candidates.order_id

    def send(self, world: World, count: int, event: Event) -> int:
        """Hot path. Send the candidates put as 0, 1, …, all or none; return why not, or OK."""
        world.reckon()
        out, at = self._outbox.room(RECORDS * count)
        rows, facts = self._candidates.rows, world.facts
        row = submit(
            rows,
            count,
            event.trace,
            event.trigger_ns,
            at,
            world.now_ns,
            self.seed,
            world.books.tops,
            facts.instruments,
            facts.account,
            out,
        )
        if row == count:
            self._outbox.count += RECORDS * count
            return _OK
        return self._reason(row)

    def hold(self, world: World) -> int:
        """Reserve candidate 0, which is not sent yet; return why not, or OK."""
        world.reckon()
        facts = world.facts
        given: tuple[Any, ...] = world.books.tops, facts.instruments, facts.account
        row = admit(self._candidates.rows, 1, world.now_ns, *given)
        return _OK if row == 1 else self._reason(row)

    def tell_refused(self, world: World, event: Event) -> None:
        """Write the DECISION that says why the last candidate refused is no order."""
        out, at = self._outbox.room(1)
        rows, tops = self._candidates.rows, world.books.tops
        write_decision(rows, self._refused, event.trace, world.now_ns, tops, out, at)
        self._outbox.count += 1

    def tell_halted(self, world: World, strategy: int, event: Event, reason: Reason) -> None:
        """Write the DECISION that says why a market is halted: of Up, and about no order."""
        self.put(0, world, strategy, event.market.up.index, _BUY, 0, 0, _GTC, 0)
        self._candidates.rows[0, REASON] = reason
        self._refused = 0
        self.tell_refused(world, event)

    def candidate(self) -> np.ndarray:
        """Return candidate 0, int64[COLUMNS]."""
        return self._candidates.rows[0]

    def _reason(self, row: int) -> int:
        self._refused = row
        return int(self._candidates.rows[row, REASON])
