"""The order book's REST interface: the rail for orders.

Orders, cancels and look-ups have connections of their own: a cancel must never wait behind an order
that the venue holds back.
"""

from __future__ import annotations

from collections.abc import Callable

from signer.auth import L2Signer
from signer.http import Answer, AnswerHandler, Endpoint, Pool
from signer.request_writer import RequestWriter
from signer.venue_clock import VenueClock

CANCEL_CONNECTIONS = 2
LOOK_UP_CONNECTIONS = 1
# A price is stale sooner than a connection is back: an order does not wait for it, a cancel does.
ORDER_WAIT_NS_MAX = 250_000_000
CLOCK_CHECK_NS = 60_000_000_000
CLOCK_RETRY_NS = 1_000_000_000


class ClobRail:
    """`POST /order`, `DELETE /order`, `DELETE /cancel-all`, `GET /data/order/{id}`, `GET /time`."""

    def __init__(
        self,
        endpoint: Endpoint,
        l2: L2Signer,
        now_ns: Callable[[], int],
        *,
        connections: int,
        timeout_ns: int,
    ) -> None:
        def pool(size: int, wait_ns_max: int) -> Pool:
            return Pool(endpoint, size, now_ns, timeout_ns=timeout_ns, wait_ns_max=wait_ns_max)

        self._now_ns = now_ns
        self._write = RequestWriter(endpoint, l2)
        self._orders = pool(connections, min(ORDER_WAIT_NS_MAX, timeout_ns))
        self._cancels = pool(CANCEL_CONNECTIONS, timeout_ns)
        self._look_ups = pool(LOOK_UP_CONNECTIONS, timeout_ns)
        self._pools = (self._orders, self._cancels, self._look_ups)
        self.clock = VenueClock()
        self._clock_due_ns = 0

    def start(self) -> None:
        """Begin to connect."""
        for pool in self._pools:
            pool.start()

    def send_order(self, body: bytes, handler: AnswerHandler) -> None:
        """Send a signed order. Hot path."""
        self._orders.send(self._write.order(body, self._venue_s()), handler)

    def cancel_order(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Cancel one order."""
        self._cancels.send(self._write.cancel(order_hash, self._venue_s()), handler)

    def cancel_all(self, handler: AnswerHandler) -> None:
        """Cancel everything."""
        self._cancels.send(self._write.cancel_all(self._venue_s()), handler)

    def look_up(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Ask for one order."""
        self._look_ups.send(self._write.look_up(order_hash, self._venue_s()), handler)

    def work(self, now_ns: int) -> int:
        """Expire requests; compare clocks now and then, as soon as there is a connection."""
        if now_ns >= self._clock_due_ns and self._look_ups.connected:
            self._clock_due_ns = now_ns + CLOCK_RETRY_NS
            self._look_ups.send(self._write.time(), self._on_time)
        return sum(pool.work(now_ns) for pool in self._pools)

    @property
    def is_connected(self) -> bool:
        """Whether an order could leave now."""
        return self._orders.connected > 0

    @property
    def in_flight(self) -> int:
        """Requests without an end."""
        return sum(pool.in_flight for pool in self._pools)

    @property
    def connects(self) -> int:
        """Connections made so far."""
        return sum(pool.connects for pool in self._pools)

    @property
    def errors(self) -> int:
        """Attempts to connect that failed."""
        return sum(pool.errors for pool in self._pools)

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            pool.close()

    def _venue_s(self) -> int:
        return self.clock.venue_s(self._now_ns())

    def _on_time(self, answer: Answer) -> None:
        if self.clock.on_answer(answer):
            self._clock_due_ns = self._now_ns() + CLOCK_CHECK_NS
