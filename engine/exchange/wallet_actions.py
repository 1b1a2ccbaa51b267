"""What wallets do beside trading: approve, transfer, split, merge, redeem; read from call data.

```
call                                           effect
---------------------------------------------  ------------------------------------------------
pUSD.approve(exchange, n)                      the wallet's allowance is n
pUSD.transfer(to, n)                           n pUSD change hands
{CTF, PositionManager}.setApprovalForAll(…)    none: shares are always approved here
adapter.splitPosition(…, condition, …, n)      n pUSD become n of each outcome
adapter.mergePositions(…, condition, …, n)     and back
adapter.redeemPositions(…, condition, …)       a resolved market's shares become their payout
Router.split / merge / redeem                  the same for generation 3; redeem takes an amount
wallet.authorizeSessionSigner(key, until)      the key may sign orders of this wallet until then
wallet.revokeSessionSigner(key)                and no more
```
Anything else is `CallBlocked`, as the relayer has a list of what it carries. Calls of one batch
happen all or not at all. Source: orders.md §7, chain.md §6; ABI of the official clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.exchange import contracts
from engine.exchange.accounts import ALLOWANCE_MAX, CASH, Account, WalletKind
from engine.exchange.listing import Listing
from engine.exchange.texts import MICROS
from engine.exchange.venue import Venue
from signer.contracts import EXCHANGES
from signer.eip712 import WORD_BYTES, hash_text
from signer.wallet_calls import WalletCall

ADAPTERS = (contracts.CTF_ADAPTER, contracts.NEG_RISK_ADAPTER)
LEDGERS = (contracts.CONDITIONAL_TOKENS, contracts.POSITION_MANAGER)


class CallBlocked(ValueError):
    """A call that the relayer does not carry."""


class CallFailed(ValueError):
    """A call that reverts; names why."""


class ActionKind(StrEnum):
    """The Data API's words for what changes shares without a trade."""

    SPLIT = "SPLIT"
    MERGE = "MERGE"
    REDEEM = "REDEEM"


@dataclass(frozen=True, slots=True)
class Action:
    """A split, merge or redemption that happened. amount, cash: micros."""

    kind: ActionKind
    account: Account
    listing: Listing
    amount: int
    cash: int
    at_ms: int
    transaction_hash: str


Step = Callable[[Account, str], None]  # does it; given the wallet and the transaction's hash


