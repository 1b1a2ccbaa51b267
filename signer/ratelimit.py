"""How fast the venue lets us go: token buckets of the signer and of each route, kept on our side.

A request that has no token is not sent: an order is refused at once, for its price would be stale
before its turn came, and a cancel waits. The last cancel tokens are kept for a cancel of
everything, and no order is sent that could then not be cancelled. What the venue's headers say is
believed when it is less than what we count; a 429 empties the bucket until the time it names.
"""

from __future__ import annotations

from dataclasses import dataclass

from signer.http import Answer

_NS_PER_S = 1_000_000_000
PAUSE_NS = 1_000_000_000  # after a 429 that does not say how long
PAUSE_S_MAX = 600
CREDIT_MAX = 16  # order tokens taken from the buckets at once
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Tokens of one tier, and what a route takes in any ten seconds; both change at the venue."""

    orders_per_second: int = 40
    orders_burst: int = 60
    cancels_per_second: int = 80
    cancels_burst: int = 120
    cancels_reserve: int = 20
    post_order_per_10s: int = 5_000
    cancel_order_per_10s: int = 5_000
    cancel_all_per_10s: int = 250
    look_up_per_10s: int = 500


class TokenBucket:
    """Tokens that come back with time. It may be in debt, and may be shut until a moment."""

    __slots__ = ("_burst", "_filled_ns", "_per_ns", "_shut_ns", "_tokens")

    def __init__(self, per_second: float, burst: float) -> None:
        """A full bucket; both arguments in tokens."""
        self._per_ns = per_second / _NS_PER_S
        self._burst = burst
        self._tokens = float(burst)
        self._filled_ns = 0
        self._shut_ns = 0

    @classmethod
    def of_window(cls, per_10s: int) -> TokenBucket:
        """Return a bucket that never lets more than `per_10s` through in any ten seconds.

        Half of it as a burst and half as refill: a full bucket at full rate takes the whole window.
        """
        return cls(per_10s / 20, max(1.0, per_10s / 2))

    def tokens(self, now_ns: int) -> float:
        """Return how many tokens there are; none while shut. Hot path."""
        if now_ns < self._shut_ns:
            return min(0.0, self._tokens)
        filled = self._tokens + (now_ns - self._filled_ns) * self._per_ns
        self._tokens = filled if filled < self._burst else self._burst
        self._filled_ns = now_ns
        return self._tokens

    def spend(self, count: int) -> None:
        """Take tokens whether they are there or not. Hot path."""
        self._tokens -= count

    def lower_to(self, tokens: float, now_ns: int) -> None:
        """Believe somebody who counts fewer tokens than we do."""
        if tokens < self.tokens(now_ns):
            self._tokens = tokens

    def shut(self, until_ns: int) -> None:
        """Have no tokens until a moment, and start from none then."""
        self._shut_ns = self._filled_ns = max(self._shut_ns, until_ns)
        self._tokens = min(0.0, self._tokens)


class RateLimits:
    """The buckets of orders, cancels and look-ups.

    Order tokens are taken from their buckets a few at a time, so that most orders cost a countdown.
    """

    __slots__ = (
        "_cancel_all_route",
        "_cancel_route",
        "_cancels",
        "_credit",
        "_look_up_route",
        "_order_route",
        "_orders",
        "_reserve",
    )

    def __init__(self, settings: RateSettings) -> None:
        window = TokenBucket.of_window
        self._reserve = settings.cancels_reserve
        self._credit = 0
        self._orders = TokenBucket(settings.orders_per_second, settings.orders_burst)
        self._cancels = TokenBucket(settings.cancels_per_second, settings.cancels_burst)
        self._order_route = window(settings.post_order_per_10s)
        self._cancel_route = window(settings.cancel_order_per_10s)
        self._cancel_all_route = window(settings.cancel_all_per_10s)
        self._look_up_route = window(settings.look_up_per_10s)

    def take_order(self, now_ns: int) -> bool:
        """Take what one order costs, if it could be cancelled as well. Hot path."""
        if not self._credit and not self._take_credit(now_ns):
            return False
        self._credit -= 1
        return True

    def _take_credit(self, now_ns: int) -> int:
        """Take the tokens of a few orders; return how many there were."""
        free = min(
            self._orders.tokens(now_ns),
            self._order_route.tokens(now_ns),
            self._cancels.tokens(now_ns) - self._reserve,
            CREDIT_MAX,
        )
        self._credit = max(0, int(free))
        self._orders.spend(self._credit)
        self._order_route.spend(self._credit)
        return self._credit

    def take_cancel(self, now_ns: int) -> bool:
        """Take what the cancel of one order costs, if that leaves the reserve whole. Hot path."""
        if (
            self._cancels.tokens(now_ns) < 1 + self._reserve
            or self._cancel_route.tokens(now_ns) < 1
        ):
            return False
        self._cancels.spend(1)
        self._cancel_route.spend(1)
        return True

    def take_cancel_all(self, now_ns: int) -> bool:
        """Take the token of a cancel of everything; what it cancels is spent with its answer."""
        if self._cancels.tokens(now_ns) < 1 or self._cancel_all_route.tokens(now_ns) < 1:
            return False
        self._cancels.spend(1)
        self._cancel_all_route.spend(1)
        return True

    def spend_cancels(self, count: int) -> None:
        """Pay for the orders a cancel of everything has cancelled, into debt if need be."""
        self._cancels.spend(count)

    def take_look_up(self, now_ns: int) -> bool:
        """Take what one look-up costs."""
        if self._look_up_route.tokens(now_ns) < 1:
            return False
        self._look_up_route.spend(1)
        return True

    def on_order_answer(self, answer: Answer) -> None:
        """Read what an answer to an order says of the order tokens."""
        if answer.headers or answer.status == _TOO_MANY:
            self._orders.spend(-self._credit)
            self._credit = 0
            _heed(self._orders, answer)

    def on_cancel_answer(self, answer: Answer) -> None:
        """Read what an answer to a cancel says of the cancel tokens."""
        _heed(self._cancels, answer)

    def on_look_up_answer(self, answer: Answer) -> None:
        """Read what an answer to a look-up says of its route."""
        _heed(self._look_up_route, answer)


def pause_ns(answer: Answer, default_ns: int = 0) -> int:
    """Return how long `Retry-After` asks us to wait, bounded; the default where it says nothing.

    Whole seconds only: the venue sends no dates.
    """
    text = answer.headers.get(b"retry-after", b"")
    if not text.isdigit() or len(text) > 9:
        return default_ns
    return min(int(text), PAUSE_S_MAX) * _NS_PER_S


def _heed(bucket: TokenBucket, answer: Answer) -> None:
    if answer.headers:
        remaining = answer.headers.get(b"poly-ratelimit-remaining", b"")
        if remaining.lstrip(b"-").isdigit() and len(remaining) <= 9:
            bucket.lower_to(int(remaining), answer.answered_ns)
    if answer.status == _TOO_MANY:
        bucket.shut(answer.answered_ns + (pause_ns(answer) or PAUSE_NS))
