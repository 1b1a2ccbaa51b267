"""secp256k1 signatures: libsecp256k1 called through cffi with buffers made once.

Signing is deterministic (RFC 6979), so equal orders give equal bytes and every other
implementation is an oracle.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

from coincurve import PublicKey
from coincurve._libsecp256k1 import ffi, lib

from signer.address import ADDRESS_BYTES, to_checksum
from signer.keccak import keccak256

SECRET_BYTES = 32
SIGNATURE_BYTES = 65
GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
S_MAX = GROUP_ORDER // 2  # the exchange contract refuses the upper half: one form a signature
V_OFFSET = 27  # Ethereum's v of an even y


class SigningKey:
    """One private key. It never shows its secret: not in repr, not in pickles, not in errors."""

    __slots__ = ("_context", "_parity", "_raw", "_secret", "_signature", "_view", "address")

    def __init__(self, secret: bytes) -> None:
        """Take the 32-byte scalar; ValueError when it is not in [1, n-1]."""
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a private key is 32 bytes: bytes={len(secret)}")
        self._context: Any = lib.secp256k1_context_create(lib.SECP256K1_CONTEXT_NONE)
        # Blinding: hides the scalar from timing and power side channels.
        lib.secp256k1_context_randomize(self._context, os.urandom(32))
        self._secret: Any = ffi.new("unsigned char[32]", secret)
        self._raw: Any = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self._signature: Any = ffi.new("unsigned char[65]")
        self._view: Any = ffi.buffer(self._signature)
        self._parity: Any = ffi.new("int *")
        public = ffi.new("secp256k1_pubkey *")
        if not lib.secp256k1_ec_pubkey_create(self._context, public, self._secret):
            raise ValueError("a private key is a scalar in [1, n-1]")
        self.address = to_checksum(_address_of(PublicKey(public)))

    @classmethod
    def from_hex(cls, text: str) -> SigningKey:
        """Return the key of 64 hex digits, with or without 0x; errors do not repeat the text."""
        try:
            secret = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            raise ValueError("a private key is 64 hex digits") from None
        return cls(secret)

    def sign(self, digest: Any) -> bytes:
        """Return the 65-byte signature r‖s‖v of a 32-byte digest. Hot path.

        digest: bytes, or a cffi pointer to 32 bytes made once with `pointer_to`. v is 27 or 28.
        """
        if not lib.secp256k1_ecdsa_sign_recoverable(
            self._context, self._raw, digest, self._secret, ffi.NULL, ffi.NULL
        ):
            raise RuntimeError("libsecp256k1 could not sign")
        lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(
            self._context, self._signature, self._parity, self._raw
        )
        self._signature[64] = V_OFFSET + self._parity[0]
        return bytes(self._view)

    def times_secret(self, factor: int) -> int:
        """Return factor · secret mod n: the share of a signature that waits for no message."""
        return factor * int.from_bytes(ffi.buffer(self._secret), "big") % GROUP_ORDER

    def wipe(self) -> None:
        """Overwrite the secret; any later signing fails."""
        ffi.memmove(self._secret, bytes(SECRET_BYTES), SECRET_BYTES)

    def __repr__(self) -> str:
        return f"SigningKey({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key does not leave its process")


def pointer_to(buffer: Any) -> Any:
    """Return a cffi pointer to a writable buffer's bytes, for `sign` to read again and again."""
    return ffi.from_buffer("unsigned char[]", buffer)


def point_of(scalar: int) -> tuple[int, int]:
    """Return x and y of scalar · G; ValueError for a scalar outside [1, n-1]."""
    point = PublicKey.from_secret(scalar.to_bytes(SECRET_BYTES, "big")).format(compressed=False)
    return int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")


def recover_address(digest: bytes, signature: bytes) -> str:
    """Return the checksummed address that made a signature; errors as of `recover`."""
    return to_checksum(recover(digest, signature))


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that made a 65-byte signature over a 32-byte digest.

    Raises ValueError for anything that no key can have signed: wrong length, v, r or s.
    """
    if len(digest) != 32 or len(signature) != SIGNATURE_BYTES:
        raise ValueError(
            f"a digest is 32 bytes and a signature 65: digest={len(digest)}, "
            f"signature={len(signature)}"
        )
    parity = signature[64] - V_OFFSET
    if parity not in (0, 1):
        raise ValueError(f"the last byte of a signature is 27 or 28: v={signature[64]}")
    if int.from_bytes(signature[32:64], "big") > S_MAX:
        raise ValueError("the s of a signature is in the lower half of the group")
    try:
        public = PublicKey.from_signature_and_message(
            signature[:64] + bytes((parity,)), digest, hasher=None
        )
    except Exception:  # noqa: BLE001  coincurve raises bare Exception for an impossible r or s
        raise ValueError("no key can have made this signature") from None
    return _address_of(public)


def _address_of(public: PublicKey) -> bytes:
    return keccak256(public.format(compressed=False)[1:])[-ADDRESS_BYTES:]
