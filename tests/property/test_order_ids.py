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


def mixed(x: int) -> int:
    """Return splitmix64's finaliser as its author wrote it, on Python's integers."""
    mask = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


@given(st.integers(0, 2**64 - 1))
def test_the_mixer_is_splitmix64(x: int) -> None:
    """Ids and salts of old tapes stay what they were: the jitted mixer gives every bit of it."""
    assert ids.splitmix64(x) == mixed(x)
