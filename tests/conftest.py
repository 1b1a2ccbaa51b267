"""Fixtures every level of tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of golden vectors and recordings beside the checkout; skips where it is absent."""
    path = ROOT.parent / "shared"
    if not (path / "vectors").is_dir():
        pytest.skip(f"golden data is absent: {path}")
    return path
