"""Who must be allowed to move an account's money and shares before it can trade.

Source: the approvals the official client grants, and the contract table of the venue (Polygon).
Trading needs the exchanges; splitting, merging and redeeming need the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from signer.contracts import Chain, exchange_address
from signer.doctor.chain import ChainView

COLLATERAL = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"  # pUSD
CONDITIONAL_TOKENS = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
POSITION_MANAGER = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
_CTF_ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"
_NEG_RISK_ADAPTER = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
_ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"


class Approval(NamedTuple):
    """One grant. ledger: whose tokens. is_for_trading: without it orders fail."""

    name: str
    ledger: str
    spender: str
    is_for_trading: bool


def approvals_of(chain_id: int) -> list[Approval]:
    """Return every approval an account wants; empty for a chain whose contracts are not known."""
    if chain_id != Chain.POLYGON:
        return []
    v2, neg_risk, v3 = (
        exchange_address(*which) for which in ((2, 137, False), (2, 137, True), (3, 137, False))
    )
    return [
        Approval("pusd.exchange_v2", COLLATERAL, v2, True),
        Approval("pusd.exchange_v2_neg_risk", COLLATERAL, neg_risk, True),
        Approval("pusd.exchange_v3", COLLATERAL, v3, True),
        Approval("pusd.ctf_adapter", COLLATERAL, _CTF_ADAPTER, False),
        Approval("pusd.neg_risk_adapter", COLLATERAL, _NEG_RISK_ADAPTER, False),
        Approval("pusd.router", COLLATERAL, _ROUTER, False),
        Approval("shares.exchange_v2", CONDITIONAL_TOKENS, v2, True),
        Approval("shares.exchange_v2_neg_risk", CONDITIONAL_TOKENS, neg_risk, True),
        Approval("shares.exchange_v3", POSITION_MANAGER, v3, True),
        Approval("shares.ctf_adapter", CONDITIONAL_TOKENS, _CTF_ADAPTER, False),
        Approval("shares.neg_risk_adapter", CONDITIONAL_TOKENS, _NEG_RISK_ADAPTER, False),
        Approval("shares.router", POSITION_MANAGER, _ROUTER, False),
    ]


def missing_on_chain(chain: ChainView, owner: str, chain_id: int) -> Iterator[Approval]:
    """Yield what an owner has not approved, by the chain's word; ChainError where it gives none."""
    balance = chain.balance(COLLATERAL, owner)
    for approval in approvals_of(chain_id):
        if approval.ledger == COLLATERAL:
            granted = _covers(chain.allowance(COLLATERAL, owner, approval.spender), balance)
        else:
            granted = chain.is_approved(approval.ledger, owner, approval.spender)
        if not granted:
            yield approval


def missing_at_venue(allowances: dict[str, int], balance: int, chain_id: int) -> Iterator[Approval]:
    """Yield the exchanges that may not spend an account's balance, by the venue's word.

    allowances: spender's address in lower case → base units.
    """
    for approval in approvals_of(chain_id):
        matters = approval.ledger == COLLATERAL and approval.is_for_trading
        if matters and not _covers(allowances.get(approval.spender.lower(), 0), balance):
            yield approval


def _covers(allowance: int, balance: int) -> bool:
    return allowance >= max(balance, 1)
