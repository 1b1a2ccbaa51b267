"""Proving who we are: L1 by the wallet's signature, L2 by HMAC with the API key's secret, and to
the relayer by a key of its own or as a builder.

Both directions live here, so that what signs and what verifies cannot drift apart.
L2 signs `timestamp + METHOD + path + body`: seconds, no separators, no query, exact body bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

from signer.ecdsa import SigningKey
from signer.ecdsa import recover_address as recover_address  # the verifier's other half
from signer.eip712 import Domain, address_word, hash_struct, hash_text, typed_digest, uint_word

CLOB_AUTH_DOMAIN_NAME = "ClobAuthDomain"
CLOB_AUTH_MESSAGE = "This message attests that I control the given wallet"
CLOB_AUTH_TYPE_HASH = hash_text(
    "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
)
_BLOCK_BYTES = 64


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """An L2 key set. Only the public part shows in a repr."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


def clob_auth_struct_hash(address: str, timestamp_s: int, nonce: int) -> bytes:
    """Return the struct hash of an L1 attestation."""
    return hash_struct(
        CLOB_AUTH_TYPE_HASH,
        [
            address_word(address),
            hash_text(str(timestamp_s)),
            uint_word(nonce),
            hash_text(CLOB_AUTH_MESSAGE),
        ],
    )


def clob_auth_digest(address: str, chain_id: int, timestamp_s: int, nonce: int) -> bytes:
    """Return the 32 bytes a wallet signs to create or derive API keys."""
    domain = Domain(CLOB_AUTH_DOMAIN_NAME, "1", chain_id, None)
    return typed_digest(domain.separator(), clob_auth_struct_hash(address, timestamp_s, nonce))


def l1_headers(key: SigningKey, chain_id: int, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
    """Return the four L1 headers."""
    digest = clob_auth_digest(key.address, chain_id, timestamp_s, nonce)
    return {
        "POLY_ADDRESS": key.address,
        "POLY_SIGNATURE": "0x" + key.sign(digest).hex(),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_NONCE": str(nonce),
    }


class L2Signer:
    """Signs requests with one API key; the key's two hash states are prepared once."""

    __slots__ = ("_inner", "_outer", "address", "credentials")

    def __init__(self, credentials: ApiCredentials, address: str) -> None:
        """Take the key set and the owner's EOA address; ValueError for a secret not base64."""
        key = decode_secret(credentials.secret)
        if len(key) > _BLOCK_BYTES:
            key = hashlib.sha256(key).digest()
        key = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        self.credentials = credentials
        self.address = address

    def sign(self, message: bytes) -> bytes:
        """Return the 44 base64 bytes that sign `timestamp + METHOD + path + body`. Hot path."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return binascii.b2a_base64(outer.digest(), newline=False).translate(_URL_SAFE)

    def headers(
        self, timestamp_s: int, method: str, path: str, body: bytes = b""
    ) -> dict[str, str]:
        """Return the five L2 headers of a request. path: the route only, without host and query."""
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": self.sign(l2_message(timestamp_s, method, path, body)).decode(),
            "POLY_TIMESTAMP": str(timestamp_s),
            "POLY_API_KEY": self.credentials.key,
            "POLY_PASSPHRASE": self.credentials.passphrase,
        }

    def __repr__(self) -> str:
        return f"L2Signer({self.address}, key={self.credentials.key})"


def builder_headers(
    credentials: ApiCredentials, timestamp_s: int, method: str, path: str, body: bytes = b""
) -> dict[str, str]:
    """Return the four headers of a builder: the L2 recipe under names of its own, no address."""
    signature = L2Signer(credentials, "").sign(l2_message(timestamp_s, method, path, body))
    return {
        "POLY_BUILDER_API_KEY": credentials.key,
        "POLY_BUILDER_PASSPHRASE": credentials.passphrase,
        "POLY_BUILDER_TIMESTAMP": str(timestamp_s),
        "POLY_BUILDER_SIGNATURE": signature.decode(),
    }


def relayer_headers(api_key: str, address: str) -> dict[str, str]:
    """Return the two headers of a relayer key; address: the key's owner."""
    return {"RELAYER_API_KEY": api_key, "RELAYER_API_KEY_ADDRESS": address}


def l2_message(timestamp_s: int, method: str, path: str, body: bytes) -> bytes:
    """Return the bytes an L2 signature covers."""
    return f"{timestamp_s}{method}{path}".encode() + body


def verify_l2(signature: str, secret: str, message: bytes) -> bool:
    """Return whether `signature` is the L2 signature of `message`, compared in constant time."""
    expected = base64.urlsafe_b64encode(hmac.digest(decode_secret(secret), message, "sha256"))
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogateescape"))


def verify_l1(address: str, signature: str, chain_id: int, timestamp_s: int, nonce: int) -> bool:
    """Return whether `address` made this L1 signature; False for anything malformed."""
    try:
        digest = clob_auth_digest(address, chain_id, timestamp_s, nonce)
        recovered = recover_address(digest, bytes.fromhex(signature.removeprefix("0x")))
    except ValueError:
        return False
    return recovered.lower() == address.lower()


def decode_secret(secret: str) -> bytes:
    """Return the bytes of a url-safe base64 secret, padded or not; the text is not in errors."""
    try:
        return base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except ValueError:
        raise ValueError("an API secret is url-safe base64") from None


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
