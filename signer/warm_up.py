"""Dry runs: the way of an order, walked by orders that are nobody's.

At a thousand ticks a second the caches and the branch predictor have forgotten the order's code
from one order to the next, and it then takes twice its time. So while nothing is to be done the
same functions run over scratch objects: a key thrown away with the process, a journal that keeps
nothing, a ring nobody reads and a connection that ends here. A dry run is made from nothing of the
real signer's, so there is nothing of it that it could touch.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

from engine.bus.ring_header import HEAD_WORD, TAIL_WORD, ring_words
from engine.bus.ring_kernels import CAPACITY, LOCAL_WORDS, offer_queue
from engine.wire.codes import Kind, Reason, Side, Tif
from engine.wire.records import new, words
from signer.admission import Admission, AdmissionSettings
from signer.auth import ApiCredentials, L2Signer
from signer.commands import Commands
from signer.contracts import Chain, Generation, exchange_domain
from signer.ecdsa import SigningKey, pointer_to
from signer.http import AnswerHandler, Connection, Endpoint, Pool
from signer.instruments import Contract, Instrument, Terms
from signer.ladder import Ladder, Rungs
from signer.log_format import Entry, Packer
from signer.nonce_pool import draw_scalar, make_nonce
from signer.order_path import OrderPath
from signer.orders import Orders
from signer.policy import Limits, Policy
from signer.ratelimit import RateLimits, RateSettings
from signer.reports import Reporter
from signer.request_writer import RequestWriter
from signer.strategies import NO_STRATEGIES
from signer.templates import NO_REQUESTS, OrderTemplate, Requests, Signatures
from signer.venue_clock import VenueClock
from signer.wallets import SignatureType, Wallet

ROUNDS = 100
_MANY = 1_000_000_000
_FOREVER_NS = 1 << 62
_API_KEY = "00000000-0000-0000-0000-000000000000"
_API_SECRET = "c2NyYXRjaA=="  # noqa: S105  of no account
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_TOKEN_ID = 1 << 255
_ORDER = {
    "instrument": 1,
    "trace": 1,
    "order_id": 1,
    "price": 480_000,
    "size": 10_000_000,
    "salt": 1,
    "timestamp_ms": 1,
    "tick": 10_000,
    "side": Side.BUY,
    "tif": Tif.FOK,
}


class DryRun:
    """A scratch signer, worked a slice at a time.

    No slice is longer than one signature in full, some 30 µs: real work waits for that at most.
    """

    __slots__ = (
        "_commands",
        "_instrument",
        "_key",
        "_ladder",
        "_now_ns",
        "_orders",
        "_path",
        "_sender",
        "_slices",
    )

    def __init__(
        self,
        kind: SignatureType = SignatureType.EOA,
        *,
        with_nonces: bool = False,
        with_presigned: bool = False,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """kind, with_nonces, with_presigned: how the real orders are signed. now_ns: a clock."""
        self._key = key = SigningKey(os.urandom(32))
        self._now_ns = now_ns
        wallet = Wallet.of(key, kind, key.address)
        kept = _KeptSignature(key)
        signatures: Signatures = _KeptNonce(key) if with_nonces else kept
        self._instrument = _instrument(wallet, signatures)
        self._orders = Orders()
        self._sender = _ScratchSender(key.address, now_ns)
        rungs = Rungs(presigned=1, presigned_age_ns_max=_MANY) if with_presigned else Rungs()
        self._ladder = Ladder(wallet, _API_KEY, rungs, self._sender)
        self._path = OrderPath(
            Policy(Limits(1, _MANY, _MANY, _MANY, _MANY)),
            Admission(AdmissionSettings(0, 0)),
            RateLimits(RateSettings(_MANY, _MANY, _MANY, _MANY, 0, _MANY)),
            self._ladder,
            self._orders,
            _ScratchJournal(),
            Reporter(_ScratchRing(), now_ns),
            self._sender,
            now_ns,
            run_id=0,
            age_ns_max=_FOREVER_NS,
            strategy_keys=NO_STRATEGIES,
            on_answer=lambda _order, _answer: None,
            on_refused=lambda _order, _reason, _polled_ns: None,
            on_unsent=lambda _order, _reason: None,
        )
        self._commands = Commands(_new_order())
        asked = (self._walk,) if with_nonces else (kept.renew, self._walk)
        # Signed, its two requests written, the wishes looked through, and asked for: then it is
        # gone, and the order after it is signed on demand.
        ahead = (*[self._idle] * 4, self._walk) if with_presigned else ()
        self._slices = cycle((*ahead, *asked))

    @property
    def walked(self) -> int:
        """How many orders went the whole way."""
        return self._path.sent_count

    def step(self) -> None:
        """Do one slice: the curve, or the whole way with the signature it made."""
        next(self._slices)()

    def warm_up(self) -> None:
        """Load the kernels and fill the caches: the first order would wait some milliseconds."""
        for _ in range(ROUNDS):
            self.step()

    def close(self) -> None:
        """Wipe the key."""
        self._key.wipe()

    def _idle(self) -> None:
        self._ladder.idle(self._now_ns())

    def _walk(self) -> None:
        order = self._commands.new_order(0)
        self._path.send(order, self._instrument, self._now_ns())
        self._orders.forget(order.order_id)


class _KeptSignature:
    """One signature in full, made in a slice of its own and used for every order after it."""

    __slots__ = ("_digest", "_key", "_signature")

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._digest = pointer_to(bytearray(os.urandom(32)))
        self.renew()

    def renew(self) -> None:
        self._signature = self._key.sign(self._digest)

    def sign(self, _digest: Any) -> bytes:
        return self._signature


class _KeptNonce:
    """One nonce, used again and again: that gives its key away, and this key is nobody's."""

    __slots__ = ("_nonce",)

    def __init__(self, key: SigningKey) -> None:
        nonce = None
        while nonce is None:
            nonce = make_nonce(key, draw_scalar())
        self._nonce = nonce

    def sign(self, digest: Any) -> bytes | None:
        return self._nonce.sign(digest)


