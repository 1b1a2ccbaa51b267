"""Who may trade, and what they own: API keys, pUSD, shares, and what open orders hold of them.

Money is integer micros. An account never holds more back than it has: an order is accepted only if
`available` covers it, and every fill is checked again at its exact cost before it happens.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.wire.codes import Side
from signer.ecdsa import SigningKey

CASH = 0  # the asset that is pUSD; every other asset is a token id
ALLOWANCE_MAX = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One L2 key set of an account."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    account: Account = field(repr=False)


@dataclass(slots=True, eq=False)
class Account:
    """One trader. `balances` and `held` are micros by asset: `CASH`, or a token id."""

    address: str
    balances: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    allowance: int = ALLOWANCE_MAX

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

    __slots__ = ("_by_address", "_by_key", "_by_nonce", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._by_address: dict[str, Account] = {}
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[tuple[str, int], ApiKey] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_address.values())

    def private_key(self, index: int) -> str:
        """Return the private key of the test account numbered `index`, 0x and 64 hex digits."""
        return "0x" + self._digest("private key", index).hex()

    def fund(self, index: int, cash: int) -> ApiKey:
        """Open the test account numbered `index` with `cash` micros; return its first key."""
        address = SigningKey.from_hex(self.private_key(index)).address
        key = self.create_key(address, 0)
        assert key is not None, f"test account opened twice: index={index}"
        key.account.add(CASH, cash)
        return key

    def account(self, address: str) -> Account:
        """Return the account of an address in any case, opening an empty one for a new address."""
        return self._by_address.setdefault(address.lower(), Account(address))

    def create_key(self, address: str, nonce: int) -> ApiKey | None:
        """Return a new key set, or None if this address has one for this nonce."""
        name = (address.lower(), nonce)
        if name in self._by_nonce:
            return None
        secret = base64.urlsafe_b64encode(self._digest("secret", *name)).decode()
        key = ApiKey(
            str(uuid.UUID(bytes=self._digest("key", *name)[:16], version=4)),
            secret,
            self._digest("passphrase", *name).hex(),
            self.account(address),
        )
        self._by_nonce[name] = key
        self._by_key[key.key] = key
        return key

    def derive_key(self, address: str, nonce: int) -> ApiKey | None:
        """Return the key set made earlier for this address and nonce, or None."""
        return self._by_nonce.get((address.lower(), nonce))

    def key(self, key: str) -> ApiKey | None:
        """Return a key set by its public part, or None."""
        return self._by_key.get(key)

    def keys_of(self, account: Account) -> list[str]:
        """Return the public parts of an account's keys."""
        return [key.key for key in self._by_key.values() if key.account is account]

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256("/".join(map(str, (self._seed, *parts))).encode()).digest()
