"""The ladder as it is measured: one wallet, one token, and orders for every rung of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle

from engine.wire.codes import Side, Tif
from signer.auth import ApiCredentials, L2Signer
from signer.commands import Arm, NewOrder
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.http import Endpoint
from signer.ladder import Ladder, Rungs
from signer.policy import amounts_of
from signer.request_writer import RequestWriter
from signer.templates import SignedOrder
from signer.wallets import SignatureType, Wallet

SECRET = bytes.fromhex("42" * 32)
OWNER = "11111111-2222-3333-4444-555555555555"
TOKEN_ID = 71321045679252212594626385532706912750332728571942532289631379312455583992563
TIMESTAMP_MS = 1_784_402_198_867
_VENUE_S = TIMESTAMP_MS // 1_000
TICK = 10_000
FULL = Rungs()
LEVELS = 49  # every price there is on this tick, around one half
_SIZES = tuple(shares * 1_000_000 for shares in (10, 20, 30, 40))
ORDERS = (2 * LEVELS + 1) * len(_SIZES)  # different ones a round
NONCES = Rungs(nonces=ORDERS)
AHEAD = Rungs(presigned=ORDERS, presigned_levels=LEVELS, presigned_age_ns_max=1 << 60)


class Desk:
    """One wallet's ladder, asked for one order after another; it sends them where nobody is.

    is_armed: all its orders are armed, so that idle time writes their requests too.
    """

    def __init__(
        self, rungs: Rungs, kind: SignatureType = SignatureType.EOA, *, is_armed: bool = False
    ) -> None:
        key = SigningKey(SECRET)
        funder = key.address if kind is SignatureType.EOA else "0x" + "75" * 20
        self._is_armed = is_armed
        self.ladder = Ladder(Wallet.of(key, kind, funder), OWNER, rungs, self if is_armed else None)
        self._templates = self.ladder.templates(exchange_domain(2, 137, False), TOKEN_ID)
        credentials = ApiCredentials(OWNER, "c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "phrase")
        l2 = L2Signer(credentials, key.address)
        self.order_request = RequestWriter(Endpoint.of("http://localhost"), l2).order
        prices = [TICK * cents for cents in range(1, 100)]
        salts = count(1)
        self._all = [self._order(price, size, next(salts)) for price in prices for size in _SIZES]
        self._orders = cycle(self._all)
        self._decided = cycle([(order, amounts_of(order, TICK)) for order in self._all])

    @staticmethod
    def venue_s(now_ns: int) -> int:
        """The venue's clock is ours."""
        return now_ns // 1_000_000_000

    @staticmethod
    def _order(price: int, size: int, salt: int) -> NewOrder:
        return NewOrder(
            instrument=1,
            trace=1,
            order_id=salt,
            price=price,
            size=size,
            budget=0,
            salt=salt,
            timestamp_ms=TIMESTAMP_MS,
            expires_s=0,
            decided_ns=0,
            tick=TICK,
            side=Side.BUY,
            tif=Tif.GTC,
            post_only=0,
            strategy=0,
            attempt=0,
        )

    def prepare(self) -> None:
        """Do everything that idle time does, until there is nothing left to do."""
        self.ladder.prepare()
        if self._is_armed:
            for number, order in enumerate(self._all):
                armed = Arm(order, number, is_engaged=True)
                self.ladder.arm(armed, self._templates[order.side], amounts_of(order, TICK))
        else:
            for size in _SIZES:
                self.sign_this(self._order(500_000, size, 1))
        quiet = 0
        while quiet <= ORDERS:
            quiet = 0 if self.ladder.idle(TIMESTAMP_MS * 1_000_000) else quiet + 1

    def sign_this(self, order: NewOrder) -> SignedOrder:
        """Arguments to a signed order."""
        amounts = amounts_of(order, TICK)
        template = self._templates[order.side]
        return self.ladder.sign(order, template, TICK, amounts, TIMESTAMP_MS * 1_000_000)

    def sign(self) -> SignedOrder:
        """Sign the next order."""
        return self.sign_this(next(self._orders))

    def request(self) -> bytes:
        """Sign the next order and write its whole request, unless it is written already."""
        signed = self.sign()
        return signed.requests.get(_VENUE_S) or self.order_request(signed.body, _VENUE_S)

    def pick(self) -> bytes:
        """The same, of amounts the policy has computed."""
        order, amounts = next(self._decided)
        template = self._templates[order.side]
        signed = self.ladder.sign(order, template, TICK, amounts, TIMESTAMP_MS * 1_000_000)
        return signed.requests.get(_VENUE_S) or self.order_request(signed.body, _VENUE_S)

    @property
    def calls(self) -> dict[str, Callable[[], object]]:
        """What can be measured."""
        return {"body": self.sign, "request": self.request, "pick": self.pick}
