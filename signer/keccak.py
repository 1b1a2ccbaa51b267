"""Keccak-256 in native code: what every hash of an order is made of.

The kernels work on preallocated `uint8` buffers and allocate nothing, so an order's two hashes cost
one call. Source: Keccak reference, rate 1088 bits, original padding (0x01 … 0x80) as Ethereum uses.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

Bytes8 = NDArray[np.uint8]

RATE_BYTES = 136
HASH_BYTES = 32
STATE_WORDS = 30  # 25 lanes of state and 5 of scratch

_ROUND_CONSTANTS = np.array(
    [
        0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
        0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
        0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    ],
    np.uint64,
)  # fmt: skip
# Rho offsets and pi targets along the one cycle that visits the 24 lanes other than lane 0.
_ROTATIONS = np.array(
    [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44],
    np.uint64,
)
_LANES = np.array(
    [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1],
    np.int64,
)


@nb.njit("uint64(uint64, uint64)", cache=True, inline="always")
def _rotate(word: Any, bits: Any) -> Any:
    return (word << bits) | (word >> (np.uint64(64) - bits))


@nb.njit("void(uint64[::1])", cache=True, nogil=True, _nrt=False)
def permute(state: Any) -> None:
    """Apply keccak-f[1600] in place. Hot path. state: uint64[30], lanes then scratch."""
    for round_index in range(24):
        for x in range(5):
            state[25 + x] = state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]
        for x in range(5):
            mixed = state[25 + (x + 4) % 5] ^ _rotate(state[25 + (x + 1) % 5], np.uint64(1))
            for y in range(0, 25, 5):
                state[x + y] ^= mixed
        carried = state[1]
        for step in range(24):
            lane = _LANES[step]
            kept = state[lane]
            state[lane] = _rotate(carried, _ROTATIONS[step])
            carried = kept
        for y in range(0, 25, 5):
            a, b, c, d, e = state[y], state[y + 1], state[y + 2], state[y + 3], state[y + 4]
            state[y] = a ^ (~b & c)
            state[y + 1] = b ^ (~c & d)
            state[y + 2] = c ^ (~d & e)
            state[y + 3] = d ^ (~e & a)
            state[y + 4] = e ^ (~a & b)
        state[0] ^= _ROUND_CONSTANTS[round_index]


@nb.njit("void(uint8[::1], int64, int64, uint64[::1])", cache=True, nogil=True, _nrt=False)
def _absorb(data: Any, start: Any, length: Any, state: Any) -> None:
    for index in range(length):
        shift = np.uint64((index & 7) << 3)
        state[index >> 3] ^= np.uint64(data[start + index]) << shift


@nb.njit(
    "void(uint8[::1], int64, int64, uint8[::1], int64, uint64[::1])",
    cache=True,
    nogil=True,
    _nrt=False,
)
def keccak256_into(data: Any, start: Any, length: Any, out: Any, at: Any, state: Any) -> None:
    """Write keccak256(data[start : start + length]) to out[at : at + 32]. Hot path.

    data, out: uint8 buffers, may be the same one. state: uint64[30] scratch, overwritten.
    """
    for word in range(25):
        state[word] = np.uint64(0)
    position = start
    left = length
    while left >= RATE_BYTES:
        _absorb(data, position, RATE_BYTES, state)
        permute(state)
        position += RATE_BYTES
        left -= RATE_BYTES
    _absorb(data, position, left, state)
    state[left >> 3] ^= np.uint64(1) << np.uint64((left & 7) << 3)
    state[16] ^= np.uint64(0x8000000000000000)
    permute(state)
    for index in range(HASH_BYTES):
        shift = np.uint64((index & 7) << 3)
        out[at + index] = np.uint8((state[index >> 3] >> shift) & np.uint64(0xFF))


def keccak256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 32-byte Keccak-256 (not SHA3-256) of `data`. Cold path: it allocates."""
    source = np.frombuffer(data, np.uint8) if len(data) else np.zeros(1, np.uint8)
    out = np.empty(HASH_BYTES, np.uint8)
    # numba's signature wants a writable array; the kernel only reads it.
    keccak256_into(source.copy(), 0, len(data), out, 0, np.empty(STATE_WORDS, np.uint64))
    return out.tobytes()
