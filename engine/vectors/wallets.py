"""Wallets of an owner: `wallets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.vectors.case import Case, Fact, Row, VectorFileError, cases_of
from signer.ecdsa import SigningKey
from signer.wallet_addresses import WalletFactories, factories_of, wallet_addresses

_CHAIN_ID = 137  # of a file that does not say


def cases(document: Row) -> Iterator[Case]:
    """Yield a case for each owner."""
    try:
        factories = factories_of(document.get("chain_id", _CHAIN_ID))
    except (KeyError, TypeError, ValueError) as error:
        raise VectorFileError(f"chain_id: {error}") from None
    return cases_of(document, "vectors", lambda row: _facts(row, factories))


def _facts(row: Row, factories: WalletFactories) -> Iterable[Fact]:
    key = SigningKey.from_hex(row["private_key"])
    got = wallet_addresses(key.address, factories)
    yield "eoa", row["eoa"], got.eoa
    yield "proxy", row["proxy"], got.proxy
    yield "safe", row["safe"], got.safe
    yield "deposit_wallet_beacon", row["deposit_wallet_beacon"], got.deposit_beacon
    yield "deposit_wallet_uups", row["deposit_wallet_uups"], got.deposit_uups
