"""Owners and their wallets: addresses, keys, what belongs to whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.exchange.accounts import CASH, Accounts, KeyRole, WalletKind

NAMES = {
    "eoa": WalletKind.EOA,
    "proxy": WalletKind.PROXY,
    "safe": WalletKind.SAFE,
    "deposit_wallet_beacon": WalletKind.DEPOSIT,
}


def test_wallets_are_where_the_factories_put_them(shared_dir: Path):
    """The wallets of an owner have the addresses that the official clients derive."""
    cases = json.loads((shared_dir / "vectors" / "wallets.json").read_text())["vectors"]
    accounts = Accounts("seed")
    assert cases
    for case in cases:
        for name, kind in NAMES.items():
            wallet = accounts.wallet(case["eoa"], kind)
            assert wallet is not None
            assert wallet.address == case[name]


def test_one_seed_gives_the_same_accounts_and_keys():
    """Private keys, API keys and wallets follow from the seed, another seed gives others."""
    first, again, other = (Accounts(seed) for seed in ("a", "a", "b"))
    keys = [accounts.fund(0, 5_000_000, WalletKind.DEPOSIT) for accounts in (first, again, other)]
    assert keys[0].secret == keys[1].secret
    assert keys[0].secret != keys[2].secret
    wallet = first.wallet(keys[0].account.address, WalletKind.DEPOSIT)
    assert wallet is not None
    assert (wallet.balance(CASH), wallet.is_deployed) == (5_000_000, True)
    assert keys[0].account.balance(CASH) == 0
    assert wallet.owner == keys[0].account.owner == keys[0].account.address.lower()


def test_keys_have_roles_and_can_be_deleted():
    """Extra keys are listed by role; a deleted key is gone and its nonce free."""
    accounts = Accounts("seed")
    key = accounts.fund(0, 1)
    reader = accounts.create_extra_key(key.account, KeyRole.READ)
    second = accounts.create_extra_key(key.account, KeyRole.READ)
    assert reader.secret != second.secret
    assert accounts.keys_of(key.account) == [key.key]
    assert accounts.keys_of(key.account, KeyRole.READ) == [reader.key, second.key]
    accounts.delete_key(key)
    assert accounts.key(key.key) is None
    assert accounts.derive_key(key.account.address, 0) is None
    assert accounts.create_key(key.account.address, 0) is not None


def test_secrets_do_not_show():
    """A key set shows its public part only."""
    key = Accounts("seed").fund(0, 1)
    assert key.secret not in repr(key)
    assert key.passphrase not in repr(key)


def test_a_chain_without_proxies_has_none():
    """On the test chain there is no proxy factory and no beacon; Safe and deposit wallet exist."""
    accounts = Accounts("seed", 80002)
    key = accounts.fund(0, 1)
    owner = key.account.address
    assert accounts.wallet(owner, WalletKind.PROXY) is None
    assert accounts.wallet(owner, WalletKind.SAFE) is not None
    assert accounts.wallet(owner, WalletKind.DEPOSIT) is not None
    with pytest.raises(AssertionError):
        accounts.fund(1, 1, WalletKind.PROXY)
