"""What a database must do to hold a projection of a tape.

A store takes the ledger's steps in order. A step and the count of tape entries it reaches up to are
written in one transaction, so after any crash the projection is whole and knows where to go on.
"""

from __future__ import annotations

from typing import Protocol

from engine.backoffice.ledger import Step
from engine.host.errors import HostError


class StoreError(HostError):
    """A database that cannot be used; the message names it and what it said."""


class Store(Protocol):
    """One projection of one tape. One writer; used by one thread."""

    def entries(self) -> int:
        """Return how many entries of the tape are already in it."""
        ...

    def write(self, step: Step, entries: int) -> int:
        """Write a step that ends at entry number `entries`, all or nothing; return rows written.

        Raises StoreError; the projection is then as it was before.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
