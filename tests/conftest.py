"""Fixtures every level of tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine, not of the code; and the verdict of CI
# must be the same for the same tree, so there the examples are too.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of golden vectors and recordings beside the checkout; skips where it is absent."""
    path = ROOT.parent / "shared"
    if not (path / "vectors").is_dir():
        pytest.skip(f"golden data is absent: {path}")
    return path
