"""Nonces made ahead: every safety rule, each as a test. Breaking one of them leaks the key."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import secrets
from collections import Counter
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from eth_keys import KeyAPI
from eth_keys.backends import NativeECCBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import nonce_pool
from signer.ecdsa import GROUP_ORDER, S_MAX, SigningKey, point_of, recover_address
from signer.nonce_pool import NoncePool, draw_scalar, make_nonce

SECRET = bytes.fromhex("42" * 32)
ORDERS_MANY = 100_000
# Pure Python, and no line of it shared with libsecp256k1.
ORACLE = KeyAPI(NativeECCBackend())

scalars = st.integers(1, GROUP_ORDER - 1)
digests = st.binary(min_size=32, max_size=32)


def filled(count: int, secret: bytes = SECRET) -> NoncePool:
    """A pool with so many nonces."""
    pool = NoncePool(SigningKey(secret), count)
    assert pool.fill(count) == count
    return pool


def signature_with(k: int, digest: bytes, secret: bytes = SECRET) -> bytes | None:
    """The signature a pool makes with a nonce of our choice."""
    pool = NoncePool(SigningKey(secret), 1)
    nonce = make_nonce(SigningKey(secret), k)
    assert nonce is not None
    pool._nonces.append(nonce)
    return pool.sign(digest)


def textbook(k: int, digest: bytes, secret: bytes) -> tuple[int, int]:
    """r and the low s as the definition has them, by the oracle's own point arithmetic."""
    point = ORACLE.PrivateKey(k.to_bytes(32, "big")).public_key.to_bytes()
    r = int.from_bytes(point[:32], "big") % GROUP_ORDER
    z, d = int.from_bytes(digest, "big"), int.from_bytes(secret, "big")
    s = pow(k, -1, GROUP_ORDER) * (z + r * d) % GROUP_ORDER
    return r, min(s, GROUP_ORDER - s)


@settings(max_examples=40, deadline=None)
@given(scalars, digests, scalars)
def test_a_signature_is_what_the_definition_says(k: int, digest: bytes, d: int) -> None:
    """r and s follow from k by the textbook; an independent library recovers the signer."""
    secret = d.to_bytes(32, "big")
    signature = signature_with(k, digest, secret)
    assert signature is not None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    assert (r, s) == textbook(k, digest, secret)
    claimed = ORACLE.Signature(signature[:64] + bytes((signature[64] - 27,)))
    public = ORACLE.ecdsa_recover(digest, claimed)
    assert public == ORACLE.PrivateKey(secret).public_key
    assert public.to_checksum_address() == SigningKey(secret).address


def test_every_signature_recovers_to_the_key() -> None:
    """OpenSSL verifies them and libsecp256k1 recovers the address, both parities among them."""
    pool = filled(400)
    key = SigningKey(SECRET)
    public = ec.derive_private_key(int.from_bytes(SECRET, "big"), ec.SECP256K1()).public_key()
    seen: Counter[int] = Counter()
    for _ in range(400):
        digest = os.urandom(32)
        signature = pool.sign(digest)
        assert signature is not None
        assert recover_address(digest, signature) == key.address
        der = utils.encode_dss_signature(
            int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        )
        public.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        seen[signature[64]] += 1
    assert seen[27] > 100
    assert seen[28] > 100


@settings(max_examples=40, deadline=None)
@given(scalars, digests)
def test_s_is_in_the_lower_half_and_the_parity_follows(k: int, digest: bytes) -> None:
    """k and n − k give the same r, s and v: whichever s was high is flipped with its parity."""
    one, other = signature_with(k, digest), signature_with(GROUP_ORDER - k, digest)
    assert one is not None
    assert int.from_bytes(one[32:64], "big") <= S_MAX
    assert one == other


def test_a_digest_above_the_group_order_signs_modulo_it() -> None:
    """Digests of 2^256 − 1 and 0 are signed like any other."""
    for digest in (b"\xff" * 32, bytes(32)):
        signature = signature_with(12345, digest)
        assert signature is not None
        assert recover_address(digest, signature) == SigningKey(SECRET).address


