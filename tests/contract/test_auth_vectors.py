"""Our L1 and L2 headers equal the official clients' (golden vectors, read at run time)."""

from __future__ import annotations

import json
from pathlib import Path

from signer.auth import (
    ApiCredentials,
    L2Signer,
    clob_auth_digest,
    clob_auth_struct_hash,
    l1_headers,
    l2_message,
    verify_l1,
    verify_l2,
)
from signer.ecdsa import SigningKey


def test_l1_headers_equal_the_official_clients(shared_dir: Path) -> None:
    """Struct hash, digest and all four headers are the official ones, and verify as ours."""
    for vector in json.loads((shared_dir / "vectors/auth_l1.json").read_text())["vectors"]:
        key = SigningKey.from_hex(vector["private_key"])
        chain_id, timestamp_s, nonce = vector["chain_id"], vector["timestamp"], vector["nonce"]
        assert key.address == vector["address"]
        headers = l1_headers(key, chain_id, timestamp_s, nonce)
        assert headers == vector["headers"], vector["id"]
        if "digest" in vector:
            struct_hash = clob_auth_struct_hash(key.address, timestamp_s, nonce)
            digest = clob_auth_digest(key.address, chain_id, timestamp_s, nonce)
            assert struct_hash.hex() == vector["struct_hash"][2:], vector["id"]
            assert digest.hex() == vector["digest"][2:], vector["id"]
        signature = headers["POLY_SIGNATURE"]
        assert verify_l1(key.address, signature, chain_id, timestamp_s, nonce)
        assert not verify_l1(key.address, signature, chain_id, timestamp_s + 1, nonce)
        assert not verify_l1(key.address, signature[:-2], chain_id, timestamp_s, nonce)


def test_l2_headers_equal_the_official_clients(shared_dir: Path) -> None:
    """Every signature is the official one, over the exact body bytes, and verifies."""
    for vector in json.loads((shared_dir / "vectors/auth_l2.json").read_text())["vectors"]:
        body = (vector["body"] or "").encode()
        message = l2_message(vector["timestamp"], vector["method"], vector["path"], body)
        assert message.decode() == vector.get("message", message.decode()), vector["id"]
        expected = vector.get("signature") or vector["headers"]["POLY_SIGNATURE"]
        address = "0x" + "00" * 20
        if "private_key" in vector:
            address = SigningKey.from_hex(vector["private_key"]).address
        signer = L2Signer(
            ApiCredentials(
                vector.get("api_key", ""), vector["secret"], vector.get("passphrase", "")
            ),
            address,
        )
        assert signer.sign(message).decode() == expected, vector["id"]
        if "headers" in vector:
            headers = signer.headers(vector["timestamp"], vector["method"], vector["path"], body)
            assert headers == vector["headers"], vector["id"]
        assert verify_l2(expected, vector["secret"], message)
        assert verify_l2(expected, vector["secret"].rstrip("="), message)
        assert not verify_l2(expected, vector["secret"], message + b" ")
