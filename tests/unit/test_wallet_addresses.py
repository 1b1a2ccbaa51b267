"""A key's wallets: known addresses, and what a chain without a factory has instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signer.wallet_addresses import (
    FACTORIES,
    create2_address,
    factories_of,
    safe_address,
    wallet_addresses,
)

POLYGON, AMOY = 137, 80002
OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"  # the first development-chain key


def test_create2_equals_the_examples_of_its_specification() -> None:
    """Addresses are those printed in EIP-1014."""
    zero = "0x" + "00" * 20
    code_hash = bytes.fromhex("bc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a")
    assert (
        create2_address(zero, bytes(32), code_hash) == "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"
    )
    deployer = "0xdeadbeef" + "00" * 16
    assert (
        create2_address(deployer, bytes(32), code_hash)
        == "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3"
    )


def test_every_wallet_of_an_owner_is_known_before_it_exists() -> None:
    """Proxy, Safe and both deposit wallets of a well-known key are the venue's."""
    found = wallet_addresses(OWNER.lower(), FACTORIES[POLYGON])
    assert found.eoa == OWNER
    assert found.proxy == "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70"
    assert found.safe == "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"
    assert found.deposit_beacon == "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
    assert found.deposit_uups == "0xdf8b9E8f9AB23f261F6e1B171B7454ae6E46Ba76"


def test_a_chain_without_a_factory_has_no_such_wallet() -> None:
    """The test chain has neither proxies nor a beacon; the same owner's Safe is the same there."""
    found = wallet_addresses(OWNER, FACTORIES[AMOY])
    assert found.proxy is None
    assert found.deposit_beacon is None
    assert found.safe == safe_address(OWNER, FACTORIES[POLYGON])
    assert found.deposit_uups != wallet_addresses(OWNER, FACTORIES[POLYGON]).deposit_uups


def test_factories_are_data() -> None:
    """Another factory gives other wallets, and only of its own kind."""
    usual = wallet_addresses(OWNER, FACTORIES[POLYGON])
    moved = wallet_addresses(OWNER, replace(FACTORIES[POLYGON], safe_factory=OWNER))
    assert moved.safe != usual.safe
    assert replace(moved, safe=usual.safe) == usual


def test_an_unknown_chain_is_refused() -> None:
    """Nobody guesses an address that money may be sent to."""
    with pytest.raises(ValueError, match="no wallet factories are known: chain=1"):
        factories_of(1)


def test_a_malformed_owner_is_refused() -> None:
    """What is no address has no wallets."""
    with pytest.raises(ValueError, match="an address is 0x and 40 hex digits"):
        wallet_addresses("0x1234", FACTORIES[POLYGON])
