"""Who may trade, and what they own: API keys, pUSD, shares, and what open orders hold of them.

An owner is a key pair; an account is one of its wallets (the key's own address, a proxy, a Safe, a
deposit wallet). API keys belong to the owner and reach all of them. Money is integer micros. An
account never holds more back than it has: an order is accepted only if `available` covers it, and
every fill is checked again at its exact cost before it happens.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from engine.wire.codes import Side
from signer.ecdsa import SigningKey
from signer.wallet_addresses import factories_of, wallet_addresses

CASH = 0  # the asset that is pUSD; every other asset is a token id
ALLOWANCE_MAX = (1 << 256) - 1


class WalletKind(IntEnum):
    """The venue's signature types: what kind of wallet the maker of an order is."""

    EOA = 0
    PROXY = 1
    SAFE = 2
    DEPOSIT = 3


class KeyRole(IntEnum):
    """What a key set is for."""

    TRADE = 0
    READ = 1  # look-ups only
    BUILDER = 2  # the relayer, and attribution


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One L2 key set. account: the owner's own address; `Accounts.wallet` gives the others."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    account: Account = field(repr=False)
    role: KeyRole = KeyRole.TRADE


@dataclass(slots=True, eq=False)
class Account:
    """One wallet. `balances` and `held` are micros by asset: `CASH`, or a token id.

    owner: the address, in lower case, that signs for it; its own if not given.
    is_deployed: whether the wallet's contract is on chain; an address of a key needs none.
    session_keys: other addresses, in lower case, that may sign for it, and until which second.
    """

    address: str
    owner: str = ""
    kind: WalletKind = WalletKind.EOA
    is_deployed: bool = False
    balances: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    allowance: int = ALLOWANCE_MAX
    session_keys: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner = self.owner or self.address.lower()

    def lets_sign(self, address: str, now_s: int) -> bool:
        """Whether this address, in lower case, signs for the wallet."""
        return address == self.owner or self.session_keys.get(address, 0) > now_s

    def balance(self, asset: int) -> int:
        """Return what the account owns of an asset, held or not."""
        return self.balances.get(asset, 0)

    def available(self, asset: int) -> int:
        """Return what new orders may use of an asset."""
        return self.balance(asset) - self.held.get(asset, 0)

    def hold(self, asset: int, amount: int) -> None:
        """Set `amount` aside for an order, or give it back if negative."""
        held = self.held.get(asset, 0) + amount
        assert 0 <= held <= self.balance(asset), f"hold out of range: asset={asset}, held={held}"
        self.held[asset] = held

    def add(self, asset: int, amount: int) -> None:
        """Receive an asset, or give it away if negative."""
        balance = self.balance(asset) + amount
        assert balance >= 0, f"balance below zero: asset={asset}, balance={balance}"
        self.balances[asset] = balance

    def settle(self, token: int, side: int, size: int, notional: int, fee: int) -> None:
        """Exchange shares for pUSD; the fee is always pUSD, on top or out of the proceeds."""
        if side == Side.BUY:
            self.add(CASH, -notional - fee)
            self.add(token, size)
        else:
            self.add(token, -size)
            self.add(CASH, notional - fee)


