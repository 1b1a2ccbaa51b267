"""The bench beside other ways between processes ends, however late a receiver comes."""

from __future__ import annotations

import numpy as np
from peers.ipc import PACED, Ways


def test_a_paced_round_ends_when_records_come_in_pairs():
    """A receiver that was held up takes two records at once: both are counted, none is awaited."""
    with Ways(("ring",)) as ways:
        take = ways._takes["ring"]
        kept: list[int] = []

        def in_pairs() -> np.ndarray:
            while len(kept) < 2:
                kept.extend(take().tolist())
            pair = np.array(kept[:2], np.int64)
            del kept[:2]
            return pair

        ways._takes["ring"] = in_pairs
        spent = ways.paced("ring")
    assert len(spent) == PACED
    assert min(spent) > 0
