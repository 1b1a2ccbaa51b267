"""The order book's REST interface: the rail for orders.

Orders, cancels and look-ups have connections of their own: a cancel must never wait behind an order
that the venue holds back. What is not an order has descriptors in reserve to connect with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from signer.admission import Admission
from signer.auth import L2Signer
from signer.http import Answer, AnswerHandler, Endpoint, Pool
from signer.ratelimit import RateLimits
from signer.request_writer import RequestWriter, RouteWriter
from signer.reserve import Reserve
from signer.templates import NO_REQUESTS, Requests
from signer.venue_clock import VenueClock

CANCEL_CONNECTIONS = 2
LOOK_UP_CONNECTIONS = 1
# A price is stale sooner than a connection is back: an order does not wait for it, a cancel does.
ORDER_WAIT_NS_MAX = 250_000_000
HEARTBEAT_CONNECTIONS = 1
# One to connect to an address; to resolve a name before that, one for each of three name servers.
DESCRIPTORS_A_CONNECTION = 3


@dataclass(frozen=True, slots=True)
class Observers:
    """Who sees every answer of a kind before whoever asked does; on_clock: once it is compared."""

    on_order: AnswerHandler = lambda _answer: None
    on_cancel: AnswerHandler = lambda _answer: None
    on_look_up: AnswerHandler = lambda _answer: None
    on_heartbeat: AnswerHandler = lambda _answer: None
    on_clock: Callable[[], None] = lambda: None

    @classmethod
    def of(
        cls, admission: Admission, limits: RateLimits, on_clock: Callable[[], None]
    ) -> Observers:
        """Return those who read credentials and tokens out of every answer."""

        def both(heed: AnswerHandler) -> AnswerHandler:
            def observe(answer: Answer) -> None:
                admission.on_answer(answer)
                heed(answer)

            return observe

        return cls(
            on_order=both(limits.on_order_answer),
            on_cancel=both(limits.on_cancel_answer),
            on_look_up=both(limits.on_look_up_answer),
            on_heartbeat=admission.on_answer,
            on_clock=on_clock,
        )


class ClobRail:
    """`POST /order`, `POST /orders`, `DELETE /order`, `DELETE /cancel-all`,
    `GET /data/order/{id}`, `POST /v1/heartbeats`, `GET /time`.

    sent_ready: orders whose request had been written before they were asked for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        l2: L2Signer,
        now_ns: Callable[[], int],
        *,
        connections: int,
        timeout_ns: int,
        observers: Observers | None = None,
        has_heartbeat: bool = False,
    ) -> None:
        """has_heartbeat: whether heartbeats get a connection, which nothing else may delay."""
        observe = observers or Observers()
        kinds = 3 if has_heartbeat else 2  # of what goes on when nothing is ordered any more
        self._reserve = Reserve(kinds * DESCRIPTORS_A_CONNECTION, self._on_shortage)
        self._shortages = 0  # begun or over since the last round
        self._connections = connections

        def pool(size: int, wait_ns_max: int, observer: AnswerHandler) -> Pool:
            return Pool(
                endpoint,
                size,
                now_ns,
                timeout_ns=timeout_ns,
                wait_ns_max=wait_ns_max,
                observe=observer,
                on_failure=self._reserve.on_failure,
            )

        self._now_ns = now_ns
        self._write = RequestWriter(endpoint, l2)
        self.order_request = self._write.order
        self._write_orders = RouteWriter(endpoint, l2, "POST", "/orders")
        self._write_heartbeat = RouteWriter(endpoint, l2, "POST", "/v1/heartbeats")
        self._orders = pool(connections, min(ORDER_WAIT_NS_MAX, timeout_ns), observe.on_order)
        self._cancels = pool(CANCEL_CONNECTIONS, timeout_ns, observe.on_cancel)
        self._look_ups = pool(LOOK_UP_CONNECTIONS, timeout_ns, observe.on_look_up)
        self._heartbeats = pool(HEARTBEAT_CONNECTIONS, timeout_ns, observe.on_heartbeat)
        self._pools = [self._orders, self._cancels, self._look_ups]
        if has_heartbeat:
            self._pools.append(self._heartbeats)
        self._on_clock = observe.on_clock
        self.clock = VenueClock()
        self.venue_s = self.clock.venue_s
        self.sent_ready = 0

    def start(self) -> None:
        """Begin to connect, with descriptors in reserve."""
        self._reserve.start()
        for pool in self._pools:
            pool.start()

    def send_order(
        self, body: bytes, handler: AnswerHandler, ready: Requests = NO_REQUESTS
    ) -> None:
        """Send a signed order. Hot path."""
        venue_s = self.venue_s(self._now_ns())
        text = ready.get(venue_s)
        self._orders.send(text or self.order_request(body, venue_s), handler)
        self.sent_ready += text is not None

    def send_orders(self, bodies: Sequence[bytes], handler: AnswerHandler) -> None:
        """Send several signed orders, at most 15, in one request."""
        batch = b"[%b]" % b",".join(bodies)
        self._orders.send(self._write_orders.write(batch, self._venue_s()), handler)

    def cancel_order(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Cancel one order."""
        self._cancels.send(self._write.cancel(order_hash, self._venue_s()), handler)

    def cancel_all(self, handler: AnswerHandler) -> None:
        """Cancel everything."""
        self._cancels.send(self._write.cancel_all(self._venue_s()), handler)

    def look_up(self, order_hash: bytes, handler: AnswerHandler) -> None:
        """Ask for one order."""
        self._look_ups.send(self._write.look_up(order_hash, self._venue_s()), handler)

    def send_heartbeat(self, heartbeat_id: str, handler: AnswerHandler) -> None:
        """Tell the venue that we live. heartbeat_id: what its last answer said, or empty."""
        body = orjson.dumps({"heartbeat_id": heartbeat_id})
        self._heartbeats.send(self._write_heartbeat.write(body, self._venue_s()), handler)

    def work(self, now_ns: int) -> int:
        """Expire requests; compare clocks now and then, as soon as there is a connection."""
        if now_ns >= self.clock.due_ns and self._look_ups.connected:
            self.clock.asked(now_ns)
            self._look_ups.send(self._write.time(), self._on_time)
        shortages, self._shortages = self._shortages, 0
        return shortages + sum(pool.work(now_ns) for pool in self._pools)

    @property
    def is_connected(self) -> bool:
        """Whether an order could leave now."""
        return self._orders.connected > 0

    @property
    def is_short(self) -> bool:
        """Whether orders are refused because connections lack descriptors."""
        return self._reserve.is_short

    @property
    def in_flight(self) -> int:
        """Requests without an end."""
        return sum(pool.in_flight for pool in self._pools)

    @property
    def looking_up(self) -> int:
        """Look-ups without an answer."""
        return self._look_ups.in_flight

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
        self._reserve.close()

    def _on_shortage(self, is_short: bool) -> None:
        """Order nothing while descriptors are short: the reserve is for one connection a kind."""
        self._shortages += 1
        self._orders.keep(0 if is_short else self._connections)
        self._cancels.keep(1 if is_short else CANCEL_CONNECTIONS)

    def _venue_s(self) -> int:
        return self.clock.venue_s(self._now_ns())

    def _on_time(self, answer: Answer) -> None:
        if self.clock.on_answer(answer):
            self._on_clock()
