"""Which wallets belong to a key: their addresses follow from the owner's, before they exist.

All are CREATE2 addresses: keccak(0xff ‖ factory ‖ salt ‖ keccak(init code)), last 20 bytes.

```
wallet                 salt                          init code
proxy                  keccak(owner, 20 bytes)       the same for every owner: its hash is data
Safe                   keccak(owner as a word)       the same for every owner: its hash is data
deposit, UUPS (old)    keccak(factory ‖ owner)       ERC-1967 clone of the implementation, with both
deposit, beacon (now)  keccak(factory ‖ owner)       ERC-1967 clone of the beacon, with both
```
Which of the two deposit wallets is in use is the chain's to say (`BEACON_SELECTOR` of the factory).
Source: the official clients' derivations; Solady `LibClone` for the two clones.
"""

from __future__ import annotations

from dataclasses import dataclass

from signer.address import ADDRESS_BYTES, parse_address, to_checksum
from signer.eip712 import address_word
from signer.keccak import keccak256

BEACON_SELECTOR = bytes.fromhex("49493a4d")

# Solady's clones with immutable arguments: PUSH2 and the length of what is deployed, the head, the
# implementation or beacon, the rest, the arguments. The lengths here are without the arguments.
_PUSH2 = b"\x61"
_HEAD = bytes.fromhex("3d8160233d3973")
_UUPS_BYTES = 0x3D
_UUPS_REST = bytes.fromhex(
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_BYTES = 0x52
_BEACON_REST = bytes.fromhex(
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


@dataclass(frozen=True, slots=True)
class WalletFactories:
    """Who deploys wallets on a chain. None where the chain has no such factory."""

    safe_factory: str
    safe_init_code_hash: bytes
    deposit_factory: str
    deposit_implementation: str
    deposit_beacon: str | None = None
    proxy_factory: str | None = None
    proxy_init_code_hash: bytes = b""


_SAFE_FACTORY = "0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b"
_SAFE_INIT_CODE_HASH = bytes.fromhex(
    "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
)
_DEPOSIT_FACTORY = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"

FACTORIES: dict[int, WalletFactories] = {
    137: WalletFactories(
        safe_factory=_SAFE_FACTORY,
        safe_init_code_hash=_SAFE_INIT_CODE_HASH,
        deposit_factory=_DEPOSIT_FACTORY,
        deposit_implementation="0x58CA52ebe0DadfdF531Cde7062e76746de4Db1eB",
        deposit_beacon="0x7A18EDfe055488A3128f01F563e5B479D92ffc3a",
        proxy_factory="0xaB45c5A4B0c941a2F231C04C3f49182e1A254052",
        proxy_init_code_hash=bytes.fromhex(
            "d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b"
        ),
    ),
    80002: WalletFactories(
        safe_factory=_SAFE_FACTORY,
        safe_init_code_hash=_SAFE_INIT_CODE_HASH,
        deposit_factory=_DEPOSIT_FACTORY,
        deposit_implementation="0x50a88fE9a441cB4c9c2aD6A2207CE2795C7D7Fbd",
    ),
}


@dataclass(frozen=True, slots=True)
class WalletAddresses:
    """Every address a key may trade from, checksummed. None: the chain has no such wallet."""

    eoa: str
    proxy: str | None
    safe: str
    deposit_beacon: str | None
    deposit_uups: str


def factories_of(chain_id: int) -> WalletFactories:
    """Return the factories of a chain; ValueError where none are known."""
    try:
        return FACTORIES[chain_id]
    except KeyError:
        raise ValueError(f"no wallet factories are known: chain={chain_id}") from None


def wallet_addresses(owner: str, factories: WalletFactories) -> WalletAddresses:
    """Return all addresses of an owner's wallets, deployed or not."""
    return WalletAddresses(
        eoa=to_checksum(parse_address(owner)),
        proxy=proxy_address(owner, factories),
        safe=safe_address(owner, factories),
        deposit_beacon=deposit_beacon_address(owner, factories),
        deposit_uups=deposit_uups_address(owner, factories),
    )


def proxy_address(owner: str, factories: WalletFactories) -> str | None:
    """Return the proxy wallet (signature type 1) of an owner."""
    if factories.proxy_factory is None:
        return None
    salt = keccak256(parse_address(owner))
    return create2_address(factories.proxy_factory, salt, factories.proxy_init_code_hash)


def safe_address(owner: str, factories: WalletFactories) -> str:
    """Return the Safe (signature type 2) of an owner."""
    salt = keccak256(address_word(owner))
    return create2_address(factories.safe_factory, salt, factories.safe_init_code_hash)


def deposit_uups_address(owner: str, factories: WalletFactories) -> str:
    """Return the older form of an owner's deposit wallet (signature type 3)."""
    return _deposit_address(
        owner, factories, _UUPS_BYTES, factories.deposit_implementation, _UUPS_REST
    )


def deposit_beacon_address(owner: str, factories: WalletFactories) -> str | None:
    """Return the current form of an owner's deposit wallet (signature type 3)."""
    if factories.deposit_beacon is None:
        return None
    return _deposit_address(owner, factories, _BEACON_BYTES, factories.deposit_beacon, _BEACON_REST)


def create2_address(factory: str, salt: bytes, init_code_hash: bytes) -> str:
    """Return the checksummed address of a contract before it is deployed. salt, hash: 32 bytes."""
    digest = keccak256(b"\xff" + parse_address(factory) + salt + init_code_hash)
    return to_checksum(digest[-ADDRESS_BYTES:])


def _deposit_address(
    owner: str, factories: WalletFactories, deployed_bytes: int, target: str, rest: bytes
) -> str:
    arguments = address_word(factories.deposit_factory) + address_word(owner)
    deployed = (deployed_bytes + len(arguments)).to_bytes(2, "big")
    init_code = _PUSH2 + deployed + _HEAD + parse_address(target) + rest + arguments
    return create2_address(factories.deposit_factory, keccak256(arguments), keccak256(init_code))