def test_a_zero_s_is_refused_and_its_nonce_is_gone() -> None:
    """The one digest that makes s zero for a nonce gives no signature."""
    k = 987_654_321
    point = ORACLE.PrivateKey(k.to_bytes(32, "big")).public_key.to_bytes()
    r = int.from_bytes(point[:32], "big")
    z = -r * int.from_bytes(SECRET, "big") % GROUP_ORDER
    pool = NoncePool(SigningKey(SECRET), 1)
    nonce = make_nonce(SigningKey(SECRET), k)
    assert nonce is not None
    pool._nonces.append(nonce)
    assert pool.sign(z.to_bytes(32, "big")) is None
    assert len(pool) == 0


@pytest.mark.parametrize("x", [0, GROUP_ORDER, GROUP_ORDER + 1])
def test_a_point_whose_r_is_zero_or_wraps_is_refused(
    monkeypatch: pytest.MonkeyPatch, x: int
) -> None:
    """x = 0 mod n has no signature, x ≥ n none with a v of 27 or 28: another scalar is drawn."""
    points = iter([(x, 1), (x, 1), point_of(7)])
    monkeypatch.setattr(nonce_pool, "point_of", lambda _k: next(points))
    assert make_nonce(SigningKey(SECRET), 5) is None
    pool = NoncePool(SigningKey(SECRET), 1)
    assert pool.fill() == 1
    assert [nonce.r for nonce in pool._nonces] == [point_of(7)[0].to_bytes(32, "big")]


def test_scalars_cover_their_range_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator's least number gives 1, its greatest n − 1."""
    monkeypatch.setattr(secrets, "randbelow", lambda bound: bound - 1)
    assert draw_scalar() == GROUP_ORDER - 1
    monkeypatch.setattr(secrets, "randbelow", lambda _bound: 0)
    assert draw_scalar() == 1


def test_scalars_are_uniform() -> None:
    """Sixteen equal slices of [1, n-1] are met equally often: chi-square below its 1e-9 bound."""
    count, slices = 32_000, 16
    met = Counter(draw_scalar() * slices // GROUP_ORDER for _ in range(count))
    expected = count / slices
    assert set(met) == set(range(slices))
    assert sum((met[i] - expected) ** 2 / expected for i in range(slices)) < 74


def test_scalars_come_from_the_systems_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every nonce asks `secrets`, and its scalar is the one that was drawn."""
    drawn: list[int] = []
    real = secrets.randbelow

    def noted(bound: int) -> int:
        drawn.append(real(bound))
        return drawn[-1]

    monkeypatch.setattr(secrets, "randbelow", noted)
    pool = filled(3)
    ours = {nonce.r for nonce in pool._nonces}
    points = {point_of(1 + value)[0].to_bytes(32, "big") for value in drawn}
    assert ours <= points


def test_a_nonce_leaves_before_it_is_used() -> None:
    """A failure in the middle of signing loses the nonce: it is never used for another digest."""
    pool = filled(2)
    with pytest.raises(TypeError):
        pool.sign(None)
    assert len(pool) == 1
    assert pool.sign(os.urandom(32)) is not None
    assert pool.sign(os.urandom(32)) is None


def test_an_empty_pool_has_no_signature() -> None:
    """None, so that the caller takes the next rung."""
    pool = NoncePool(SigningKey(SECRET), 0)
    assert pool.fill(10) == 0
    assert pool.sign(bytes(32)) is None


def test_a_closed_pool_stays_empty() -> None:
    """After close there is nothing left, and nothing is made."""
    pool = filled(3)
    pool.close()
    assert len(pool) == 0
    assert pool.fill(3) == 0
    assert pool.sign(bytes(32)) is None


def in_child(report: Callable[[], object]) -> object:
    """Fork, let the child report, and return what it said."""
    source, target = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(target, json.dumps(report()).encode())
        finally:
            os._exit(0)
    os.close(target)
    with os.fdopen(source, "rb") as told:
        said = told.read()
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(said)


def test_a_forked_child_finds_the_pool_empty() -> None:
    """The child has no nonce, can make none and signs nothing; the parent keeps its own."""
    pool = filled(5)

    def report() -> object:
        return [len(pool), pool.fill(5), pool.sign(bytes(32)), len(pool)]

    assert in_child(report) == [0, 0, None, 0]
    assert len(pool) == 5
    assert pool.sign(bytes(32)) is not None


def test_a_fork_nobody_announced_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with nonces in hand, another process id gets no signature: the pid is checked at pop."""
    pool = filled(2)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert len(pool) == 2
    assert pool.sign(bytes(32)) is None
    assert pool.fill() == 0
    assert len(pool) == 2


def test_a_pool_that_is_gone_does_not_disturb_a_fork() -> None:
    """The fork hook outlives its pool and then does nothing."""
    pool = filled(1)
    del pool
    assert in_child(lambda: "alive") == "alive"


def numbers_of(pool: NoncePool) -> set[str]:
    """Everything secret in a pool, as a log or a dump might spell it."""
    numbers = [n for nonce in pool._nonces for n in (nonce.inverse, nonce.shifted)]
    return {str(n) for n in numbers} | {f"{n:064x}" for n in numbers}


def test_nonces_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """repr, str, format, logs and exceptions show how many there are, and nothing of them."""
    pool = filled(4)
    (nonce, *_) = pool._nonces
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("t").warning("%r %s %r", pool, nonce, pool._nonces)
    texts = [repr(pool), str(pool), f"{pool} {nonce}", caplog.text]
    with pytest.raises(TypeError) as caught:
        pool.sign("not bytes")
    texts.append(str(caught.value))
    for text in texts:
        assert not any(number in text for number in numbers_of(pool))
    assert repr(pool) == "NoncePool(3 of 4)"


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, memoryview])
def test_nonces_do_not_leave_their_process(leave: Callable[[object], object]) -> None:
    """Neither a pool nor a nonce can be pickled, copied, serialised or put into shared memory."""
    pool = filled(1)
    for thing in (pool, pool._nonces[0]):
        with pytest.raises(TypeError):
            leave(thing)


