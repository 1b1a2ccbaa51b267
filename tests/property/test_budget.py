"""A market BUY never names more than its budget can pay, fees included."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.budget import pre_fee_amount

CENT = Decimal("0.01")
cents = st.integers(1, 10_000_000).map(lambda n: n * CENT)
prices = st.integers(1, 9_999).map(lambda n: Decimal(n).scaleb(-4))
rates = st.integers(0, 2_500).map(lambda n: Decimal(n).scaleb(-4))


@given(cents, prices, cents, rates, st.sampled_from([1, 2]), rates)
def test_the_amount_and_its_fees_fit_the_budget(
    amount: Decimal, price: Decimal, spend_max: Decimal, rate: Decimal, exponent: int, own: Decimal
) -> None:
    """Floored to cents it costs at most the budget, and one cent more would not fit."""
    found = pre_fee_amount(amount, price, spend_max, rate, Decimal(exponent), own)
    floored = Fraction(found // CENT * CENT)
    p = Fraction(price)
    a_dollar = 1 + Fraction(rate) * (p * (1 - p)) ** exponent / p + Fraction(own)
    assert floored <= Fraction(amount)
    assert floored * a_dollar <= Fraction(spend_max)
    if found < amount:
        assert (floored + Fraction(CENT)) * a_dollar > Fraction(spend_max)


@pytest.mark.parametrize("price", ["0", "1", "-0.1"])
def test_a_price_outside_the_market_is_refused(price: str) -> None:
    """Nothing is computed from a price no order can have."""
    with pytest.raises(ValueError, match="a price is in"):
        pre_fee_amount(Decimal(1), Decimal(price), Decimal(1), Decimal(0), Decimal(1))
