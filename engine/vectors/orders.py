"""Signed orders of all generations: `orders_v1`, `orders_v2`, `orders_v3`.

An order is built from what a trader says (key, funder, side, tick, price, size); only what is
chance or somebody else's is taken from the file: salt, timestamp, token, metadata, builder, owner.
The amounts that are signed are the file's: some are what binary floats made of the trader's, and
those are compared with `decimal_amounts` apart.

Generations 2 and 3 are signed twice: by the plain encoder, and by the templates of the hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from engine.vectors.case import Case, Fact, Row, VectorFileError, cases_of, sections_of
from engine.vectors.values import hex_bytes, hex_text, integer, member, micros
from engine.wire.codes import Side, Tif
from signer import order_v1, order_v2, poly1271
from signer.amounts import Amounts, limit_amounts, market_amounts
from signer.contracts import Generation, exchange_domain
from signer.ecdsa import SIGNATURE_BYTES, SigningKey, recover_address
from signer.eip712 import Domain, hash_text
from signer.templates import OrderTemplate
from signer.wallets import SignatureType, Wallet

_TEMPLATE_MAX = (1 << 63) - 1  # templates write the low 8 bytes of a word


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each order, and one for the contract's own test where the file quotes it."""
    found = sections_of(document, ("vectors", "contract_baseline"))
    if "vectors" in found:
        yield from cases_of(document, "vectors", _facts)
    if "contract_baseline" in found:
        baseline = document["contract_baseline"]
        if not isinstance(baseline, dict):
            raise VectorFileError("contract_baseline is an object")
        yield Case("contract_baseline", lambda: _baseline_facts(baseline))


def _facts(row: Row) -> Iterable[Fact]:
    generation = Generation(row["version"])
    key = SigningKey.from_hex(row["private_key"])
    wallet = Wallet.of(key, row["signature_type"], row["funder"])
    domain = exchange_domain(generation, row["chain_id"], row["neg_risk"])
    yield "exchange", row["exchange"], domain.contract
    yield "domain_separator", row["domain_separator"], hex_text(domain.separator())
    order = row["order"]
    side = member(Side, row["side"])
    yield "order.maker", order["maker"], wallet.maker
    yield "order.signer", order["signer"], wallet.signer
    yield "order.side", order["side"], int(side)
    yield "order.signatureType", order["signatureType"], int(wallet.signature_type)
    yield from _amount_facts(row, side)
    if generation is Generation.V1:
        yield from _facts_v1(row, wallet, side, domain)
    else:
        yield "domain_version", row["domain_version"], domain.version
        yield from _facts_v2(row, wallet, side, domain)


def _amount_facts(row: Row, side: Side) -> Iterable[Fact]:
    price, tick = micros(row["price"]), micros(row["tick_size"])
    if row["kind"] == "limit":
        exact = limit_amounts(side, price, micros(row["size"]), tick)
    elif row["kind"] == "market":
        exact = market_amounts(side, price, micros(row["amount"]), tick, taker_unit=1)
    else:
        raise ValueError(f"an order is limit or market: kind={row['kind']!r:.80}")
    expected = Amounts(*(integer(amount) for amount in row["decimal_amounts"]))
    yield "decimal_amounts", expected, exact
    signed = Amounts(integer(row["order"]["makerAmount"]), integer(row["order"]["takerAmount"]))
    yield "amounts_agree", row["amounts_agree"], signed == exact


def _facts_v1(row: Row, wallet: Wallet, side: Side, domain: Domain) -> Iterable[Fact]:
    fields = row["order"]
    order = order_v1.OrderV1(
        salt=integer(fields["salt"]),
        maker=wallet.maker,
        signer=wallet.signer,
        token_id=integer(fields["tokenId"]),
        maker_amount=integer(fields["makerAmount"]),
        taker_amount=integer(fields["takerAmount"]),
        side=side,
        signature_type=wallet.signature_type,
        expires_s=integer(fields["expiration"]),
        nonce=integer(fields["nonce"]),
        fee_rate_bps=integer(fields["feeRateBps"]),
        taker=fields["taker"],
    )
    digest = order_v1.order_hash(order, domain.separator())
    signature = wallet.key.sign(digest)
    yield "struct_hash", row["struct_hash"], hex_text(order_v1.struct_hash(order))
    yield "order_hash", row["order_hash"], hex_text(digest)
    yield "signature", row["signature"], hex_text(signature)
    yield "signer recovered", wallet.key.address, recover_address(digest, signature)
    posted = orjson.loads(row["post_body"])
    post_only = row.get("post_only", posted["postOnly"])
    tif = member(Tif, row["order_type"])
    body = order_v1.body(order, signature, posted["owner"], tif, post_only=post_only)
    yield "post_body", row["post_body"], body.decode()


