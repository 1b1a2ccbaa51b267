"""The relayer: carries signed wallet calls to the chain, for free. Here the chain is this venue.

```
POST /submit → STATE_NEW ─→ STATE_EXECUTED ─→ STATE_MINED ─→ STATE_CONFIRMED
                        └─→ STATE_FAILED (a call reverted)
```
Calls take effect when executed; the steps have the delays of trades. One wallet has one action in
flight. Source: orders.md §7.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from engine.exchange.accounts import Account, WalletKind
from engine.exchange.contracts import RELAY_WORKER
from engine.exchange.schedule import Phase
from engine.exchange.server.auth import Gatekeeper
from engine.exchange.server.envelopes import KINDS, Envelope, open_envelope
from engine.exchange.server.http import Refusal, json_response, parse_json
from engine.exchange.venue import Venue
from engine.exchange.wallet_actions import CallBlocked, CallFailed, Step, WalletActions
from signer.wallet_addresses import factories_of

BAD_PAYLOAD = "invalid transaction request payload"
EXECUTED_MS = 500  # after the submission
SUBMITS_PER_MINUTE = 25
MINUTE_S = 60.0
NEW, EXECUTED, MINED, CONFIRMED = (
    f"STATE_{name}" for name in ("NEW", "EXECUTED", "MINED", "CONFIRMED")
)
FAILED = "STATE_FAILED"
FINAL = (CONFIRMED, FAILED)


@dataclass(slots=True)
class Transaction:
    """One submission, and how far it has come."""

    transaction_id: str
    owner: str
    account: Account
    kind: str
    created_ms: int
    transaction_hash: str
    state: str = NEW
    error: str = ""


class RelayerRoutes:
    """Takes wallet calls for one venue."""

    __slots__ = (
        "_actions",
        "_chain_id",
        "_factories",
        "_gate",
        "_nonces",
        "_submits",
        "_transactions",
        "_venue",
    )

    def __init__(
        self, venue: Venue, gate: Gatekeeper, actions: WalletActions, chain_id: int
    ) -> None:
        self._venue = venue
        self._gate = gate
        self._actions = actions
        self._chain_id = chain_id
        self._factories = factories_of(chain_id)
        self._nonces: dict[str, int] = {}  # by wallet
        self._transactions: dict[str, Transaction] = {}
        self._submits: dict[str, deque[float]] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the relayer's routes."""
        return [
            web.get("/relayer/nonce", self.get_nonce),
            web.get("/relayer/v1/account/transactions/params", self.get_nonce),
            web.get("/relayer/relay-payload", self.get_nonce),
            web.get("/relayer/deployed", self.get_deployed),
            web.post("/relayer/submit", self.post_submit),
            web.get("/relayer/transaction", self.get_transaction),
            web.get("/relayer/transactions", self.get_transactions),
            web.get("/relayer/v1/account/transactions/{id}", self.get_account_transaction),
        ]

    async def get_nonce(self, request: web.Request) -> web.Response:
        """GET /nonce, /relay-payload?address=&type=: the nonce to sign, and who will send it."""
        wallet = self._wallet(request.query.get("address", ""), request.query.get("type", ""))
        nonce = self._nonces.get(wallet.address, 0)
        return json_response({"address": RELAY_WORKER, "nonce": str(nonce)})

    async def get_deployed(self, request: web.Request) -> web.Response:
        """GET /deployed?address=&type=: whether a wallet exists on chain."""
        account = self._venue.accounts.find(request.query.get("address", ""))
        return json_response({"deployed": account is not None and account.is_deployed})

    async def post_submit(self, request: web.Request) -> web.Response:
        """POST /submit: signed calls of a wallet, or the creation of one."""
        owner = await self._gate.admit_to_relayer(request)
        transaction = self.submit(owner, parse_json(await request.read()))
        return json_response(
            {"transactionID": transaction.transaction_id, "state": transaction.state}
        )

    def submit(self, owner: str, body: Any) -> Transaction:
        """Take a body of `/submit` from an owner who was admitted; Refusal if it is not carried."""
        self._count_submit(owner)
        if not isinstance(body, dict) or str(body.get("from", "")).lower() != owner:
            raise Refusal(400, BAD_PAYLOAD)
        kind = str(body.get("type", ""))
        if kind.endswith("-CREATE"):
            account = self._wallet(owner, kind.removesuffix("-CREATE"))
            steps: list[Step] = [_deploy]
        else:
            account, steps = self._read(body)
            self._nonces[account.address] = self._nonces.get(account.address, 0) + 1
        return self._enter(owner, account, kind, steps)

    async def get_transaction(self, request: web.Request) -> web.Response:
        """GET /transaction?id=: a list of one."""
        transaction = self._transactions.get(request.query.get("id", ""))
        if transaction is None:
            raise Refusal(404, "transaction not found")
        return json_response([_view(transaction)])

    async def get_transactions(self, request: web.Request) -> web.Response:
        """GET /transactions: the owner's, newest first."""
        owner = await self._gate.admit_to_relayer(request)
        mine = [t for t in self._transactions.values() if t.owner == owner]
        return json_response([_view(transaction) for transaction in reversed(mine)])

    async def get_account_transaction(self, request: web.Request) -> web.Response:
        """GET /v1/account/transactions/{id}: the newer form."""
        transaction = self._transactions.get(request.match_info["id"])
        if transaction is None:
            raise Refusal(404, "transaction not found")
        return json_response(
            {
                "transaction_id": transaction.transaction_id,
                "transaction_hash": _known_hash(transaction),
                "state": transaction.state,
                "error_msg": transaction.error,
            }
        )

    def _wallet(self, owner: str, kind: str) -> Account:
        """Return the wallet of an owner that a transaction type is about."""
        try:
            wallet = self._venue.accounts.wallet(owner, KINDS[kind])
        except (KeyError, ValueError):
            raise Refusal(400, "bad request") from None
        if wallet is None:
            raise Refusal(400, "bad request")
        return wallet

    def _read(self, body: dict[str, Any]) -> tuple[Account, list[Step]]:
        """Return the wallet and the steps of a signed submission; Refusal otherwise."""
        try:
            envelope = open_envelope(body, self._chain_id, self._factories, RELAY_WORKER)
            account = self._check(envelope)
            return account, self._actions.read(envelope.calls)
        except CallBlocked as error:
            raise Refusal(400, str(error)) from None
        except (KeyError, ValueError, TypeError, IndexError):
            raise Refusal(400, BAD_PAYLOAD) from None

    def _check(self, envelope: Envelope) -> Account:
        account = self._venue.accounts.wallet(envelope.owner, envelope.kind)
        if account is None or account.address.lower() != envelope.wallet.lower():
            raise ValueError("the wallet is not the owner's")
        expected = self._nonces.get(account.address, 0)
        if envelope.nonce != expected:
            raise Refusal(
                400, f"batch nonce {envelope.nonce} does not match on-chain nonce {expected}"
            )
        if any(t.account is account and t.state == NEW for t in self._transactions.values()):
            raise Refusal(400, "wallet busy: there is an active action")
        late = envelope.deadline_s * 1_000 < self._venue.schedule.now_ms
        if envelope.kind is WalletKind.DEPOSIT and late:
            raise ValueError("the deadline has passed")
        return account

    def _count_submit(self, owner: str) -> None:
        """Refuse the 26th submission of a minute of real time."""
        now_s = time.monotonic()
        recent = self._submits.setdefault(owner, deque())
        while recent and recent[0] <= now_s - MINUTE_S:
            recent.popleft()
        if len(recent) >= SUBMITS_PER_MINUTE:
            after_s = str(int(recent[0] + MINUTE_S - now_s) + 1)
            raise Refusal(429, "quota exceeded", headers={"Retry-After": after_s})
        recent.append(now_s)

    def _enter(self, owner: str, account: Account, kind: str, steps: list[Step]) -> Transaction:
        schedule, fates = self._venue.schedule, self._venue.rules.fates
        number = f"{account.address}/{len(self._transactions)}"
        digest = hashlib.sha256(f"relayed/{number}".encode()).digest()
        name = str(uuid.UUID(bytes=digest[:16], version=4))
        hash_text = "0x" + digest.hex()
        transaction = Transaction(name, owner, account, kind, schedule.now_ms, hash_text)
        self._transactions[name] = transaction
        now_ms = schedule.now_ms
        execute = partial(self._execute, transaction, steps)
        schedule.at(now_ms + EXECUTED_MS, Phase.ACT, execute)
        for state, delay_ms in ((MINED, fates.mined_ms), (CONFIRMED, fates.confirmed_ms)):
            at_ms = now_ms + EXECUTED_MS + delay_ms
            schedule.at(at_ms, Phase.ACT, partial(_advance, transaction, state))
        return transaction

    def _execute(self, transaction: Transaction, steps: list[Step]) -> None:
        try:
            self._actions.run(transaction.account, steps, transaction.transaction_hash)
        except CallFailed as error:
            transaction.state, transaction.error = FAILED, str(error)
            return
        transaction.state = EXECUTED


def _advance(transaction: Transaction, state: str) -> None:
    if transaction.state not in FINAL:
        transaction.state = state


def _deploy(account: Account, _hash: str) -> None:
    account.is_deployed = True


def _known_hash(transaction: Transaction) -> str:
    return "" if transaction.state == NEW else transaction.transaction_hash


def _view(transaction: Transaction) -> dict[str, Any]:
    account = transaction.account
    return {
        "transactionID": transaction.transaction_id,
        "transactionHash": _known_hash(transaction),
        "from": transaction.owner,
        "proxyAddress": account.address,
        "type": transaction.kind,
        "state": transaction.state,
        "errorMsg": transaction.error,
        "createdAt": transaction.created_ms,
    }
