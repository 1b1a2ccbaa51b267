"""How much of a budget a market BUY may name, when the fee comes on top of it."""

from __future__ import annotations

from decimal import Decimal, localcontext

_DIGITS = 28  # as the official client computes; what is signed is cut to cents in the end


def pre_fee_amount(
    amount: Decimal,
    price: Decimal,
    spend_max: Decimal,
    rate: Decimal,
    exponent: Decimal,
    builder_rate: Decimal = Decimal(0),
) -> Decimal:
    """Return the largest amount, at most `amount`, whose cost with fees is at most `spend_max`.

    amount, spend_max: pUSD. price: in (0, 1). rate, exponent: the market's fee curve, charged on
    shares. builder_rate: the builder's fee, charged on the amount. Unrounded: floor it to cents,
    as market amounts are. Raises ValueError for a price outside (0, 1).
    Source: fee = shares · rate · (p(1−p))^e, with shares = amount / p.
    """
    if not 0 < price < 1:
        raise ValueError(f"a price is in (0, 1): price={price}")
    with localcontext(prec=_DIGITS):
        cost = 1 + rate * (price * (1 - price)) ** exponent / price + builder_rate
        return min(amount, spend_max / cost)
