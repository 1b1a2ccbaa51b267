"""Everything that keeps an account from trading, looked at in order. Changes nothing.

A check that cannot be made says so and why; one that fails never stops the others. The ids are
stable: scripts may rely on them.

```
coincurve                 the native curve: without it an order takes a hundred times as long
venue.reachable           somebody answers at the venue's URL
venue.order_version       the generation of orders the venue takes is one we sign
venue.geoblock            orders are taken from this place
clock.kernel              somebody keeps our clock true, by the kernel's word
clock.skew                our clock is the venue's
chain.id                  the node is on the chain we sign for
wallet.eoa .proxy .safe .deposit_beacon .deposit_uups     each wallet the key has, in use or not
auth.api_key              the venue knows our API key
auth.closed_only          the account may open positions
wallet.signature_type     which wallet to trade from, and why
approvals.trading .wallet_calls    who may move its money and shares
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine.host.errors import HostError
from signer import api_keys
from signer.auth import ApiCredentials, L2Signer
from signer.contracts import Chain
from signer.doctor.approvals import missing_at_venue, missing_on_chain
from signer.doctor.chain import ChainError, ChainView
from signer.doctor.findings import Finding, Level
from signer.doctor.venue_checks import (
    clock_kernel,
    clock_skew,
    coincurve,
    geoblock,
    order_version,
)
from signer.doctor.wallet_choice import NEW_ACCOUNTS, Candidate, choose
from signer.ecdsa import SigningKey
from signer.rest import Reply, RestClient, RestError
from signer.wallet_addresses import factories_of, wallet_addresses
from signer.wallets import SignatureType

_WALLETS = (
    ("eoa", SignatureType.EOA),
    ("proxy", SignatureType.POLY_PROXY),
    ("safe", SignatureType.POLY_GNOSIS_SAFE),
    ("deposit_beacon", SignatureType.POLY_1271),
    ("deposit_uups", SignatureType.POLY_1271),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. is_local: the venue is on this machine and keeps its own time.

    api, signature_type, funder: as the account is configured, None where nobody says.
    geoblock_url, rpc_url: None = not checked.  creates_key: make an API key if there is none.
    """

    key: SigningKey
    chain_id: int
    venue_url: str
    geoblock_url: str | None = None
    rpc_url: str | None = None
    api: ApiCredentials | None = None
    signature_type: int | None = None
    funder: str | None = None
    is_local: bool = False
    creates_key: bool = False


