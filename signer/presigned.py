"""Orders signed before they are asked for: the cheapest rung is a look-up.

An order is found by everything that is signed or sent but its salt and its timestamp. Those are its
own, so its id is not the one a signature on demand would have had: the core learns it from SIGNED.
What was handed out is gone from the pool: no signed order ever leaves twice.

The second a request is sent in is signed as well, and it too is known ahead: an order may be held
with its whole request for the venue's present second and for the next one. In any other second
these are not found, and the request is written on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from signer.templates import NO_REQUESTS, OrderTemplate, SignedOrder

# What makes two orders the same but for salt and timestamp: template, maker amount and taker
# amount in micros, Tif, whether post-only. The template stands for wallet, domain, token and side:
# a new one, and none of the old one's orders is found any more. Orders with an expiry are not
# signed ahead.
OrderKey: TypeAlias = tuple[OrderTemplate, int, int, int, int]


class _Held(NamedTuple):
    signed: SignedOrder
    signed_ns: int
    instrument: int


class PresignedPool:
    """Signed orders by key, each good for one taking within its age."""

    __slots__ = ("_age_ns_max", "_held", "_size")

    def __init__(self, size: int, age_ns_max: int) -> None:
        """size: orders held at most. age_ns_max: how old an order may be when it is taken."""
        self._size = size
        self._age_ns_max = age_ns_max
        self._held: dict[OrderKey, _Held] = {}  # the oldest first

    def put(self, key: OrderKey, signed: SignedOrder, instrument: int, now_ns: int) -> None:
        """Hold an order instead of any other with this key; the oldest gives way to it."""
        self._held.pop(key, None)
        if len(self._held) >= self._size:
            del self._held[next(iter(self._held))]
        self._held[key] = _Held(signed, now_ns, instrument)

    def take(self, key: OrderKey, now_ns: int) -> SignedOrder | None:
        """Return an order and forget it, or None when there is none young enough. Hot path."""
        held = self._held.pop(key, None)
        if held is None or now_ns - held[1] > self._age_ns_max:
            return None
        return held[0]

    def wants(self, key: OrderKey, now_ns: int) -> bool:
        """Return whether an order should be signed: none is held, or its better half is over."""
        held = self._held.get(key)
        return held is None or 2 * (now_ns - held.signed_ns) > self._age_ns_max

    def prepare(self, key: OrderKey, venue_s: int, write: Callable[[bytes, int], bytes]) -> bool:
        """Write one request of a held order, for this second or for the next; False = both exist.

        write: takes the body and the second. The requests for other seconds are forgotten.
        """
        held = self._held.get(key)
        if held is None:
            return False
        signed = held.signed
        seconds = (venue_s, venue_s + 1)
        for missing in seconds:
            if missing not in signed.requests:
                ready = {s: text for s, text in signed.requests.items() if s in seconds}
                ready[missing] = write(signed.body, missing)
                self._held[key] = held._replace(signed=signed._replace(requests=ready))
                return True
        return False

    def unprepare(self, key: OrderKey) -> None:
        """Forget the requests of a held order, if there is one."""
        held = self._held.get(key)
        if held is not None:
            self._held[key] = held._replace(signed=held.signed._replace(requests=NO_REQUESTS))

    def invalidate(self, instrument: int) -> int:
        """Forget all orders of an instrument; return how many."""
        stale = [key for key, held in self._held.items() if held.instrument == instrument]
        for key in stale:
            del self._held[key]
        return len(stale)

    def clear(self) -> None:
        """Forget all orders."""
        self._held.clear()

    def __len__(self) -> int:
        return len(self._held)
