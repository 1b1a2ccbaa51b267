"""The signing ladder: three ways to one signed order, and what idle time does for them.

```
asked for ──▶ signed ahead? ──▶ a nonce left? ──▶ RFC 6979
              a look-up         a multiply-add    the curve
```
What is signed ahead is what the core has armed, then what is near to what it asked for last. The
likeliest of it is held with its whole request, for this second and for the next.
The last rung is the default: equal orders have equal bytes, whoever signs them and however often.
The upper two are opt-in. A nonce changes the signature only; an order signed ahead has a salt, a
timestamp and so an id of its own, which the core learns from SIGNED.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from engine.wire.codes import Side
from signer.amounts import Amounts
from signer.commands import Arm, NewOrder
from signer.eip712 import Domain
from signer.nonce_pool import NoncePool
from signer.order_v2 import SALT_MAX
from signer.presigned import PresignedPool
from signer.templates import OrderTemplate, Rung, SignedOrder
from signer.wallets import Wallet
from signer.wishes import Wish, Wishes

_NS_PER_MS = 1_000_000
_AHEAD = Rung.AHEAD


@dataclass(frozen=True, slots=True)
class Rungs:
    """How far the upper rungs reach; 0 nonces or 0 presigned orders = without that rung.

    presigned_levels: ticks around the last price asked for. presigned_age_ns_max: how old the
    timestamp of an order signed ahead may be when it leaves.
    """

    nonces: int = 0
    presigned: int = 0
    presigned_levels: int = 0
    presigned_age_ns_max: int = 0


class RequestSource(Protocol):
    """Whoever sends the orders: writes their requests, by the clock it sends them by."""

    def venue_s(self, now_ns: int) -> int:
        """Return the second that a request sent now would carry."""
        ...

    def order_request(self, body: bytes, venue_s: int) -> bytes:
        """Return the whole request of an order for one second."""
        ...


class Ladder:
    """Signs the orders of one wallet. `signed` counts them by rung, `dropped` what was in vain."""

    __slots__ = (
        "_nonces",
        "_owner",
        "_presigned",
        "_requests",
        "_salts",
        "_wallet",
        "_wish",
        "_wishes",
        "_wishes_left",
        "dropped",
        "signed",
    )

    def __init__(
        self, wallet: Wallet, owner: str, rungs: Rungs, requests: RequestSource | None = None
    ) -> None:
        """owner: the API key. requests: None = orders signed ahead are held without any."""
        self._wallet = wallet
        self._owner = owner
        self._nonces = NoncePool(wallet.key, rungs.nonces) if rungs.nonces else None
        self._presigned = (
            PresignedPool(rungs.presigned, rungs.presigned_age_ns_max) if rungs.presigned else None
        )
        self._wishes = Wishes(rungs.presigned, rungs.presigned_levels)
        self._wishes_left: Iterator[Wish] = iter(())
        self._wish: Wish | None = None  # what idle time is busy with
        self._requests = requests
        # No salt comes twice from here; that another process drew the same is one in 2^53.
        self._salts = itertools.count(secrets.randbelow(SALT_MAX))
        self.signed = [0] * len(Rung)
        self.dropped = 0

    @property
    def nonces_left(self) -> int:
        """Orders that can be signed with a nonce."""
        return len(self._nonces) if self._nonces is not None else 0

    @property
    def presigned_left(self) -> int:
        """Orders held signed."""
        return len(self._presigned) if self._presigned is not None else 0

    def templates(self, domain: Domain, token_id: int) -> tuple[OrderTemplate, ...]:
        """Return the templates of a token by side."""
        return tuple(
            OrderTemplate(self._wallet, domain, token_id, side, self._owner, nonces=self._nonces)
            for side in Side
        )

    def prepare(self) -> None:
        """Fill the pool of nonces: 100 µs each, before the first order."""
        while self._nonces is not None and self._nonces.fill():
            pass

    def sign(
        self, order: NewOrder, template: OrderTemplate, tick: int, amounts: Amounts, now_ns: int
    ) -> SignedOrder:
        """Return an order, signed by the highest rung that can. Hot path.

        template, tick: of the order's side and instrument. amounts: as the policy passed them.
        """
        if self._presigned is not None and not order.expires_s:
            self._wishes.note((order, template, tick))
            key = (template, *amounts, order.tif, order.post_only)
            ahead = self._presigned.take(key, now_ns)
            if ahead is not None:
                self.signed[_AHEAD] += 1
                return ahead
        signed = template.sign(
            order.salt,
            amounts.maker,
            amounts.taker,
            order.timestamp_ms,
            order.expires_s,
            order.tif,
            order.post_only,
        )
        self.signed[signed.rung] += 1
        return signed

    def arm(self, arm: Arm, template: OrderTemplate, amounts: Amounts) -> None:
        """Sign an order ahead of all others, and again when it ages, until it is asked for."""
        if self._presigned is not None:
            order = arm.order
            key = (template, *amounts, order.tif, order.post_only)
            self._wishes.arm(arm.strategy, Wish(key, order.instrument))
            self._begin_anew()

    def disarm(self, arm: Arm) -> None:
        """Let an armed order be like any other."""
        disarmed = self._wishes.disarm(arm.strategy, arm.order.instrument)
        if disarmed is not None and self._presigned is not None:
            self._presigned.unprepare(disarmed.key)
            self._begin_anew()

    def idle(self, now_ns: int) -> int:
        """Make a nonce, sign an order ahead or write a request; return how much was done.

        One at a time: an order that comes meanwhile waits some 100 µs at most. 0 = nothing was to
        be done for the wish whose turn it was.
        """
        if self._nonces is not None and self._nonces.fill():
            return 1
        return 0 if self._presigned is None else self._fulfil(self._presigned, now_ns)

    def invalidate(self, instrument: int) -> None:
        """Forget what was signed ahead for an instrument: its grid, fee or contract has changed."""
        self._wishes.forget(instrument)
        self._begin_anew()
        if self._presigned is not None:
            self.dropped += self._presigned.invalidate(instrument)

    def close(self) -> None:
        """Forget everything made ahead, and make no more."""
        if self._nonces is not None:
            self._nonces.close()
        if self._presigned is not None:
            self._presigned.clear()
            self._presigned = None

    def _begin_anew(self) -> None:
        """Let the next round of idle time begin with what is wanted most."""
        self._wishes_left, self._wish = iter(()), None

    def _fulfil(self, pool: PresignedPool, now_ns: int) -> int:
        """Do what the wish whose turn it is still lacks, or go on to the next one."""
        wish, requests = self._wish, self._requests
        if wish is None:
            self._wishes_left = self._wishes.around()
        elif pool.wants(wish.key, now_ns):
            self._sign_ahead(pool, wish, now_ns)
            return 1
        elif (
            requests is not None
            and wish.is_near
            and pool.prepare(wish.key, requests.venue_s(now_ns), requests.order_request)
        ):
            return 1
        self._wish = next(self._wishes_left, None)
        return 0

    def _sign_ahead(self, pool: PresignedPool, wish: Wish, now_ns: int) -> None:
        template, maker, taker, tif, post_only = wish.key
        salt, timestamp_ms = next(self._salts) & SALT_MAX, now_ns // _NS_PER_MS
        signed = template.sign(salt, maker, taker, timestamp_ms, 0, tif, post_only, is_ahead=True)
        pool.put(wish.key, signed._replace(rung=_AHEAD), wish.instrument, now_ns)