def _facts_v2(row: Row, wallet: Wallet, side: Side, domain: Domain) -> Iterable[Fact]:
    order = _order_v2(row["order"], wallet.maker, wallet.signer, side, wallet.signature_type)
    separator = domain.separator()
    contents = order_v2.struct_hash(order)
    digest = order_v2.order_hash(order, separator)
    signature = _sign(order, wallet, domain)
    yield "struct_hash", row["struct_hash"], hex_text(contents)
    yield "order_hash", row["order_hash"], hex_text(digest)
    yield "signature", row["signature"], hex_text(signature)
    if "poly1271" in row:
        yield from _poly1271_facts(row["poly1271"], signature, domain, wallet)
    owner = orjson.loads(row["post_body"])["owner"]
    tif, expires_s = member(Tif, row["order_type"]), integer(row["expiration"])
    post_only = row["post_only"]
    body = order_v2.body(
        order,
        signature,
        owner,
        tif,
        expires_s=expires_s,
        post_only=post_only,
        defer_exec=row["defer_exec"],
    )
    yield "post_body", row["post_body"], body.decode()
    unified = _unified(orjson.loads(body))
    yield "post_body_unified", orjson.loads(row["post_body_unified"]), unified
    changing = (order.salt, order.maker_amount, order.taker_amount, order.timestamp_ms)
    if max(changing) <= _TEMPLATE_MAX:
        template = OrderTemplate(
            wallet,
            domain,
            order.token_id,
            side,
            owner,
            metadata=order.metadata,
            builder=order.builder,
        )
        hot = template.sign(*changing, expires_s, tif, int(post_only))
        plain = order_v2.body(
            order, signature, owner, tif, expires_s=expires_s, post_only=post_only
        )
        yield "order_hash of the template", row["order_hash"], hex_text(hot.order_hash)
        yield "post_body of the template", plain.decode(), hot.body.decode()


def _order_v2(
    fields: Row, maker: str, signer: str, side: int, signature_type: int
) -> order_v2.Order:
    return order_v2.Order(
        salt=integer(fields["salt"]),
        maker=maker,
        signer=signer,
        token_id=integer(fields["tokenId"]),
        maker_amount=integer(fields["makerAmount"]),
        taker_amount=integer(fields["takerAmount"]),
        side=side,
        signature_type=signature_type,
        timestamp_ms=integer(fields["timestamp"]),
        metadata=_word(fields["metadata"]),
        builder=_word(fields["builder"]),
    )


def _word(text: str) -> bytes:
    word = hex_bytes(text)
    if len(word) != len(order_v2.ZERO_WORD):
        raise ValueError(f"a word has 32 bytes: value={text!r:.80}")
    return word


def _sign(order: order_v2.Order, wallet: Wallet, domain: Domain) -> bytes:
    """Return the signature by the plain encoder, checked by recovering who made it."""
    separator, contents = domain.separator(), order_v2.struct_hash(order)
    is_deposit_wallet = wallet.signature_type is SignatureType.POLY_1271
    if is_deposit_wallet:
        digest = poly1271.wallet_digest(separator, contents, domain.chain_id, order.maker)
    else:
        digest = order_v2.order_hash(order, separator)
    signature = wallet.key.sign(digest)
    if recover_address(digest, signature) != wallet.key.address:
        raise ValueError("a signature does not recover to its key")
    return (
        poly1271.wrap_signature(signature, separator, contents) if is_deposit_wallet else signature
    )


def _poly1271_facts(parts: Row, signature: bytes, domain: Domain, wallet: Wallet) -> Iterable[Fact]:
    """The parts of the wallet's 317 bytes, cut where the file's layout says."""
    start = SIGNATURE_BYTES
    type_bytes = len(signature) - start - 64 - 2
    yield "poly1271.total_bytes", parts["total_bytes"], len(signature)
    yield "poly1271.inner_signature", parts["inner_signature"], hex_text(signature[:start])
    app = hex_text(signature[start : start + 32])
    yield "poly1271.app_domain_separator", parts["app_domain_separator"], app
    contents = hex_text(signature[start + 32 : start + 64])
    yield "poly1271.contents_hash", parts["contents_hash"], contents
    yield "poly1271.contents_type", parts["contents_type"], signature[-2 - type_bytes : -2].decode()
    length = int.from_bytes(signature[-2:], "big")
    yield "poly1271.contents_type_length", parts["contents_type_length"], length
    own = parts["wallet_domain"]
    name, version = hash_text(own["name"]), hash_text(own["version"])
    yield "hash of wallet_domain.name", hex_text(name), hex_text(poly1271.WALLET_NAME_HASH)
    yield "hash of wallet_domain.version", hex_text(version), hex_text(poly1271.WALLET_VERSION_HASH)
    yield "wallet_domain.chainId", own["chainId"], domain.chain_id
    yield "wallet_domain.verifyingContract", own["verifyingContract"], wallet.maker
    yield "wallet_domain.salt", own["salt"], hex_text(order_v2.ZERO_WORD)


def _unified(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body's content as the unified client sends it."""
    content = {**body, "deferExec": False}
    if not content["postOnly"]:
        del content["postOnly"]
    return content


def _baseline_facts(row: Row) -> Iterable[Fact]:
    """The struct hash that the exchange contract's own test fixes: no wallet, no signature."""
    fields = row["order"]
    order = _order_v2(
        fields, fields["maker"], fields["signer"], fields["side"], fields["signatureType"]
    )
    yield "struct_hash", row["struct_hash"], hex_text(order_v2.struct_hash(order))
