"""Which of a key's wallets to trade from, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from signer.wallets import SignatureType

NEW_ACCOUNTS = "the venue takes new accounts from a deposit wallet only"
# Where nothing else tells: what the venue wants of new accounts first, plain addresses last.
_PREFERENCE = (
    SignatureType.POLY_1271,
    SignatureType.POLY_GNOSIS_SAFE,
    SignatureType.POLY_PROXY,
    SignatureType.EOA,
)


class Candidate(NamedTuple):
    """One wallet. balance: micros of pUSD; it and is_deployed are None where nobody could say."""

    name: str
    signature_type: SignatureType
    address: str
    balance: int | None = None
    is_deployed: bool | None = None


class Choice(NamedTuple):
    """The wallet to use, and the reason in words."""

    candidate: Candidate
    why: str


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Return the wallet that holds most, else one that exists, else the kind for new accounts."""
    ranked = sorted(candidates, key=lambda each: _PREFERENCE.index(each.signature_type))
    funded = [each for each in ranked if each.balance]
    if funded:
        best = max(funded, key=lambda each: each.balance or 0)
        others = [each.name for each in funded if each.address != best.address]
        also = f"; also funded: {', '.join(others)}" if others else ""
        return Choice(best, f"it holds {(best.balance or 0) / 1e6:,.2f} pUSD{also}")
    deployed = [
        each for each in ranked if each.is_deployed and each.signature_type is not SignatureType.EOA
    ]
    if deployed:
        return Choice(deployed[0], "it is deployed, and no wallet of this key holds pUSD")
    return Choice(ranked[0], f"no wallet of this key is funded or deployed, and {NEW_ACCOUNTS}")
