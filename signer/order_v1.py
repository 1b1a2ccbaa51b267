"""Orders of generation 1: refused by production since 2026-04-28, kept for old tapes.

Twelve signed fields: the taker, the expiry, the nonce and the fee are part of the signature here.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.wire.codes import Side, Tif
from signer.address import ZERO_ADDRESS
from signer.eip712 import address_word, hash_struct, hash_text, typed_digest, uint_word

ORDER_TYPE_HASH = hash_text(
    "Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,"
    "uint256 makerAmount,uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,"
    "uint8 side,uint8 signatureType)"
)


@dataclass(frozen=True, slots=True)
class OrderV1:
    """The signed fields. Amounts are micros; a zero taker makes the order public."""

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    expires_s: int = 0
    nonce: int = 0
    fee_rate_bps: int = 0
    taker: str = ZERO_ADDRESS


def struct_hash(order: OrderV1) -> bytes:
    """Return the 32-byte struct hash of an order."""
    return hash_struct(
        ORDER_TYPE_HASH,
        [
            uint_word(order.salt),
            address_word(order.maker),
            address_word(order.signer),
            address_word(order.taker),
            uint_word(order.token_id),
            uint_word(order.maker_amount),
            uint_word(order.taker_amount),
            uint_word(order.expires_s),
            uint_word(order.nonce),
            uint_word(order.fee_rate_bps),
            uint_word(order.side),
            uint_word(order.signature_type),
        ],
    )


def order_hash(order: OrderV1, separator: bytes) -> bytes:
    """Return the 32-byte digest of an order: what is signed, and the venue's order id."""
    return typed_digest(separator, struct_hash(order))


def body(
    order: OrderV1, signature: bytes, owner: str, tif: int, *, post_only: bool = False
) -> bytes:
    """Return the exact bytes of `POST /order` as the first official client made them."""
    return (
        f'{{"order":{{"salt":{order.salt},"maker":"{order.maker}","signer":"{order.signer}",'
        f'"taker":"{order.taker}","tokenId":"{order.token_id}",'
        f'"makerAmount":"{order.maker_amount}","takerAmount":"{order.taker_amount}",'
        f'"expiration":"{order.expires_s}","nonce":"{order.nonce}",'
        f'"feeRateBps":"{order.fee_rate_bps}","side":"{Side(order.side).name}",'
        f'"signatureType":{order.signature_type},"signature":"0x{signature.hex()}"}},'
        f'"owner":"{owner}","orderType":"{Tif(tif).name}",'
        f'"postOnly":{"true" if post_only else "false"}}}'
    ).encode()