class _ScratchJournal:
    """Packs entries as the order log does, and keeps none."""

    __slots__ = ("_packer",)

    def __init__(self) -> None:
        self._packer = Packer()

    def append(self, entry: Entry) -> bool:
        return len(self._packer.pack(1, entry)) > 0


class _ScratchRing:
    """A ring in private memory whose reader has always read everything."""

    __slots__ = ("_local", "_words")

    def __init__(self) -> None:
        self._words = np.zeros(ring_words(1), np.int64)
        self._local = np.zeros(LOCAL_WORDS, np.int64)
        self._local[CAPACITY] = 1

    def offer(self, rows: np.ndarray) -> bool:
        self._words[TAIL_WORD] = self._words[HEAD_WORD]
        return bool(offer_queue(self._words, rows, self._local))


class _ScratchSender:
    """A pool with one connection that ends here."""

    __slots__ = ("_connection", "_now_ns", "_pool", "order_request", "venue_s")

    def __init__(self, address: str, now_ns: Callable[[], int]) -> None:
        endpoint = Endpoint("localhost", 0, "", None)
        credentials = ApiCredentials(_API_KEY, _API_SECRET, "")
        self._now_ns = now_ns
        self.order_request = RequestWriter(endpoint, L2Signer(credentials, address)).order
        self.venue_s = VenueClock().venue_s
        self._pool = Pool(endpoint, 1, now_ns, timeout_ns=_MANY, wait_ns_max=_MANY)
        self._connection = Connection(self._pool)
        self._connection.connection_made(_Nowhere())

    def send_order(
        self, body: bytes, handler: AnswerHandler, ready: Requests = NO_REQUESTS
    ) -> None:
        venue_s = self.venue_s(self._now_ns())
        self._pool.send(ready.get(venue_s) or self.order_request(body, venue_s), handler)
        self._connection.data_received(_ANSWER)  # and it is free for the next


class _Nowhere(asyncio.Transport):
    """What is written here is gone."""

    def write(self, _data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def _instrument(wallet: Wallet, signatures: Signatures) -> Instrument:
    domain = exchange_domain(Generation.V2, Chain.POLYGON, neg_risk=False)
    instrument = Instrument(
        Contract(_TOKEN_ID, Generation.V2, neg_risk=False, outcome=0),
        Terms(0, 0, 0, 0),
        _ORDER["tick"],
        Reason.OK,
    )
    instrument.templates = tuple(
        OrderTemplate(wallet, domain, _TOKEN_ID, side, _API_KEY, nonces=signatures) for side in Side
    )
    return instrument


def _new_order() -> np.ndarray:
    """Return a NEW_ORDER, int64[1, 16]."""
    record = new(Kind.NEW_ORDER)
    for name, value in _ORDER.items():
        record[name] = value
    return words(record)
