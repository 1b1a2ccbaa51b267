"""Where orders are verified: the exchange contract of each protocol generation and chain.

Defaults of the tables published by the official clients; a setting may override them, and nothing
else in the signer knows an address. Generation 3 has one exchange for every kind of market.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from signer.eip712 import Domain

DOMAIN_NAME = "Polymarket CTF Exchange"


class Generation(IntEnum):
    """The order protocol of a market; also the version of its signing domain."""

    V1 = 1  # refused by production since 2026-04-28
    V2 = 2
    V3 = 3


class Chain(IntEnum):
    """The chains the venue has contracts on."""

    POLYGON = 137
    AMOY = 80002


class ExchangeKey(NamedTuple):
    """What selects an exchange contract."""

    generation: int
    chain_id: int
    neg_risk: bool


_V2_STANDARD = "0xE111180000d2663C0091e4f400237545B87B996B"
_V2_NEG_RISK = "0xe2222d279d744050d28e00520010520000310F59"
_V3_POLYGON = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
_V3_AMOY = "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D"

EXCHANGES: dict[ExchangeKey, str] = {
    ExchangeKey(1, 137, False): "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E",
    ExchangeKey(1, 137, True): "0xC5d563A36AE78145C45a50134d48A1215220f80a",
    ExchangeKey(1, 80002, False): "0xdFE02Eb6733538f8Ea35D585af8DE5958AD99E40",
    ExchangeKey(1, 80002, True): "0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296",
    ExchangeKey(2, 137, False): _V2_STANDARD,
    ExchangeKey(2, 137, True): _V2_NEG_RISK,
    ExchangeKey(2, 80002, False): _V2_STANDARD,
    ExchangeKey(2, 80002, True): _V2_NEG_RISK,
    ExchangeKey(3, 137, False): _V3_POLYGON,
    ExchangeKey(3, 137, True): _V3_POLYGON,
    ExchangeKey(3, 80002, False): _V3_AMOY,
    ExchangeKey(3, 80002, True): _V3_AMOY,
}


def exchange_address(generation: int, chain_id: int, neg_risk: bool) -> str:
    """Return the exchange contract that verifies such an order.

    Raises ValueError where the venue has none: signing for a guessed contract is never right.
    """
    try:
        return EXCHANGES[ExchangeKey(generation, chain_id, neg_risk)]
    except KeyError:
        raise ValueError(
            f"no exchange contract is known: generation={generation}, chain={chain_id}, "
            f"neg_risk={neg_risk}"
        ) from None


def exchange_domain(
    generation: int, chain_id: int, neg_risk: bool, address: str | None = None
) -> Domain:
    """Return the signing domain of an exchange; `address` overrides the table's contract."""
    contract = address or exchange_address(generation, chain_id, neg_risk)
    return Domain(DOMAIN_NAME, str(int(generation)), chain_id, contract)


def is_position_id(token_id: int) -> bool:
    """Return whether a token id has the layout of a generation-3 position: bits 40…103 zero."""
    return (token_id >> 40) & 0xFFFF_FFFF_FFFF_FFFF == 0
