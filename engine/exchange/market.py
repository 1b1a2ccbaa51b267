"""What a market is: two tokens, a window, a fee rule. Nothing here changes while it trades."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from engine.math.fees import fee_micros, fee_micros_ceil
from engine.wire.codes import FeeCurve
from signer.contracts import Chain, Generation, is_position_id

OUTCOMES = 2
BINARY_MODULE = 1
TICKS = (100_000, 10_000, 1_000, 100)  # micros, coarse to fine: the grids books refine to


@dataclass(frozen=True, slots=True)
class FeeRule:
    """The taker fee of a market; makers pay nothing and share `rebate_ppm` of it.

    rate_ppm, rebate_ppm: parts per million, 70_000 is 0.07.
    """

    curve: int = FeeCurve.V2
    rate_ppm: int = 70_000
    exponent: int = 1
    rebate_ppm: int = 200_000

    def charge(self, size: int, price: int) -> int:
        """Return the fee of one taker fill in pUSD micros, as it is booked."""
        return fee_micros(size, price, self.curve, self.rate_ppm, self.exponent)

    def charge_max(self, size: int, price: int) -> int:
        """Return the fee to set aside for one taker fill, rounded up."""
        return fee_micros_ceil(size, price, self.curve, self.rate_ppm, self.exponent)


@dataclass(frozen=True, slots=True, eq=False)  # there is one of each: itself is its name
class Market:
    """One condition. `tokens`, `outcomes` and `payouts` are in the order Up, Down.

    Times are venue milliseconds.  payouts: micros a share, None while nobody knows.
    tick: the one the market opens with.  min_size: micro-shares.  series: Gamma's series, or "".
    taker_delay_ms: None = the venue's.  seconds_delay: marketable orders are held so long, and who
    sent them is told at once that they are delayed.
    """

    slug: str
    condition_id: str
    question: str
    tokens: tuple[int, int]
    start_ms: int
    end_ms: int
    outcomes: tuple[str, str] = ("Up", "Down")
    payouts: tuple[int, int] | None = None
    tick: int = 10_000
    min_size: int = 5_000_000
    neg_risk: bool = False
    generation: int = Generation.V2
    fee: FeeRule = FeeRule()
    series: str = ""
    taker_delay_ms: int | None = None
    seconds_delay: int = 0


def derive_tokens(condition_id: str) -> tuple[int, int]:
    """Return two 256-bit token ids that only depend on the condition.

    They look random, as hashed positions do, and never like a generation-3 position id: clients
    choose the signing domain by that layout.
    """
    up, down = (_derive_token(condition_id, outcome) for outcome in range(OUTCOMES))
    return up, down


def derive_positions(name: str) -> tuple[str, tuple[int, int]]:
    """Return the condition id and the two token ids of a generation-3 market.

    ```
    module 8 │ base hash 128 │ arity 16 │ zero 64 │ chain 16 │ condition 16 │ outcome 8     bits
    ```
    The condition id is all but the last byte, followed by a zero byte. Source: orders.md §1.4.
    """
    base = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    up = (BINARY_MODULE << 248) | (base << 120) | (OUTCOMES << 104) | (Chain.POLYGON << 24)
    return f"0x{up >> 8 << 8:064x}", (up, up + 1)


def _derive_token(condition_id: str, outcome: int) -> int:
    attempt = 0
    while True:
        text = f"{condition_id}/{outcome}/{attempt}"
        token = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        if not is_position_id(token):
            return token
        attempt += 1