def test_nothing_of_a_pool_is_on_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filling and signing opens no file for writing and maps no shared memory."""
    monkeypatch.chdir(tmp_path)
    before = {os.readlink(f"/proc/self/fd/{fd}") for fd in open_files()}
    mapped = shared_maps()
    pool = filled(50)
    pool.sign(bytes(32))
    assert {os.readlink(f"/proc/self/fd/{fd}") for fd in open_files()} <= before | {"/dev/urandom"}
    assert shared_maps() == mapped
    assert list(tmp_path.iterdir()) == []


def open_files() -> list[str]:
    """Our open descriptors."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue  # the listing's own descriptor
        found.append(fd)
    return found


def shared_maps() -> set[str]:
    """Our writable shared mappings."""
    with open("/proc/self/maps") as source:
        return {line for line in source if line.split()[1].startswith("rw-s")}


def rs_of(count: int) -> list[str]:
    """Sign so many digests with one pool, refilled as it goes; return every r."""
    pool = NoncePool(SigningKey(SECRET), 64)
    found = []
    while len(found) < count:
        pool.fill(64)
        while (signature := pool.sign(bytes(32))) is not None:
            found.append(signature[:32].hex())
    return found


def test_no_r_is_seen_twice() -> None:
    """Two thousand signatures of one digest, and a child's thousand, have as many r."""
    ours = rs_of(2_000)
    theirs = in_child(lambda: rs_of(1_000))
    assert isinstance(theirs, list)
    assert len({*ours, *theirs}) == len(ours) + len(theirs)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_r_is_seen_twice_in_a_hundred_thousand_orders() -> None:
    """100,000 orders and, across forks between them, three children's: never the same r."""
    seen: set[str] = set()
    count = 0
    for _ in range(3):
        for found in (rs_of(ORDERS_MANY // 3 + 1), in_child(lambda: rs_of(1_500))):
            assert isinstance(found, list)
            seen.update(found)
            count += len(found)
    assert count > ORDERS_MANY
    assert len(seen) == count
