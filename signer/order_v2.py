"""Orders of generations 2 and 3: what is hashed, what is signed, what is sent.

Both generations sign the same eleven fields; only the domain differs. `expiration`, the order type,
`postOnly`, `deferExec` and the owner travel in the body unsigned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.wire.codes import Side, Tif
from signer.address import parse_address
from signer.eip712 import address_word, hash_text, typed_digest, uint_word
from signer.keccak import keccak256

ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    "uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,"
    "bytes32 builder)"
)
ORDER_TYPE_HASH = hash_text(ORDER_TYPE)
ZERO_WORD = bytes(32)
SALT_MAX = (1 << 53) - 1  # the body carries the salt as a JSON number


@dataclass(frozen=True, slots=True)
class Order:
    """The signed fields. Amounts are micros: of pUSD what a buyer pays, of shares what he gets."""

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    timestamp_ms: int
    metadata: bytes = ZERO_WORD
    builder: bytes = ZERO_WORD


def order_words(order: Order) -> bytes:
    """Return what is hashed of an order: its type hash and its fields, 12 words of 32 bytes."""
    return b"".join(
        (
            ORDER_TYPE_HASH,
            uint_word(order.salt),
            address_word(order.maker),
            address_word(order.signer),
            uint_word(order.token_id),
            uint_word(order.maker_amount),
            uint_word(order.taker_amount),
            uint_word(order.side),
            uint_word(order.signature_type),
            uint_word(order.timestamp_ms),
            order.metadata,
            order.builder,
        )
    )


def struct_hash(order: Order) -> bytes:
    """Return the 32-byte struct hash of an order, the same under every domain."""
    return keccak256(order_words(order))


def order_hash(order: Order, separator: bytes) -> bytes:
    """Return the 32-byte digest of an order: what an EOA signs, and the venue's order id."""
    return typed_digest(separator, struct_hash(order))


def body(
    order: Order,
    signature: bytes,
    owner: str,
    tif: int,
    *,
    expires_s: int = 0,
    post_only: bool = False,
    defer_exec: bool = False,
) -> bytes:
    """Return the exact bytes of `POST /order`: compact JSON in the official client's key order.

    owner: the API key. expires_s: epoch seconds, 0 unless GTD.
    """
    return body_template(order, owner, tif, post_only=post_only, defer_exec=defer_exec) % (
        order.salt,
        order.maker_amount,
        order.taker_amount,
        expires_s,
        order.timestamp_ms,
        signature.hex().encode(),
    )


def body_template(
    order: Order, owner: str, tif: int, *, post_only: bool = False, defer_exec: bool = False
) -> bytes:
    """Return the body with `%` places for what changes from one order to the next.

    In order: salt, maker amount, taker amount, expiry in seconds, timestamp in milliseconds (each
    `%d`) and the signature's hex digits (`%b`). Everything else is taken from the arguments.
    """
    return (
        '{"order":{"salt":%d,'
        f'"maker":"{order.maker}","signer":"{order.signer}","tokenId":"{order.token_id}",'
        '"makerAmount":"%d","takerAmount":"%d",'
        f'"side":"{Side(order.side).name}",'
        '"expiration":"%d",'
        f'"signatureType":{order.signature_type},'
        '"timestamp":"%d",'
        f'"metadata":"0x{order.metadata.hex()}","builder":"0x{order.builder.hex()}",'
        '"signature":"0x%b"},'
        f'"owner":"{owner}","orderType":"{Tif(tif).name}",'
        f'"deferExec":{_json_bool(defer_exec)},"postOnly":{_json_bool(post_only)}}}'
    ).encode()


def order_from_json(fields: Mapping[str, Any]) -> Order:
    """Return the signed fields of a body's `order` object: the verifier's way in.

    Raises ValueError naming the first field that is missing or malformed; no other error, whatever
    the JSON held.
    """
    side = _field(fields, "side")
    if side not in ("BUY", "SELL"):
        raise ValueError(f"a side is BUY or SELL: side={side!r}")
    return Order(
        salt=_number(fields, "salt"),
        maker=_address(fields, "maker"),
        signer=_address(fields, "signer"),
        token_id=_decimal(fields, "tokenId"),
        maker_amount=_decimal(fields, "makerAmount"),
        taker_amount=_decimal(fields, "takerAmount"),
        side=Side[side],
        signature_type=_number(fields, "signatureType"),
        timestamp_ms=_decimal(fields, "timestamp"),
        metadata=_word(fields, "metadata"),
        builder=_word(fields, "builder"),
    )


def _json_bool(value: bool) -> str:
    return "true" if value else "false"


def _field(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise ValueError(f"an order has the field {name}")
    return fields[name]


def _number(fields: Mapping[str, Any], name: str) -> int:
    value = _field(fields, name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SALT_MAX:
        raise ValueError(f"{name} is a JSON integer below 2^53: {name}={value!r}")
    return value


def _decimal(fields: Mapping[str, Any], name: str) -> int:
    value = _field(fields, name)
    # 78 digits hold any uint256, and bound the work an attacker can ask for.
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 78:
        raise ValueError(f"{name} is a string of decimal digits: {name}={value!r:.100}")
    number = int(value)
    uint_word(number)
    return number


def _address(fields: Mapping[str, Any], name: str) -> str:
    value = _field(fields, name)
    parse_address(value)
    return str(value)


def _word(fields: Mapping[str, Any], name: str) -> bytes:
    value = _field(fields, name)
    if not isinstance(value, str) or len(value) != 66 or value[:2] != "0x":
        raise ValueError(f"{name} is 0x and 64 hex digits: {name}={value!r:.100}")
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise ValueError(f"{name} is 0x and 64 hex digits: {name}={value!r}") from None
