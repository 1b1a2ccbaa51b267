"""A rail: one way to execute. What it promises, and who hears of what.

Every request ends in exactly one call of its handler with an `Answer`; nothing raises.
`Outcome.NOT_SENT` is the only failure that proves the venue saw nothing. The order log's entry is
written by the caller before `send_order`. A rail never retries and never re-signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from signer.http import AnswerHandler
from signer.templates import NO_REQUESTS, Requests


class Rail(Protocol):
    """Orders, cancels and look-ups on one venue."""

    def start(self) -> None:
        """Begin to connect; called with the event loop running."""
        ...

    def send_order(
        self, body: bytes, handler: AnswerHandler, ready: Requests = NO_REQUESTS
    ) -> None:
        """Send the exact body of a signed order. Hot path.

        ready: requests of this body; the one of the second it is sent in is sent as it is.
        """
        ...

    def send_orders(self, bodies: Sequence[bytes], handler: AnswerHandler) -> None:
        """Send the exact bodies of several signed orders in one request."""
        ...

    def send_heartbeat(self, heartbeat_id: str, handler: AnswerHandler) -> None:
        """Tell the venue that we live, with the id of its last answer."""
        ...

    def cancel_order(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Ask for one order to be cancelled."""
        ...

    def cancel_all(self, handler: AnswerHandler) -> None:
        """Ask for every order of the account to be cancelled."""
        ...

    def look_up(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Ask what became of an order."""
        ...

    def work(self, now_ns: int) -> int:
        """Expire what took too long; return how much was done."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether an order could leave now."""
        ...

    @property
    def looking_up(self) -> int:
        """Look-ups without an answer."""
        ...

    @property
    def connects(self) -> int:
        """Connections made so far."""
        ...

    @property
    def errors(self) -> int:
        """Attempts to connect that failed."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests without an end."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
