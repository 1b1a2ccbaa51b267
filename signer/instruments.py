"""The instruments the core trades, as the signer needs them: token, grid and order templates.

Filled from the INSTRUMENT and STATUS records that the core forwards. What the venue's own rules
contradict is kept out: an instrument without templates is never signed for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.wire.codes import Kind, MarketStatus, Reason
from engine.wire.records import typed
from signer.amounts import CENT, PRICE_DECIMALS
from signer.contracts import Generation, exchange_domain, is_position_id
from signer.eip712 import Domain
from signer.ladder import Ladder
from signer.position_ids import decode_position_id
from signer.settings import SignerSettings
from signer.templates import OrderTemplate


class Contract(NamedTuple):
    """What is signed of an instrument."""

    token_id: int
    generation: int
    neg_risk: bool
    outcome: int


class Terms(NamedTuple):
    """What an order's amounts depend on: minimum size in cents of a share, and the fee."""

    min_size_cents: int
    fee_curve: int
    fee_rate_ppm: int
    fee_exponent: int


class Instrument:
    """One token. refusal: why nothing may be signed for it, or OK.

    tick: micros.  size_min: micro-shares.
    """

    __slots__ = ("contract", "refusal", "size_min", "templates", "terms", "tick")

    def __init__(self, contract: Contract, terms: Terms, tick: int, refusal: int) -> None:
        self.contract = contract
        self.set_terms(terms, tick)
        self.refusal = refusal
        self.templates: tuple[OrderTemplate, ...] = ()  # by side

    def set_terms(self, terms: Terms, tick: int) -> None:
        """Take what the venue may change while the market runs."""
        self.terms = terms
        self.tick = tick
        self.size_min = terms.min_size_cents * CENT


class Instruments:
    """All instruments by index. The ladder is told of every change to one."""

    def __init__(self, settings: SignerSettings, ladder: Ladder) -> None:
        self._settings = settings
        self._ladder = ladder
        self._by_index: dict[int, Instrument] = {}

    def get(self, index: int) -> Instrument | None:
        """Return an instrument, or None for an index nobody announced. Hot path."""
        return self._by_index.get(index)

    def on_instrument(self, row: np.ndarray) -> None:
        """Take an INSTRUMENT record, int64[16]; a repeated one renews tick and terms."""
        record = typed(row, Kind.INSTRUMENT)[0]
        index, tick = int(record["instrument"]), int(record["tick"])
        token_id = int.from_bytes(bytes(record["token_id"]), "big")
        contract = Contract(
            token_id,
            int(record["generation"]),
            bool(record["neg_risk"]),
            int(record["outcome"]),
        )
        terms = Terms(*(int(record[name]) for name in Terms._fields))
        known = self._by_index.get(index)
        if known is not None and (known.contract, known.terms, known.tick) == (
            contract,
            terms,
            tick,
        ):
            return
        self._ladder.invalidate(index)
        if known is not None and known.contract == contract:
            known.set_terms(terms, tick)
            return
        instrument = Instrument(contract, terms, tick, self._refusal(contract))
        if instrument.refusal == Reason.OK:
            instrument.templates = self._ladder.templates(self._domain(contract), token_id)
        self._by_index[index] = instrument

    def on_status(self, row: np.ndarray) -> None:
        """Take a STATUS record, int64[16]: the tick may have changed, or the market is over.

        What is resolved is forgotten: a series that rolls on would leave its templates for ever.
        """
        record = typed(row, Kind.STATUS)[0]
        index, tick = int(record["instrument"]), int(record["tick"])
        instrument = self._by_index.get(index)
        if instrument is None:
            return
        if record["status"] == MarketStatus.RESOLVED:
            del self._by_index[index]
            self._ladder.invalidate(index)
        elif tick in PRICE_DECIMALS and tick != instrument.tick:
            instrument.tick = tick
            self._ladder.invalidate(index)

    def _refusal(self, contract: Contract) -> int:
        """Return why nothing may be signed for such a token, or OK."""
        listed = self._settings.limits.token_ids
        if listed and contract.token_id not in listed:
            return Reason.POLICY_TOKEN
        if not _is_routable(contract):
            return Reason.GENERATION
        try:
            self._domain(contract)
        except ValueError:
            return Reason.POLICY_CHAIN
        return Reason.OK

    def _domain(self, contract: Contract) -> Domain:
        """Return the signing domain; ValueError where the chain has no such exchange."""
        settings = self._settings
        override = settings.exchange_address
        if contract.neg_risk and contract.generation == Generation.V2:
            override = settings.neg_risk_exchange_address
        return exchange_domain(contract.generation, settings.chain_id, contract.neg_risk, override)


def _is_routable(contract: Contract) -> bool:
    """Return whether the market's version and the token id say the same.

    Either alone has been wrong: a version 2 id has no layout, a version 3 id tells its module and
    outcome. The venue takes no other generation.
    """
    token_id, generation = contract.token_id, contract.generation
    if generation == Generation.V2:
        return token_id > 0 and not is_position_id(token_id)
    if generation != Generation.V3:
        return False
    try:
        return decode_position_id(token_id).outcome_index == contract.outcome
    except ValueError:
        return False