class Examination:
    """One run through the checks; later ones use what earlier ones found.

    credentials: the API key that was configured, derived or made, None until the venue takes it.
    """

    def __init__(self, patient: Patient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patient = patient
        self._sleep = sleep
        self._venue = RestClient(patient.venue_url)
        self._chain = ChainView(patient.rpc_url) if patient.rpc_url else None
        self._no_chain = "no RPC URL is configured"
        self._is_reachable = True
        self._l2: L2Signer | None = None
        self.credentials: ApiCredentials | None = None
        self._candidates: list[Candidate] = []
        self._balances: dict[SignatureType, Reply] = {}

    def findings(self) -> Iterator[Finding]:
        """Yield each finding as it is made."""
        checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("coincurve", coincurve),
            ("venue.reachable", self._reachable),
            ("venue.order_version", lambda: order_version(self._venue)),
            ("venue.geoblock", lambda: geoblock(self._patient.geoblock_url)),
            ("clock.kernel", lambda: clock_kernel(self._patient.is_local)),
            ("clock.skew", lambda: clock_skew(self._venue, self._patient.is_local, self._sleep)),
            ("chain.id", self._chain_id),
            ("auth.api_key", self._api_key),
            ("auth.closed_only", self._closed_only),
            ("wallet", self._wallets),
            ("wallet.signature_type", self._signature_type),
            ("approvals.trading", self._approvals),
        ]
        for check_id, check in checks:
            needs_venue = check_id.startswith(("venue.", "clock.skew", "auth."))
            if needs_venue and not self._is_reachable:
                yield Finding(check_id, Level.NOT_CHECKED, "the venue is not reachable")
                continue
            try:
                yield from check()
            except HostError as error:
                yield Finding(check_id, Level.FAIL, str(error))

    def _reachable(self) -> Iterator[Finding]:
        url = self._patient.venue_url
        try:
            reply = self._venue.get("/ok")
        except RestError as error:
            self._is_reachable = False
            yield Finding("venue.reachable", Level.FAIL, str(error), {"url": url})
            return
        level = Level.OK if reply.status == 200 else Level.FAIL
        text = f"{url} answers {reply.status}"
        yield Finding("venue.reachable", level, text, {"url": url, "status": reply.status})

    def _chain_id(self) -> Iterator[Finding]:
        wanted = self._patient.chain_id
        if self._chain is None:
            yield Finding("chain.id", Level.NOT_CHECKED, self._no_chain)
            return
        try:
            found = self._chain.chain_id()
        except ChainError as error:
            self._chain, self._no_chain = None, str(error)
            yield Finding("chain.id", Level.FAIL, str(error))
            return
        level = Level.OK if found == wanted else Level.FAIL
        facts = {"node": found, "signed": wanted}
        yield Finding("chain.id", level, f"node is on {found}, we sign for {wanted}", facts)
        if found != wanted:
            self._chain, self._no_chain = None, "the node is on another chain"

    def _api_key(self) -> Iterator[Finding]:
        patient, api = self._patient, self._patient.api
        how = "configured"
        if api is None and patient.creates_key:
            api, is_new = api_keys.create_or_derive(self._venue, patient.key, patient.chain_id)
            how = "created just now" if is_new else "derived"
        elif api is None:
            api = api_keys.derive(self._venue, patient.key, patient.chain_id)
            how = "derived"
        if api is None:
            text = "the wallet has no API key: --create-api-key makes one"
            yield Finding("auth.api_key", Level.FAIL, text)
            return
        self._l2 = L2Signer(api, patient.key.address)
        reply = self._authorized("/auth/api-keys")
        facts = {"key": api.key, "how": how, "status": reply.status}
        if reply.status == 200:
            self.credentials = api
            yield Finding("auth.api_key", Level.OK, f"{how}, and the venue takes it", facts)
        else:
            self._l2 = None
            text = f"{how}, and the venue refuses it: status={reply.status}"
            yield Finding("auth.api_key", Level.FAIL, text, facts)

    def _closed_only(self) -> Iterator[Finding]:
        if self._l2 is None:
            yield Finding("auth.closed_only", Level.NOT_CHECKED, "it takes an API key")
            return
        closed = self._authorized("/auth/ban-status/closed-only").field("closed_only")
        if closed is False:
            yield Finding("auth.closed_only", Level.OK, "positions may be opened")
        elif closed is True:
            yield Finding("auth.closed_only", Level.FAIL, "positions may be closed only")
        else:
            yield Finding("auth.closed_only", Level.NOT_CHECKED, "the venue does not say")

    def _wallets(self) -> Iterator[Finding]:
        patient = self._patient
        addresses = wallet_addresses(patient.key.address, factories_of(patient.chain_id))
        beacon = self._current_deposit_form(addresses.deposit_uups)
        for name, signature_type in _WALLETS:
            address = getattr(addresses, name)
            check_id = f"wallet.{name}"
            if address is None:
                text = f"chain {patient.chain_id} has no such wallet"
                yield Finding(check_id, Level.NOT_CHECKED, text)
                continue
            deployed = self._is_deployed(address, signature_type)
            is_in_use = signature_type is not SignatureType.POLY_1271 or name == beacon
            balance = self._balance(signature_type) if is_in_use else None
            candidate = Candidate(name, signature_type, address, balance, deployed)
            if is_in_use:
                self._candidates.append(candidate)
            yield _describe(check_id, candidate, is_in_use, self._no_chain)

    def _current_deposit_form(self, uups: str) -> str:
        """Return which of the two deposit wallets counts; the current one if nobody can say."""
        factories = factories_of(self._patient.chain_id)
        if factories.deposit_beacon is None:
            return "deposit_uups"
        if self._chain is None:
            return "deposit_beacon"
        if self._chain.deposit_beacon(factories.deposit_factory) is None:
            return "deposit_uups"
        was_deployed = self._is_deployed(uups, SignatureType.POLY_1271)
        return "deposit_uups" if was_deployed else "deposit_beacon"

    def _is_deployed(self, address: str, signature_type: SignatureType) -> bool | None:
        if signature_type is SignatureType.EOA or self._chain is None:
            return None
        try:
            return self._chain.has_code(address)
        except ChainError as error:
            self._no_chain = str(error)
            return None

    def _balance(self, signature_type: SignatureType) -> int | None:
        """Return the pUSD the venue sees in a wallet of this kind, micros."""
        if self._l2 is None:
            return None
        query = f"asset_type=COLLATERAL&signature_type={int(signature_type)}"
        reply = self._authorized("/balance-allowance", query)
        if reply.status != 200:
            return None
        self._balances[signature_type] = reply
        return _base_units(reply.field("balance"))

    def _signature_type(self) -> Iterator[Finding]:
        patient = self._patient
        if not self._candidates:
            text = "no wallet could be derived"
            yield Finding("wallet.signature_type", Level.NOT_CHECKED, text)
            return
        choice = choose(self._candidates)
        wanted = choice.candidate
        facts: dict[str, Any] = {
            "recommended": int(wanted.signature_type),
            "funder": wanted.address,
            "configured": patient.signature_type,
        }
        text = f"use {int(wanted.signature_type)} ({wanted.name}) at {wanted.address}: {choice.why}"
        level = Level.OK
        configured = patient.signature_type
        if patient.funder is not None and configured is not None:
            owned = {(c.signature_type, c.address.lower()) for c in self._candidates}
            if (configured, patient.funder.lower()) not in owned:
                level = Level.FAIL
                text = (
                    f"configured funder is no wallet of this key: type={configured}, "
                    f"funder={patient.funder}; {text}"
                )
            elif (configured, patient.funder.lower()) != (
                wanted.signature_type,
                wanted.address.lower(),
            ):
                level = Level.WARN
                text = f"configured is {configured} at {patient.funder}; {text}"
        if wanted.signature_type is SignatureType.EOA and not patient.is_local:
            level = max(level, Level.WARN, key=_badness)
            text = f"{text}; {NEW_ACCOUNTS}, a plain address works only if it has traded before"
        if wanted.balance is None and level is Level.OK:
            level = Level.WARN
            text = f"{text}; nobody could say what the wallets hold"
        yield Finding("wallet.signature_type", level, text, facts)

    def _approvals(self) -> Iterator[Finding]:
        patient = self._patient
        if patient.chain_id != Chain.POLYGON:
            text = f"the contracts of chain {patient.chain_id} are not known"
            yield from _both(Finding("", Level.NOT_CHECKED, text))
            return
        wallet = choose(self._candidates).candidate
        if self._chain is not None:
            missing = list(missing_on_chain(self._chain, wallet.address, patient.chain_id))
            trading = [each.name for each in missing if each.is_for_trading]
            others = [each.name for each in missing if not each.is_for_trading]
            yield _approval_finding("approvals.trading", trading, Level.FAIL)
            yield _approval_finding("approvals.wallet_calls", others, Level.WARN)
            return
        reply = self._balances.get(wallet.signature_type)
        allowances = reply.field("allowances") if reply is not None else None
        if not isinstance(allowances, dict):
            yield from _both(Finding("", Level.NOT_CHECKED, f"{self._no_chain}, and no API key"))
            return
        granted = {str(each).lower(): _base_units(n) or 0 for each, n in allowances.items()}
        lacking = missing_at_venue(granted, wallet.balance or 0, patient.chain_id)
        yield _approval_finding("approvals.trading", [each.name for each in lacking], Level.FAIL)
        yield Finding("approvals.wallet_calls", Level.NOT_CHECKED, self._no_chain)

    def _authorized(self, path: str, query: str = "") -> Reply:
        """Return the answer to a GET with our API key."""
        assert self._l2 is not None
        return self._venue.get(path, query, self._l2.headers(int(time.time()), "GET", path))