class WalletActions:
    """Makes wallet calls happen in one venue; remembers what changed shares."""

    __slots__ = ("_venue", "actions")

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.actions: list[Action] = []

    def read(self, calls: Sequence[WalletCall]) -> list[Step]:
        """Return what calls will do; CallBlocked for the first that is not carried."""
        return [self._read(call) for call in calls]

    def run(self, account: Account, steps: Sequence[Step], transaction_hash: str) -> None:
        """Do all steps, or none: CallFailed for the first that reverts."""
        before = [
            (a, dict(a.balances), a.allowance, dict(a.session_keys)) for a in self._venue.accounts
        ]
        done = len(self.actions)
        try:
            for step in steps:
                step(account, transaction_hash)
        except CallFailed:
            for touched, balances, allowance, session_keys in before:
                touched.balances, touched.allowance = balances, allowance
                touched.session_keys = session_keys
            del self.actions[done:]
            raise
        for action in self.actions[done:]:
            self._venue.truth.write(
                action.kind.lower(),
                action.at_ms,
                maker=action.account.address,
                condition_id=action.listing.market.condition_id,
                amount=action.amount,
                cash=action.cash,
            )

    def _read(self, call: WalletCall) -> Step:
        target, selector, words = call.to.lower(), call.data[:4], Words(call.data[4:])
        if target == contracts.COLLATERAL.lower():
            if selector == _selector("approve(address,uint256)"):
                return _approve(words.address(0), words.number(1))
            if selector == _selector("transfer(address,uint256)"):
                return self._transfer(words.address(0), words.number(1))
        if target in _lower(LEDGERS) and selector == _selector("setApprovalForAll(address,bool)"):
            return _nothing
        if target in _lower(ADAPTERS):
            if selector == _selector("splitPosition(address,bytes32,bytes32,uint256[],uint256)"):
                return self._split(self._listing(words.word(2)), words.number(4))
            if selector == _selector("mergePositions(address,bytes32,bytes32,uint256[],uint256)"):
                return self._merge(self._listing(words.word(2)), words.number(4))
            if selector == _selector("redeemPositions(address,bytes32,bytes32,uint256[])"):
                return self._redeem(self._listing(words.word(2)), (0, 1), None)
        if target == contracts.ROUTER.lower():
            if selector == _selector("split(bytes31,uint256)"):
                return self._split(self._listing(words.word(0)), words.number(1))
            if selector == _selector("merge(bytes31,uint256)"):
                return self._merge(self._listing(words.word(0)), words.number(1))
            if selector == _selector("redeem(bytes31,uint256,uint256)"):
                outcome, amount = words.number(1), words.number(2)
                if outcome in (0, 1):
                    return self._redeem(self._listing(words.word(0)), (outcome,), amount)
        if selector == _selector("authorizeSessionSigner(address,uint256)"):
            return _let_sign(target, words.address(0), words.number(1))
        if selector == _selector("revokeSessionSigner(address)"):
            return _let_sign(target, words.address(0), 0)
        raise CallBlocked(f"call blocked: target={call.to}, selector=0x{selector.hex()}")

    def _listing(self, condition: bytes) -> Listing:
        listing = self._venue.listings.get("0x" + condition.hex())
        if listing is None:
            raise CallBlocked(f"call blocked: unknown condition=0x{condition.hex()}")
        return listing

    def _transfer(self, to: str, amount: int) -> Step:
        def step(account: Account, _hash: str) -> None:
            _require(account, CASH, amount)
            account.add(CASH, -amount)
            self._venue.accounts.account(to).add(CASH, amount)

        return step

    def _split(self, listing: Listing, amount: int) -> Step:
        def step(account: Account, transaction_hash: str) -> None:
            _require(account, CASH, amount)
            account.add(CASH, -amount)
            for token in listing.market.tokens:
                account.add(token, amount)
            self._note(ActionKind.SPLIT, account, listing, amount, amount, transaction_hash)

        return step

    def _merge(self, listing: Listing, amount: int) -> Step:
        def step(account: Account, transaction_hash: str) -> None:
            for token in listing.market.tokens:
                _require(account, token, amount)
                account.add(token, -amount)
            account.add(CASH, amount)
            self._note(ActionKind.MERGE, account, listing, amount, amount, transaction_hash)

        return step

    def _redeem(self, listing: Listing, outcomes: Sequence[int], amount: int | None) -> Step:
        """amount: of shares, None = all there are; then having none is no failure, as on chain."""

        def step(account: Account, transaction_hash: str) -> None:
            if listing.payouts is None:
                raise CallFailed("result for condition not received yet")
            shares = cash = 0
            for outcome in outcomes:
                token = listing.market.tokens[outcome]
                count = account.available(token) if amount is None else amount
                _require(account, token, count)
                account.add(token, -count)
                shares += count
                cash += count * listing.payouts[outcome] // MICROS
            account.add(CASH, cash)
            if shares:
                self._note(ActionKind.REDEEM, account, listing, shares, cash, transaction_hash)

        return step

    def _note(
        self,
        kind: ActionKind,
        account: Account,
        listing: Listing,
        amount: int,
        cash: int,
        transaction_hash: str,
    ) -> None:
        now_ms = self._venue.schedule.now_ms
        self.actions.append(Action(kind, account, listing, amount, cash, now_ms, transaction_hash))


class Words:
    """Call data as 32-byte words; CallBlocked where it has not enough of them."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def word(self, index: int) -> bytes:
        """Return one word."""
        word = self._data[index * WORD_BYTES : (index + 1) * WORD_BYTES]
        if len(word) != WORD_BYTES:
            raise CallBlocked("call blocked: malformed call data")
        return word

    def number(self, index: int) -> int:
        """Return one word as a number."""
        return int.from_bytes(self.word(index), "big")

    def address(self, index: int) -> str:
        """Return one word as an address."""
        return "0x" + self.word(index)[12:].hex()

    def bytes_at(self, offset: int) -> bytes:
        """Return the `bytes` whose length stands at a byte offset."""
        length = Words(self._data[offset:]).number(0)
        start = offset + WORD_BYTES
        data = self._data[start : start + length]
        if len(data) != length:
            raise CallBlocked("call blocked: malformed call data")
        return data

    def behind(self, offset: int) -> Words:
        """Return the words from a byte offset on."""
        return Words(self._data[offset:])


def _approve(spender: str, amount: int) -> Step:
    """One allowance stands for all exchanges: whoever lowers one lowers all."""

    def step(account: Account, _hash: str) -> None:
        if spender in _lower(EXCHANGES.values()):
            account.allowance = min(amount, ALLOWANCE_MAX)

    return step


def _let_sign(wallet: str, key: str, until_s: int) -> Step:
    """Only the wallet itself can grant that, and only a deposit wallet knows how. 0: revoke."""

    def step(account: Account, _hash: str) -> None:
        if account.address.lower() != wallet or account.kind is not WalletKind.DEPOSIT:
            raise CallFailed(f"not the wallet itself: target={wallet}")
        account.session_keys.pop(key, None)
        if until_s:
            account.session_keys[key] = until_s

    return step


def _nothing(_account: Account, _hash: str) -> None:
    pass


def _require(account: Account, asset: int, amount: int) -> None:
    if account.available(asset) < amount:
        raise CallFailed(
            f"transfer amount exceeds balance: asset={asset}, "
            f"available={account.available(asset)}, amount={amount}"
        )


def _selector(function: str) -> bytes:
    return hash_text(function)[:4]


def _lower(addresses: Iterable[str]) -> set[str]:
    return {address.lower() for address in addresses}
