"""A dry run of the market feed: a made-up frame, decoded for instruments nobody trades.

The same decoder and the same jitted scanner as the feed's, on a registry and rows of their own: it
keeps the code in the processor's caches, and nobody can see that it ran.
"""

from __future__ import annotations

from engine.wire.codes import FeeCurve, MarketStatus
from feeds.instruments import Instruments, Market
from feeds.market_decoder import MarketDecoder

_TOKENS = "1" * 77, "2" * 77


def _frame() -> bytes:
    """Return a price_change of two tokens, as the venue spells it."""
    changes = ", ".join(
        f'{{"asset_id":"{token}", "price":"0.49", "size":"250", "side":"BUY", '
        f'"hash":"{"0" * 40}", "best_bid":"0.49", "best_ask":"0.52"}}'
        for token in _TOKENS
    )
    return (
        f'{{"market":"0x{"0" * 64}", "price_changes":[{changes}], '
        '"timestamp":"1700000000000", "event_type":"price_change"}'
    ).encode()


class Rehearsal:
    """A decoder, the instruments it knows and the frame it reads."""

    def __init__(self) -> None:
        registry = Instruments()
        registry.add(
            Market(
                slug="rehearsal",
                condition_id=bytes(32),
                tokens=_TOKENS,
                outcomes=("Up", "Down"),
                generation=2,
                neg_risk=False,
                fee_curve=FeeCurve.V2,
                fee_rate_ppm=0,
                fee_exponent=1,
                tick=10_000,
                min_size_cents=500,
                open_s=0,
                close_s=0,
                status=MarketStatus.OPEN,
            )
        )
        self._decoder = MarketDecoder(registry)
        self._frame = memoryview(_frame())

    def run(self) -> int:
        """Decode the frame; return how many records it made."""
        return len(self._decoder.decode(self._frame, 0))
