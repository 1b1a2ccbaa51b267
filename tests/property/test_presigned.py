"""Orders signed ahead: taken once, young, and only while everything they were signed for holds."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.wire.codes import Side, Tif
from signer.contracts import exchange_domain
from signer.ecdsa import SigningKey
from signer.presigned import OrderKey, PresignedPool
from signer.templates import NO_REQUESTS, OrderTemplate, SignedOrder
from signer.wallets import Wallet

SIZE = 6
AGE_NS_MAX = 1_000
INSTRUMENTS = 3
KEY = SigningKey(bytes.fromhex("42" * 32))


def request(body: bytes, venue_s: int) -> bytes:
    """A whole request of a body, as far as a pool can tell."""
    return b"%d %b" % (venue_s, body)


def template(token_id: int) -> OrderTemplate:
    """The buys of one token."""
    wallet = Wallet.of(KEY, 0, KEY.address)
    return OrderTemplate(wallet, exchange_domain(2, 137, False), token_id, Side.BUY, "owner")


class Pool(RuleBasedStateMachine):
    """A pool under random puts, takes, changes and the passing of time."""

    @initialize()
    def open(self) -> None:
        """Begin with nothing signed."""
        self.pool = PresignedPool(SIZE, AGE_NS_MAX)
        self.now_ns = 1
        self.salt = 0
        self.templates = {index: template(index + 1) for index in range(INSTRUMENTS)}
        self.ready: dict[OrderKey, tuple[SignedOrder, int, int]] = {}
        self.seconds: dict[bytes, set[int]] = {}
        self.taken: set[bytes] = set()

    def key(self, instrument: int, price: int, **changes: Any) -> OrderKey:
        """The key of ten shares at a price in cents."""
        chosen = {"tif": Tif.GTC, "post_only": 0, **changes}
        amounts = (price * 100_000, 10_000_000)
        return (self.templates[instrument], *amounts, chosen["tif"], chosen["post_only"])

    instruments = st.integers(0, INSTRUMENTS - 1)
    prices = st.integers(40, 43)

    @rule(instrument=instruments, price=prices)
    def put(self, instrument: int, price: int) -> None:
        """Sign one more order ahead."""
        key = self.key(instrument, price)
        self.salt += 1
        template, maker, taker, tif, post_only = key
        signed = template.sign(self.salt, maker, taker, 1, 0, tif, post_only)
        self.pool.put(key, signed, instrument, self.now_ns)
        self.ready.pop(key, None)
        if len(self.ready) == SIZE:
            del self.ready[next(iter(self.ready))]
        self.ready[key] = (signed, instrument, self.now_ns)

    @rule(instrument=instruments, price=prices)
    def take(self, instrument: int, price: int) -> None:
        """An order is what was signed for this key, at most once, and never too old."""
        key = self.key(instrument, price)
        found = self.pool.take(key, self.now_ns)
        expected = self.ready.pop(key, None)
        if expected is None or self.now_ns - expected[2] > AGE_NS_MAX:
            assert found is None
            return
        assert found._replace(requests=NO_REQUESTS) == expected[0]
        seconds = self.seconds.get(found.body, set())
        assert found.requests == {second: request(found.body, second) for second in seconds}
        assert found.order_hash not in self.taken
        self.taken.add(found.order_hash)
        assert self.pool.take(key, self.now_ns) is None

    @rule(instrument=instruments, price=prices, venue_s=st.integers(10, 13))
    def prepare(self, instrument: int, price: int, venue_s: int) -> None:
        """One request at a time, for this second and the next; those of other seconds are gone."""
        key = self.key(instrument, price)
        written = []

        def write(body: bytes, second: int) -> bytes:
            written.append(second)
            return request(body, second)

        is_written = self.pool.prepare(key, venue_s, write)
        wanted = {venue_s, venue_s + 1}
        if key not in self.ready:
            assert (is_written, written) == (False, [])
            return
        seconds = self.seconds.setdefault(self.ready[key][0].body, set())
        missing = sorted(wanted - seconds)
        assert (is_written, written) == (bool(missing), missing[:1])
        if missing:
            seconds.intersection_update(wanted)
            seconds.add(missing[0])

    @rule(instrument=instruments, price=prices)
    def unprepare(self, instrument: int, price: int) -> None:
        """Without its requests an order is held as before."""
        key = self.key(instrument, price)
        self.pool.unprepare(key)
        if key in self.ready:
            self.seconds.pop(self.ready[key][0].body, None)

    @rule(instrument=instruments, price=prices)
    def another_kind(self, instrument: int, price: int) -> None:
        """An order of another type, or post-only, or another size, is another order."""
        for changes in ({"tif": Tif.FOK}, {"post_only": 1}):
            assert self.pool.take(self.key(instrument, price, **changes), self.now_ns) is None
        chosen, maker, taker, *rest = self.key(instrument, price)
        assert self.pool.take((chosen, maker, 2 * taker, *rest), self.now_ns) is None

    @rule(instrument=instruments)
    def change_terms(self, instrument: int) -> None:
        """A new tick, minimum size or fee: everything signed for the instrument is forgotten."""
        mine = [key for key, held in self.ready.items() if held[1] == instrument]
        assert self.pool.invalidate(instrument) == len(mine)
        for key in mine:
            del self.ready[key]

    @rule(instrument=instruments, price=prices)
    def change_contract(self, instrument: int, price: int) -> None:
        """A new wallet or generation is a new template: no order of the old one is found again."""
        self.templates[instrument] = template(instrument + 1)
        assert self.pool.take(self.key(instrument, price), self.now_ns) is None

    @rule(passed=st.integers(1, AGE_NS_MAX))
    def wait(self, passed: int) -> None:
        """Time passes."""
        self.now_ns += passed

    @rule(instrument=instruments, price=prices)
    def wants(self, instrument: int, price: int) -> None:
        """An order is wanted when there is none that will stay young for half its age."""
        held = self.ready.get(self.key(instrument, price))
        expected = held is None or 2 * (self.now_ns - held[2]) > AGE_NS_MAX
        assert self.pool.wants(self.key(instrument, price), self.now_ns) is expected

    @invariant()
    def is_bounded(self) -> None:
        """There are never more than there may be, and the pool agrees with the model."""
        assert len(self.pool) == len(self.ready) <= SIZE


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_cleared_pool_has_nothing() -> None:
    """After clear no order is found."""
    pool = PresignedPool(1, AGE_NS_MAX)
    key = (template(1), 480_000, 1_000_000, Tif.GTC, 0)
    signed = key[0].sign(1, 480_000, 1_000_000, 1, 0, Tif.GTC, 0)
    pool.put(key, signed, 1, 0)
    pool.clear()
    assert pool.take(key, 0) is None
