"""Who we are: `auth_l1` (wallet signature) and `auth_l2` (HMAC)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.vectors.case import Case, Fact, Row, cases_of
from engine.vectors.values import hex_text, integer
from signer.address import ZERO_ADDRESS
from signer.auth import (
    CLOB_AUTH_DOMAIN_NAME,
    CLOB_AUTH_MESSAGE,
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
from signer.eip712 import Domain


def l1_cases(document: Row) -> Iterator[Case]:
    """Yield the cases of `auth_l1`."""
    return cases_of(document, "vectors", _l1_facts)


def l2_cases(document: Row) -> Iterator[Case]:
    """Yield the cases of `auth_l2`."""
    return cases_of(document, "vectors", _l2_facts)


def _l1_facts(row: Row) -> Iterable[Fact]:
    key = SigningKey.from_hex(row["private_key"])
    inputs = (integer(row[name]) for name in ("chain_id", "timestamp", "nonce"))
    chain_id, timestamp_s, nonce = inputs
    yield "address", row["address"], key.address
    yield "message", row["message"], CLOB_AUTH_MESSAGE
    hashes = {
        "domain_separator": Domain(CLOB_AUTH_DOMAIN_NAME, "1", chain_id, None).separator(),
        "struct_hash": clob_auth_struct_hash(key.address, timestamp_s, nonce),
        "digest": clob_auth_digest(key.address, chain_id, timestamp_s, nonce),
    }
    for name, got in hashes.items():
        if name in row:  # rows quoted from the official client's tests have headers only
            yield name, row[name], hex_text(got)
    headers = l1_headers(key, chain_id, timestamp_s, nonce)
    yield from _header_facts(row["headers"], headers)
    signature = row["headers"]["POLY_SIGNATURE"]
    yield "verifies", True, verify_l1(key.address, signature, chain_id, timestamp_s, nonce)


def _l2_facts(row: Row) -> Iterable[Fact]:
    timestamp_s, method, path = integer(row["timestamp"]), row["method"], row["path"]
    body = (row["body"] or "").encode()
    message = l2_message(timestamp_s, method, path, body)
    if "message" in row:
        yield "message", row["message"], message.decode()
    if "headers" not in row:  # a signature alone: no wallet, no key
        signer = L2Signer(ApiCredentials("", row["secret"], ""), ZERO_ADDRESS)
        yield "signature", row["signature"], signer.sign(message).decode()
        yield "verifies", True, verify_l2(row["signature"], row["secret"], message)
        return
    credentials = ApiCredentials(row["api_key"], row["secret"], row["passphrase"])
    signer = L2Signer(credentials, SigningKey.from_hex(row["private_key"]).address)
    yield from _header_facts(row["headers"], signer.headers(timestamp_s, method, path, body))
    yield "verifies", True, verify_l2(row["headers"]["POLY_SIGNATURE"], row["secret"], message)


def _header_facts(expected: Row, got: Row) -> Iterable[Fact]:
    for name in sorted({*expected, *got}):
        yield name, expected.get(name), got.get(name)