class Accounts:
    """All accounts, by address and by API key. One seed gives the same accounts and keys again."""

    __slots__ = (
        "_by_address",
        "_by_key",
        "_by_nonce",
        "_chain_id",
        "_extra_keys",
        "_seed",
        "_wallets",
    )

    def __init__(self, seed: str, chain_id: int = 137) -> None:
        """chain_id: where the wallets' factories are; without some of them on others."""
        self._seed = seed
        self._chain_id = chain_id
        self._by_address: dict[str, Account] = {}
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[tuple[str, int], ApiKey] = {}
        self._wallets: dict[tuple[str, int], Account | None] = {}
        self._extra_keys = 0

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_address.values())

    def private_key(self, index: int) -> str:
        """Return the private key of the test account numbered `index`, 0x and 64 hex digits."""
        return "0x" + self._digest("private key", index).hex()

    def fund(self, index: int, cash: int, kind: WalletKind = WalletKind.EOA) -> ApiKey:
        """Open the test account numbered `index` with `cash` micros; return its first key."""
        address = SigningKey.from_hex(self.private_key(index)).address
        key = self.create_key(address, 0)
        assert key is not None, f"test account opened twice: index={index}"
        wallet = self.wallet(address, kind)
        assert wallet is not None, f"chain without such wallets: {self._chain_id=}, {kind=}"
        wallet.is_deployed = True
        wallet.add(CASH, cash)
        return key

    def account(self, address: str) -> Account:
        """Return the account of an address in any case, opening an empty one for a new address."""
        return self._by_address.setdefault(address.lower(), Account(address))

    def find(self, address: str) -> Account | None:
        """Return the account of an address in any case, or None."""
        return self._by_address.get(address.lower())

    def wallet(self, owner: str, kind: int) -> Account | None:
        """Return an owner's wallet of a kind, opening an empty one; None if the chain has none."""
        if kind == WalletKind.EOA:
            return self.account(owner)
        name = (owner.lower(), kind)
        if name not in self._wallets:
            self._wallets[name] = self._open_wallet(owner, WalletKind(kind))
        return self._wallets[name]

    def create_key(self, address: str, nonce: int) -> ApiKey | None:
        """Return a new key set, or None if this address has one for this nonce."""
        name = (address.lower(), nonce)
        if name in self._by_nonce:
            return None
        key = self._by_nonce[name] = self._make_key(self.account(address), *name)
        return key

    def create_extra_key(self, account: Account, role: KeyRole) -> ApiKey:
        """Return one more key set of an owner, for something else than trading."""
        self._extra_keys += 1
        return self._make_key(account, account.owner, role.name, self._extra_keys, role=role)

    def derive_key(self, address: str, nonce: int) -> ApiKey | None:
        """Return the key set made earlier for this address and nonce, or None."""
        return self._by_nonce.get((address.lower(), nonce))

    def delete_key(self, key: ApiKey) -> None:
        """Forget a key set: it admits nobody any more, and its nonce is free again."""
        self._by_key.pop(key.key, None)
        self._by_nonce = {name: k for name, k in self._by_nonce.items() if k is not key}

    def key(self, key: str) -> ApiKey | None:
        """Return a key set by its public part, or None."""
        return self._by_key.get(key)

    def keys_of(self, account: Account, role: KeyRole = KeyRole.TRADE) -> list[str]:
        """Return the public parts of an owner's keys."""
        return [k.key for k in self._by_key.values() if k.account is account and k.role == role]

    def relayer_key(self, owner: str) -> str:
        """Return the key that lets an owner use the relayer."""
        return self._uuid("relayer key", owner.lower())

    def _make_key(self, account: Account, *name: object, role: KeyRole = KeyRole.TRADE) -> ApiKey:
        key = ApiKey(
            self._uuid("key", *name),
            base64.urlsafe_b64encode(self._digest("secret", *name)).decode(),
            self._digest("passphrase", *name).hex(),
            account,
            role,
        )
        self._by_key[key.key] = key
        return key

    def _open_wallet(self, owner: str, kind: WalletKind) -> Account | None:
        addresses = wallet_addresses(owner, factories_of(self._chain_id))
        address = {
            WalletKind.PROXY: addresses.proxy,
            WalletKind.SAFE: addresses.safe,
            WalletKind.DEPOSIT: addresses.deposit_beacon or addresses.deposit_uups,
        }[kind]
        if address is None:
            return None
        account = Account(address, owner.lower(), kind)
        return self._by_address.setdefault(address.lower(), account)

    def _uuid(self, *parts: object) -> str:
        return str(uuid.UUID(bytes=self._digest(*parts)[:16], version=4))

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *parts))).encode()).digest()
