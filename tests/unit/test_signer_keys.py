"""Keys sign and stay secret; signatures have exactly one form."""

from __future__ import annotations

import copy
import pickle

import pytest
from eth_account import Account
from eth_hash.auto import keccak as oracle_keccak

from signer.address import parse_address, to_checksum
from signer.auth import ApiCredentials, L2Signer
from signer.ecdsa import SigningKey, recover_address
from signer.keccak import RATE_BYTES, keccak256
from signer.wallets import SignatureType, Wallet

SECRET = "42" * 32
GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
DIGEST = bytes(range(32))


@pytest.mark.parametrize(
    "length", [0, 1, RATE_BYTES - 1, RATE_BYTES, RATE_BYTES + 1, 2 * RATE_BYTES, 1_000]
)
def test_keccak_pads_at_every_block_boundary(length: int) -> None:
    """Ours equals the reference library's around each multiple of the rate."""
    data = bytes(index % 251 for index in range(length))
    assert keccak256(data) == oracle_keccak(data)


def test_a_key_never_shows_its_secret() -> None:
    """Not in a repr, not in a copy or a pickle, not in an error about a bad one."""
    key = SigningKey.from_hex(SECRET)
    assert SECRET not in repr(key)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="does not leave"):
            leak(key)
    bad = "zz" + SECRET[2:]
    with pytest.raises(ValueError, match="64 hex digits") as caught:
        SigningKey.from_hex(bad)
    assert bad not in str(caught.value)
    credentials = ApiCredentials("key", "c2VjcmV0", "phrase")
    for shown in (repr(credentials), repr(L2Signer(credentials, key.address))):
        assert "c2VjcmV0" not in shown
        assert "phrase" not in shown


@pytest.mark.parametrize("secret", ["", "00" * 32, "42" * 31, "42" * 33, "ff" * 32])
def test_what_is_no_scalar_is_no_key(secret: str) -> None:
    """Zero, values beyond the group and wrong lengths are refused."""
    with pytest.raises(ValueError, match="private key"):
        SigningKey.from_hex(secret)


def test_a_wiped_key_signs_nothing() -> None:
    """After wipe() the scalar is gone."""
    key = SigningKey.from_hex(SECRET)
    key.wipe()
    with pytest.raises(RuntimeError):
        key.sign(DIGEST)


def test_addresses_are_those_of_eth_account() -> None:
    """Checksummed text, from and to 20 bytes."""
    address = Account.from_key("0x" + SECRET).address
    assert SigningKey.from_hex("0x" + SECRET).address == address
    assert to_checksum(parse_address(address.lower())) == address
    for text in ("", address[:-1], address + "0", "0X" + address[2:], "0x" + "g" * 40):
        with pytest.raises(ValueError, match="40 hex digits"):
            parse_address(text)


def test_a_signature_recovers_in_its_one_form_only() -> None:
    """The mirrored s, a raw parity byte, wrong lengths and impossible values are all refused."""
    key = SigningKey.from_hex(SECRET)
    signature = key.sign(DIGEST)
    assert recover_address(DIGEST, signature) == key.address
    s = int.from_bytes(signature[32:64], "big")
    mirrored = signature[:32] + (GROUP_ORDER - s).to_bytes(32, "big") + bytes([55 - signature[64]])
    forged = [
        mirrored,
        signature[:64] + bytes([signature[64] - 27]),
        signature[:64],
        signature + b"\0",
        bytes(65),
        b"\xff" * 64 + b"\x1b",
        bytes(64) + b"\x1b",
    ]
    for bad in forged:
        with pytest.raises(ValueError, match=r"signature|key"):
            recover_address(DIGEST, bad)


def test_a_wallet_knows_who_signs() -> None:
    """Only a deposit wallet is its own signer, and only an EOA must fund itself."""
    key = SigningKey.from_hex(SECRET)
    other = to_checksum(bytes(range(20)))
    assert Wallet.of(key, 0, key.address.lower()).maker == key.address
    assert Wallet.of(key, SignatureType.POLY_PROXY, other).signer == key.address
    assert Wallet.of(key, SignatureType.POLY_1271, other).signer == other
    with pytest.raises(ValueError, match="its own funder"):
        Wallet.of(key, 0, other)
    with pytest.raises(ValueError, match="9"):
        Wallet.of(key, 9, other)
