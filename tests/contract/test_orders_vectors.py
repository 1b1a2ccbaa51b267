"""Our orders equal the official clients', byte for byte (golden vectors, read at run time)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.wire.codes import Side, Tif
from signer import order_v1, order_v2, poly1271
from signer.amounts import CENT, MARKET_TAKER_UNIT, is_on_tick, limit_amounts, market_amounts
from signer.contracts import exchange_domain, is_position_id
from signer.ecdsa import SigningKey, recover_address
from signer.eip712 import Domain


def micros(text: str) -> int:
    """A decimal text in micros, rounded down: sizes are cut to two decimals anyway."""
    whole, _, part = text.partition(".")
    return int(whole) * 1_000_000 + int(part[:6].ljust(6, "0"))


def load(shared_dir: Path, name: str) -> dict[str, Any]:
    """One vector file."""
    return json.loads((shared_dir / "vectors" / name).read_text())


def order_v2_of(fields: dict[str, Any]) -> order_v2.Order:
    """The `order` object of a generation 2 or 3 vector."""
    return order_v2.Order(
        salt=int(fields["salt"]),
        maker=fields["maker"],
        signer=fields["signer"],
        token_id=int(fields["tokenId"]),
        maker_amount=int(fields["makerAmount"]),
        taker_amount=int(fields["takerAmount"]),
        side=fields["side"],
        signature_type=fields["signatureType"],
        timestamp_ms=int(fields["timestamp"]),
        metadata=bytes.fromhex(fields["metadata"][2:]),
        builder=bytes.fromhex(fields["builder"][2:]),
    )


@pytest.mark.parametrize("generation", [2, 3])
def test_orders_of_generations_2_and_3_equal_the_official_clients(
    shared_dir: Path, generation: int
) -> None:
    """Domain, hash, signature and body are the official bytes for all four signature types."""
    seen = set()
    for vector in load(shared_dir, f"orders_v{generation}.json")["vectors"]:
        where = vector["id"]
        order = order_v2_of(vector["order"])
        key = SigningKey.from_hex(vector["private_key"])
        domain = exchange_domain(generation, vector["chain_id"], vector["neg_risk"])
        separator = domain.separator()
        contents = order_v2.struct_hash(order)
        digest = order_v2.order_hash(order, separator)
        assert domain.contract == vector["exchange"], where
        assert separator.hex() == vector["domain_separator"][2:], where
        assert contents.hex() == vector["struct_hash"][2:], where
        assert digest.hex() == vector["order_hash"][2:], where

        if order.signature_type == 3:
            owner_digest = poly1271.wallet_digest(
                separator, contents, vector["chain_id"], order.maker
            )
            owner_signature = key.sign(owner_digest)
            assert recover_address(owner_digest, owner_signature) == key.address, where
            signature = poly1271.wrap_signature(owner_signature, separator, contents)
            assert len(signature) == poly1271.SIGNATURE_BYTES
        else:
            signature = key.sign(digest)
            assert recover_address(digest, signature) == key.address, where
        assert signature.hex() == vector["signature"][2:], where

        posted = json.loads(vector["post_body"])
        body = order_v2.body(
            order,
            signature,
            posted["owner"],
            Tif[vector["order_type"]],
            expires_s=int(vector["expiration"]),
            post_only=vector["post_only"],
            defer_exec=vector["defer_exec"],
        )
        assert body.decode() == vector["post_body"], where
        assert order_v2.order_from_json(posted["order"]) == order, where
        assert is_position_id(order.token_id) == (generation == 3), where
        seen.add(order.signature_type)
    assert seen == {0, 1, 2, 3}


def test_the_exchange_contracts_own_struct_hash_is_reproduced(shared_dir: Path) -> None:
    """The struct hash fixed in the exchange contract's test is ours."""
    baseline = load(shared_dir, "orders_v3.json")["contract_baseline"]
    order = order_v2_of(baseline["order"])
    assert order_v2.struct_hash(order).hex() == baseline["struct_hash"][2:]


def test_orders_of_generation_1_equal_the_official_client(shared_dir: Path) -> None:
    """Hash, signature and body of the retired generation are the official bytes."""
    for vector in load(shared_dir, "orders_v1.json")["vectors"]:
        fields = vector["order"]
        order = order_v1.OrderV1(
            salt=int(fields["salt"]),
            maker=fields["maker"],
            signer=fields["signer"],
            token_id=int(fields["tokenId"]),
            maker_amount=int(fields["makerAmount"]),
            taker_amount=int(fields["takerAmount"]),
            side=fields["side"],
            signature_type=fields["signatureType"],
            expires_s=int(fields["expiration"]),
            nonce=int(fields["nonce"]),
            fee_rate_bps=int(fields["feeRateBps"]),
            taker=fields["taker"],
        )
        separator = exchange_domain(1, vector["chain_id"], vector["neg_risk"]).separator()
        digest = order_v1.order_hash(order, separator)
        signature = SigningKey.from_hex(vector["private_key"]).sign(digest)
        posted = json.loads(vector["post_body"])
        body = order_v1.body(
            order,
            signature,
            posted["owner"],
            Tif[vector["order_type"]],
            post_only=posted["postOnly"],
        )
        assert digest.hex() == vector["order_hash"][2:], vector["id"]
        assert signature.hex() == vector["signature"][2:], vector["id"]
        assert body.decode() == vector["post_body"], vector["id"]


def test_domain_separators_are_data(shared_dir: Path) -> None:
    """Every published (version, chain, contract) gives its published separator."""
    for name, separator in load(shared_dir, "domain_separators.json")["domains"].items():
        version, chain_id, contract = name.removeprefix("v").split("/")
        domain = Domain("Polymarket CTF Exchange", version, int(chain_id), contract)
        assert domain.separator().hex() == separator[2:], name


def test_limit_amounts_are_the_exact_decimal_ones(shared_dir: Path) -> None:
    """Every row of the limit table, all ticks, both sides, equals its exact-decimal columns."""
    for tick, side, price, size, maker, taker, *_ in load(shared_dir, "amounts_limit.json")["rows"]:
        amounts = limit_amounts(Side[side], micros(price), micros(size), micros(tick))
        assert amounts == (int(maker), int(taker)), (tick, side, price, size)


def test_market_amounts_are_exact_and_keep_the_venues_ceiling(shared_dir: Path) -> None:
    """Every market row equals its exact columns, and floored to four decimals what we send."""
    rows = load(shared_dir, "amounts_market.json")["rows"]
    for tick, side, price, amount, maker, taker, _, _, venue_precision_ok in rows:
        where = (tick, side, price, amount)
        arguments = (Side[side], micros(price), micros(amount), micros(tick))
        assert market_amounts(*arguments, taker_unit=1) == (int(maker), int(taker)), where
        sent = market_amounts(*arguments)
        assert sent.maker % CENT == 0, where
        assert sent.taker % MARKET_TAKER_UNIT == 0, where
        assert sent == (int(maker), int(taker) // 100 * 100), where
        assert venue_precision_ok == (sent.taker == int(taker)), where


def test_the_price_grid_is_the_official_one(shared_dir: Path) -> None:
    """A price is on tick exactly where the official client says so."""
    for tick, price, valid in load(shared_dir, "price_grid.json")["rows"]:
        assert is_on_tick(micros(price), micros(tick)) == valid, (tick, price)
