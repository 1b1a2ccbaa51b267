"""Order ids and salts: a pure function of (run, strategy, trace, leg, attempt).

The same decision always has the same id and the same salt, so doing it again after a crash makes
the same order, not a second one.
"""

from __future__ import annotations

from numba import int64, njit, uint64

SALT_BITS = 53  # the venue carries the salt as a JSON number


@njit(uint64(uint64), cache=True, error_model="numpy", _nrt=False)
def splitmix64(x: int) -> int:
    """Hot path. Return the splitmix64 finaliser of x, a uint64: a bijection on 64 bits."""
    x += uint64(0x9E37_79B9_7F4A_7C15)
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58_476D_1CE4_E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D0_49BB_1331_11EB)
    return x ^ (x >> uint64(31))


@njit(uint64(uint64, int64, int64, int64, int64), cache=True, error_model="numpy", _nrt=False)
def order_id_of(seed: int, strategy: int, trace: int, leg: int, attempt: int) -> int:
    """Hot path. Return the id of an order. seed: splitmix64 of the run's, made once."""
    return splitmix64(uint64(trace << 24 | strategy << 16 | leg << 8 | attempt) ^ seed)


@njit(uint64(uint64), cache=True, error_model="numpy", _nrt=False)
def salt(order: int) -> int:
    """Hot path. Return the salt that is signed for an order id."""
    return splitmix64(order) >> uint64(64 - SALT_BITS)


def order_id(run_seed: int, strategy: int, trace: int, leg: int, attempt: int) -> int:
    """Return the 64-bit id of an order; within one run distinct inputs give distinct ids.

    trace < 2^40, strategy, leg and attempt < 2^8 each.
    """
    assert trace < 1 << 40, f"trace must fit 40 bits: trace={trace}"
    return order_id_of(splitmix64(run_seed), strategy, trace, leg, attempt)