def _describe(check_id: str, wallet: Candidate, is_in_use: bool, no_chain: str) -> Finding:
    """Return what is known of one wallet; being of no use is no fault of it."""
    parts = [f"type {int(wallet.signature_type)} at {wallet.address}"]
    if not is_in_use:
        parts.append("not the form in use")
    if wallet.balance is not None:
        parts.append(f"{wallet.balance / 1e6:,.2f} pUSD")
    if wallet.signature_type is not SignatureType.EOA:
        known = {True: "deployed", False: "not deployed"}
        word = f"deployment not checked: {no_chain}"
        parts.append(known[wallet.is_deployed] if wallet.is_deployed is not None else word)
    facts = {
        "address": wallet.address,
        "signature_type": int(wallet.signature_type),
        "balance": wallet.balance,
        "is_deployed": wallet.is_deployed,
        "is_in_use": is_in_use,
    }
    return Finding(check_id, Level.INFO, ", ".join(parts), facts)


def _approval_finding(check_id: str, missing: list[str], level: Level) -> Finding:
    if missing:
        return Finding(check_id, level, f"missing: {', '.join(missing)}", {"missing": missing})
    return Finding(check_id, Level.OK, "all are granted", {"missing": []})


def _both(finding: Finding) -> Iterator[Finding]:
    for check_id in ("approvals.trading", "approvals.wallet_calls"):
        yield replace(finding, id=check_id)


def _base_units(text: Any) -> int | None:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 78
    return int(text) if is_number else None


def _badness(level: Level) -> int:
    return list(Level).index(level)
