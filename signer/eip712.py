"""EIP-712: typed structured data to the one digest that is signed.

A domain is data, not a constant: the venue has had three generations of exchange, and the same
order hashes differently under each. Source: EIP-712; the venue's domain tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from signer.address import parse_address
from signer.keccak import keccak256

WORD_BYTES = 32
UINT256_MAX = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class Domain:
    """Who a signature is meant for. `contract` is None where the domain has no such field."""

    name: str
    version: str
    chain_id: int
    contract: str | None

    def separator(self) -> bytes:
        """Return the 32-byte domain separator."""
        fields = "string name,string version,uint256 chainId"
        words = [hash_text(self.name), hash_text(self.version), uint_word(self.chain_id)]
        if self.contract is not None:
            fields += ",address verifyingContract"
            words.append(address_word(self.contract))
        return hash_struct(hash_text(f"EIP712Domain({fields})"), words)


def hash_text(text: str) -> bytes:
    """Return the 32-byte hash of a string: of a type's text, or of a string field."""
    return keccak256(text.encode())


def uint_word(value: int) -> bytes:
    """Return an unsigned integer as one 32-byte word; ValueError outside uint256."""
    if not 0 <= value <= UINT256_MAX:
        raise ValueError(f"a word holds an unsigned 256-bit integer: value={value}")
    return value.to_bytes(WORD_BYTES, "big")


def address_word(address: str) -> bytes:
    """Return an address as one 32-byte word, left-padded."""
    return parse_address(address).rjust(WORD_BYTES, b"\0")


def hash_struct(type_hash: bytes, words: list[bytes]) -> bytes:
    """Return the 32-byte hash of a struct whose fields are already 32-byte words."""
    return keccak256(type_hash + b"".join(words))


def typed_digest(separator: bytes, struct_hash: bytes) -> bytes:
    """Return the 32 bytes that are signed for a struct under a domain."""
    return keccak256(b"\x19\x01" + separator + struct_hash)
