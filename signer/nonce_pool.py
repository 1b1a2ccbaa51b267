"""Signing paid for ahead: once-only nonces, so that an order costs one modular multiply-add.

An ECDSA signature of a digest z under a key d is `r = (kG).x`, `s = k⁻¹·(z + r·d) mod n`. Only z is
not known ahead: with `k⁻¹` and `k⁻¹·r·d` at hand, any price and size signs in about a microsecond.

Two digests under one k give away the key, so a nonce
- is drawn from the system's generator, uniform in [1, n-1], never derived or stored;
- is made and used in one process only: a forked child finds the pool empty and cannot fill it;
- leaves the pool before it is used: whatever fails afterwards, it is gone;
- is never shown, pickled or copied. Who has one and its signature has the key.
"""

from __future__ import annotations

import os
import secrets
import weakref
from typing import Any, NoReturn

from signer.ecdsa import GROUP_ORDER, S_MAX, V_OFFSET, SigningKey, point_of

_FLIP = 27 ^ 28  # the other v, of the point on the other side of the x axis


class Nonce:
    """Everything of one signature but the message."""

    __slots__ = ("inverse", "r", "shifted", "v")

    def __init__(self, r: bytes, inverse: int, shifted: int, v: int) -> None:
        """r: 32 bytes. inverse: k⁻¹ mod n. shifted: k⁻¹·r·d mod n. v: 27, or 28 if y is odd."""
        self.r = r
        self.inverse = inverse
        self.shifted = shifted
        self.v = v

    def sign(self, digest: Any) -> bytes | None:
        """Return the signature of one digest, or None where it must not be used. Hot path."""
        s = (self.inverse * int.from_bytes(digest, "big") + self.shifted) % GROUP_ORDER
        v = self.v
        if s > S_MAX:
            s = GROUP_ORDER - s
            v ^= _FLIP
        if not s:
            return None
        return b"%b%b%c" % (self.r, s.to_bytes(32, "big"), v)

    def __repr__(self) -> str:
        return "Nonce()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a nonce does not leave its process")


def make_nonce(key: SigningKey, k: int) -> Nonce | None:
    """Return the nonce of a scalar in [1, n-1], or None for one of the few that must not be used.

    Cold path: a curve multiplication and an inversion, some 100 µs.
    """
    x, y = point_of(k)
    # At x ≥ n the signature would need another v than 27 or 28, which the contracts refuse.
    if not 0 < x < GROUP_ORDER:
        return None
    # Python's inversion takes longer for some numbers: it is shown a random multiple of k.
    mask = draw_scalar()
    inverse = mask * pow(mask * k % GROUP_ORDER, -1, GROUP_ORDER) % GROUP_ORDER
    shifted = key.times_secret(inverse * x % GROUP_ORDER)
    return Nonce(x.to_bytes(32, "big"), inverse, shifted, V_OFFSET + (y & 1))


def draw_scalar() -> int:
    """Return a number uniform in [1, n-1] from the system's generator."""
    return 1 + secrets.randbelow(GROUP_ORDER - 1)


class NoncePool:
    """Nonces of one key in one process."""

    __slots__ = ("__weakref__", "_key", "_nonces", "_pid", "_size")

    def __init__(self, key: SigningKey, size: int) -> None:
        """Make an empty pool that `fill` brings to `size` nonces."""
        self._key = key
        self._size = size
        self._pid = os.getpid()
        self._nonces: list[Nonce] = []
        # The hook lives as long as the process, the pool need not.
        pool = weakref.ref(self)

        def empty_in_child() -> None:
            if (forked := pool()) is not None:
                forked.empty()

        os.register_at_fork(after_in_child=empty_in_child)

    def fill(self, count: int = 1) -> int:
        """Make at most `count` nonces; return how many, 0 = full, or another process's pool."""
        if os.getpid() != self._pid:
            return 0
        made = 0
        while made < count and len(self._nonces) < self._size:
            nonce = make_nonce(self._key, draw_scalar())
            if nonce is not None:
                self._nonces.append(nonce)
                made += 1
        return made

    def sign(self, digest: Any) -> bytes | None:
        """Return the 65-byte signature r‖s‖v of a digest, or None when the pool has nothing.

        Hot path. digest: any buffer of 32 bytes. s is in the lower half of the group.
        """
        nonces = self._nonces
        if not nonces or os.getpid() != self._pid:
            return None
        return nonces.pop().sign(digest)

    def empty(self) -> None:
        """Forget every nonce."""
        self._nonces.clear()

    def close(self) -> None:
        """Forget every nonce and make no more."""
        self._size = 0
        self.empty()

    def __len__(self) -> int:
        return len(self._nonces)

    def __repr__(self) -> str:
        return f"NoncePool({len(self)} of {self._size})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pool of nonces does not leave its process")
