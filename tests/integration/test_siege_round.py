"""One round of the siege, short and always the same: the campaign itself works."""

from __future__ import annotations

from pathlib import Path

import pytest
from siege.kinds import KINDS
from siege.round import play


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_round_of_cuts_violates_nothing(tmp_path: Path) -> None:
    """A run whose connections are cut trades, and keeps every invariant."""
    (kind,) = (each for each in KINDS if each.name == "cut")
    result = play(kind, "short", 1, tmp_path)
    assert result.orders > 0
    assert result.violations == []
