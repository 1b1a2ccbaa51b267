"""Orders encoded ahead: to sign one, only the words that change are written.

A template is made once for a wallet, a token and a side. Its buffer holds everything that is
hashed, in place:

```
 0                     384              450         482                706               772    804
 +---------------------+----------------+-----------+------------------+-----------------+------+
 | type hash, 11 words | 1901 ‖ domain  | order     | TypedDataSign,   | 1901 ‖ domain ‖ | what |
 | of the order        | ‖ struct hash  | hash      | 7 words          | its hash        | signs|
 +---------------------+----------------+-----------+------------------+-----------------+------+
   384                   66               32          224                66                32
```
The last three parts matter for deposit wallets only; for all others the order hash is signed.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import numba as nb
import numpy as np

from engine.wire.codes import Tif
from signer import order_v2, poly1271
from signer.ecdsa import pointer_to
from signer.eip712 import Domain
from signer.keccak import STATE_WORDS, keccak256_into
from signer.order_v2 import ZERO_WORD, Order
from signer.wallets import SignatureType, Wallet

_ENVELOPE = 384
_STRUCT_HASH = _ENVELOPE + 34
_ORDER_HASH = _ENVELOPE + 66
_WRAPPED = _ORDER_HASH + 32
_WRAPPED_BYTES = 224
_WALLET_ENVELOPE = _WRAPPED + _WRAPPED_BYTES
_WALLET_DIGEST = _WALLET_ENVELOPE + 66
_BUFFER_BYTES = _WALLET_DIGEST + 32
# Where the low 8 bytes of the changing words are. All values fit 63 bits.
_SALT, _MAKER_AMOUNT, _TAKER_AMOUNT, _TIMESTAMP = (32 * word + 24 for word in (1, 5, 6, 9))


class Rung(IntEnum):
    """How an order came to its signature, from the dearest way to the cheapest."""

    FULL = 0  # RFC 6979, when it was asked for: equal orders have equal bytes
    NONCE = 1  # with a nonce made ahead: the same order and id, another signature
    AHEAD = 2  # before it was asked for: with a salt and a timestamp of its own


# A member of an enum is looked up through its class, which costs more than hashing a word does.
_FULL, _NONCE = Rung.FULL, Rung.NONCE


# Whole requests of one order, each good in one second of the venue's clock only: by that second.
Requests: TypeAlias = Mapping[int, bytes]
NO_REQUESTS: Requests = MappingProxyType({})


class SignedOrder(NamedTuple):
    """An order ready to send: its id, 32 bytes, and the exact body of `POST /order`.

    signature: what the body carries in hex, 65 bytes or a deposit wallet's 317.
    requests: those that idle time has written around the body.
    """

    order_hash: bytes
    body: bytes
    signature: bytes
    rung: Rung
    requests: Requests = NO_REQUESTS


class Signatures(Protocol):
    """What may have a signature ready sooner than the curve has: a pool of nonces."""

    def sign(self, digest: Any) -> bytes | None:
        """Return the 65-byte signature of a digest, or None. Hot path."""
        ...


@nb.njit("void(uint8[::1], int64, int64)", cache=True, nogil=True, _nrt=False)
def _write_word(buffer: Any, at: Any, value: Any) -> None:
    for index in range(8):
        buffer[at + index] = (value >> (56 - 8 * index)) & 0xFF


@nb.njit(
    "void(uint8[::1], uint64[::1], int64, int64, int64, int64, boolean)",
    cache=True,
    nogil=True,
    _nrt=False,
)
def hash_order(
    buffer: Any,
    state: Any,
    salt: Any,
    maker_amount: Any,
    taker_amount: Any,
    timestamp_ms: Any,
    is_deposit_wallet: Any,
) -> None:
    """Write the changing words of an order and hash it in place. Hot path.

    buffer: uint8[804] as drawn above. state: uint64[30], scratch.
    """
    _write_word(buffer, _SALT, salt)
    _write_word(buffer, _MAKER_AMOUNT, maker_amount)
    _write_word(buffer, _TAKER_AMOUNT, taker_amount)
    _write_word(buffer, _TIMESTAMP, timestamp_ms)
    keccak256_into(buffer, 0, _ENVELOPE, buffer, _STRUCT_HASH, state)
    keccak256_into(buffer, _ENVELOPE, 66, buffer, _ORDER_HASH, state)
    if is_deposit_wallet:
        for index in range(32):
            buffer[_WRAPPED + 32 + index] = buffer[_STRUCT_HASH + index]
        keccak256_into(buffer, _WRAPPED, _WRAPPED_BYTES, buffer, _WALLET_ENVELOPE + 34, state)
        keccak256_into(buffer, _WALLET_ENVELOPE, 66, buffer, _WALLET_DIGEST, state)


class OrderTemplate:
    """The orders of one wallet on one side of one token."""

    __slots__ = (
        "_bodies",
        "_buffer",
        "_digest",
        "_is_deposit_wallet",
        "_key",
        "_nonces",
        "_order_hash",
        "_proof",
        "_signed",
        "_state",
    )

    def __init__(
        self,
        wallet: Wallet,
        domain: Domain,
        token_id: int,
        side: int,
        owner: str,
        *,
        metadata: bytes = ZERO_WORD,
        builder: bytes = ZERO_WORD,
        nonces: Signatures | None = None,
    ) -> None:
        """Encode everything that stays. owner: the API key. metadata: a word of the owner's, 32
        bytes; trading needs none. builder: a builder code, 32 bytes.

        nonces: of the wallet's key; while there are any, each signature takes one. Cold path: some
        tens of microseconds.
        """
        order = Order(
            salt=0,
            maker=wallet.maker,
            signer=wallet.signer,
            token_id=token_id,
            maker_amount=0,
            taker_amount=0,
            side=side,
            signature_type=wallet.signature_type,
            timestamp_ms=0,
            metadata=metadata,
            builder=builder,
        )
        self._key = wallet.key
        self._nonces = nonces
        separator = domain.separator()
        self._is_deposit_wallet = wallet.signature_type is SignatureType.POLY_1271
        self._bodies = tuple(
            order_v2.body_template(order, owner, tif, post_only=bool(post_only))
            for tif in Tif
            for post_only in (False, True)
        )
        self._buffer = _encode(order, separator, domain.chain_id)
        self._state = np.zeros(STATE_WORDS, np.uint64)
        digest = _WALLET_DIGEST if self._is_deposit_wallet else _ORDER_HASH
        self._signed = pointer_to(self._buffer[digest : digest + 32])
        view = self._buffer.data
        self._digest = view[digest : digest + 32]
        self._order_hash = view[_ORDER_HASH : _ORDER_HASH + 32]
        # Separator and struct hash stand side by side, as a deposit wallet's signature has them.
        self._proof = view[_STRUCT_HASH - 32 : _STRUCT_HASH + 32]

    def sign(
        self,
        salt: int,
        maker_amount: int,
        taker_amount: int,
        timestamp_ms: int,
        expires_s: int,
        tif: int,
        post_only: int,
        *,
        is_ahead: bool = False,
    ) -> SignedOrder:
        """Return the signed order. Hot path. Amounts in micros, salt below 2^53.

        is_ahead: nobody waits for it, so no nonce is spent on it.
        """
        hash_order(
            self._buffer,
            self._state,
            salt,
            maker_amount,
            taker_amount,
            timestamp_ms,
            self._is_deposit_wallet,
        )
        rung, nonces = _NONCE, self._nonces
        if is_ahead or nonces is None or (signature := nonces.sign(self._digest)) is None:
            rung, signature = _FULL, self._key.sign(self._signed)
        if self._is_deposit_wallet:
            signature = signature + self._proof + poly1271.ORDER_TYPE_TAIL
        return SignedOrder(
            bytes(self._order_hash),
            self._bodies[tif << 1 | post_only]
            % (salt, maker_amount, taker_amount, expires_s, timestamp_ms, hexlify(signature)),
            signature,
            rung,
        )


def _encode(order: Order, separator: bytes, chain_id: int) -> np.ndarray:
    envelope = b"\x19\x01" + separator + ZERO_WORD
    wrapped = poly1271.wrapped_words(ZERO_WORD, chain_id, order.maker)
    text = order_v2.order_words(order) + envelope + ZERO_WORD + wrapped + envelope + ZERO_WORD
    assert len(text) == _BUFFER_BYTES
    return np.frombuffer(bytearray(text), np.uint8)
