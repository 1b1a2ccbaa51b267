"""Order ids and salts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.orders import ids

KEYS = st.tuples(
    st.integers(0, 255), st.integers(0, 2**40 - 1), st.integers(0, 255), st.integers(0, 255)
)


@given(st.integers(0, 2**63 - 1), st.lists(KEYS, unique=True, max_size=50))
def test_distinct_decisions_have_distinct_ids(run_seed: int, keys: list[tuple]) -> None:
    """Within one run an id stands for one (strategy, trace, leg, attempt)."""
    made = {ids.order_id(run_seed, *key) for key in keys}
    assert len(made) == len(keys)
    assert all(0 <= i < 2**64 for i in made)


@given(st.integers(0, 2**64 - 1))
def test_salts_fit_a_json_number(order_id: int) -> None:
    """The venue carries salts as JSON numbers, so they stay below 2^53."""
    assert 0 <= ids.salt(order_id) < 2**53
