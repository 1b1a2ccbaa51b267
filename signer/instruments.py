"""The instruments the core trades, as the signer needs them: token, grid and order templates.

Filled from the INSTRUMENT and STATUS records that the core forwards. What the venue's own rules
contradict is kept out: an instrument without templates is never signed for.
"""

from __future__ import annotations

import numpy as np

from engine.wire.codes import Kind, Reason, Side
from engine.wire.records import typed
from signer.amounts import PRICE_DECIMALS
from signer.contracts import Generation, exchange_domain, is_position_id
from signer.settings import SignerSettings
from signer.templates import OrderTemplate
from signer.wallets import Wallet


class Instrument:
    """One token. tick: micros. refusal: why nothing may be signed for it, or OK."""

    __slots__ = ("refusal", "templates", "tick", "token_id")

    def __init__(self, token_id: int, tick: int, refusal: int) -> None:
        self.token_id = token_id
        self.tick = tick
        self.refusal = refusal
        self.templates: tuple[OrderTemplate, ...] = ()  # by side


class Instruments:
    """All instruments by index."""

    def __init__(self, settings: SignerSettings, wallet: Wallet, owner: str) -> None:
        """owner: the API key."""
        self._settings = settings
        self._wallet = wallet
        self._owner = owner
        self._by_index: dict[int, Instrument] = {}

    def get(self, index: int) -> Instrument | None:
        """Return an instrument, or None for an index nobody announced. Hot path."""
        return self._by_index.get(index)

    def on_instrument(self, row: np.ndarray) -> None:
        """Take an INSTRUMENT record, int64[16]; a repeated one only renews the tick."""
        record = typed(row, Kind.INSTRUMENT)[0]
        index = int(record["instrument"])
        token_id = int.from_bytes(bytes(record["token_id"]), "big")
        known = self._by_index.get(index)
        if known is not None and known.token_id == token_id:
            known.tick = int(record["tick"])
            return
        generation, neg_risk = int(record["generation"]), bool(record["neg_risk"])
        instrument = Instrument(
            token_id, int(record["tick"]), self._refusal(generation, neg_risk, token_id)
        )
        if instrument.refusal == Reason.OK:
            domain = exchange_domain(
                generation, self._settings.chain_id, neg_risk, self._override(generation, neg_risk)
            )
            instrument.templates = tuple(
                OrderTemplate(self._wallet, domain, token_id, side, self._owner) for side in Side
            )
        self._by_index[index] = instrument

    def on_status(self, row: np.ndarray) -> None:
        """Take a STATUS record, int64[16]: the tick may have changed."""
        record = typed(row, Kind.STATUS)[0]
        instrument = self._by_index.get(int(record["instrument"]))
        tick = int(record["tick"])
        if instrument is not None and tick in PRICE_DECIMALS:
            instrument.tick = tick

    def _refusal(self, generation: int, neg_risk: bool, token_id: int) -> int:
        if generation not in (Generation.V2, Generation.V3) or token_id == 0:
            return Reason.GENERATION
        # The market's version and the id's layout must agree: either alone has been wrong.
        if is_position_id(token_id) != (generation == Generation.V3):
            return Reason.GENERATION
        try:
            exchange_domain(
                generation, self._settings.chain_id, neg_risk, self._override(generation, neg_risk)
            )
        except ValueError:
            return Reason.POLICY_CHAIN
        return Reason.OK

    def _override(self, generation: int, neg_risk: bool) -> str | None:
        if neg_risk and generation == Generation.V2:
            return self._settings.neg_risk_exchange_address
        return self._settings.exchange_address
